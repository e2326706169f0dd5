//! A walk over one table of the manifest: getters that know what they want, and at the end the keys nobody asked for.
//!
//! A getter that finds something wrong writes it down and answers as if the key were not there, so that reading goes
//! on and one run shows every fault. What is missing only because of a fault is never given out: the manifest is
//! dropped when anything was written down.

use std::{
    ops::{Range, RangeInclusive},
    time::Duration,
};

use toml::de::{DeTable, DeValue};

use super::{Diagnostic, Diagnostics, Spanned, value};
use crate::model::nearest;

/// A table that is being read.
pub(super) struct Section<'p, 't> {
    /// How messages call it: `[sinks.out]`; empty for the top level.
    name: String,
    /// Its header; at the top level nothing.
    header: Option<Range<usize>>,
    table: &'t DeTable<'t>,
    known: Vec<&'static str>,
    problems: &'p mut Diagnostics,
}

type Value<'t> = toml::Spanned<DeValue<'t>>;

impl<'p, 't> Section<'p, 't> {
    /// The top level of a manifest.
    pub(super) fn top(table: &'t DeTable<'t>, problems: &'p mut Diagnostics) -> Self {
        Section { name: String::new(), header: None, table, known: Vec::new(), problems }
    }

    fn inner(&mut self, name: String, header: Range<usize>, table: &'t DeTable<'t>) -> Section<'_, 't> {
        Section { name, header: Some(header), table, known: Vec::new(), problems: self.problems }
    }

    /// How messages call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Writes down a fault.
    pub(super) fn problem(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    /// Where a key stands, if it is there.
    pub(super) fn key(&self, key: &str) -> Option<Range<usize>> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    /// Whether a key is there, be it misspelt: then the spelling is the fault, and nothing is said of a missing key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.keys().any(|there| nearest(there.get_ref(), [key]).is_some())
    }

    /// Says that a key must be there; the example shows how it would look.
    pub(super) fn require(&mut self, key: &str, example: &str) {
        if self.has(key) {
            return;
        }
        let example = format!("add a line such as `{example}`");
        self.problem(match &self.header {
            Some(header) => Diagnostic::error(format!("{} has no `{key}`", self.name))
                .at(header.clone(), format!("`{key}` is missing here"))
                .help(example),
            None => Diagnostic::error(format!("the manifest has no `{key}`"))
                .help(format!("{example} at the top, before the first section")),
        });
    }

    /// Refuses every key that was not asked for. `whole` is what the section describes: `a socket source`.
    pub(super) fn refuse_unknown(&mut self, whole: &str) {
        for (key, _) in in_file_order(self.table) {
            if self.known.contains(&&**key.get_ref()) {
                continue;
            }
            let label = match nearest(key.get_ref(), self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "no such key".to_owned(),
            };
            let message = format!("unknown key `{key}`{}", self.place());
            let help = format!("keys of {whole}: {}", self.known.join(", "));
            self.problem(Diagnostic::error(message).at(key.span(), label).help(help));
        }
    }

    /// A string that is not empty.
    pub(super) fn string(&mut self, key: &'static str) -> Option<Spanned<String>> {
        self.read(key, "a string", string)
    }

    /// A string that passes a test; `wanted` and `accepted` describe those that do.
    pub(super) fn string_that(
        &mut self,
        key: &'static str,
        wanted: &str,
        accepted: &str,
        test: fn(&str) -> bool,
    ) -> Option<Spanned<String>> {
        self.read(key, wanted, |value| string(value).ok().filter(|text| test(text)).ok_or_else(|| accepted.to_owned()))
    }

    /// true or false.
    pub(super) fn bool(&mut self, key: &'static str) -> Option<bool> {
        let flag = self.read(key, "true or false", |value| value.as_bool().ok_or_else(String::new))?;
        Some(flag.value)
    }

    /// A whole number within bounds.
    pub(super) fn integer(&mut self, key: &'static str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let integer = self.read(key, "a whole number", |value| {
            let number = value.as_integer().and_then(value::to_u64).filter(|number| bounds.contains(number));
            number.ok_or_else(|| within(&bounds, |number| number.to_string()))
        })?;
        Some(integer.value)
    }

    /// [`integer`](Self::integer) for something that is counted in memory.
    pub(super) fn count(&mut self, key: &'static str, bounds: RangeInclusive<u32>) -> Option<usize> {
        let count = self.integer(key, u64::from(*bounds.start())..=u64::from(*bounds.end()))?;
        Some(usize::try_from(count).expect("the bounds fit into 32 bits"))
    }

    /// A duration of more than nothing.
    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.duration_spanned(key).map(|duration| duration.value)
    }

    /// A duration of more than nothing, and its place.
    pub(super) fn duration_spanned(&mut self, key: &'static str) -> Option<Spanned<Duration>> {
        self.read(key, "a duration", |value| {
            let duration = value::parse_duration(value.as_str().unwrap_or_default())?;
            if duration.is_zero() { Err("more than zero".to_owned()) } else { Ok(duration) }
        })
    }

    /// A duration that may be nothing.
    pub(super) fn duration_or_zero(&mut self, key: &'static str) -> Option<Duration> {
        let duration =
            self.read(key, "a duration", |value| value::parse_duration(value.as_str().unwrap_or_default()))?;
        Some(duration.value)
    }

    /// A number of bytes within bounds.
    pub(super) fn size(&mut self, key: &'static str, bounds: RangeInclusive<u64>) -> Option<Spanned<u64>> {
        self.read(key, "a size", |value| {
            let size = match value {
                DeValue::Integer(number) => value::to_u64(number),
                other => other.as_str().and_then(value::parse_size),
            };
            size.filter(|size| bounds.contains(size)).ok_or_else(|| {
                let bounds = within(&bounds, |bytes| format!("\"{}\"", value::show_size(bytes)));
                format!("a number of bytes, or one with a unit such as kB, MB, MiB or GiB, {bounds}")
            })
        })
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<Spanned<T>> {
        self.read(key, &one_of(choices.iter().map(|(name, _)| *name)), |value| choose(value, choices))
    }

    /// Any value, as JSON.
    pub(super) fn json(&mut self, key: &'static str) -> Option<Spanned<serde_json::Value>> {
        self.read(key, "a value that JSON can hold", value::to_json)
    }

    /// A list of strings.
    pub(super) fn strings(&mut self, key: &'static str) -> Option<Vec<Spanned<String>>> {
        let value = self.get(key)?;
        let Some(items) = value.get_ref().as_array() else {
            let label = match value.get_ref() {
                DeValue::String(text) => format!("write `[{text:?}]`"),
                _ => String::new(),
            };
            self.wrong(key, "a list of strings", value, label);
            return None;
        };
        let strings: Vec<_> =
            items.iter().filter_map(|item| self.convert(key, "a list of strings", item, string)).collect();
        (strings.len() == items.len()).then_some(strings)
    }

    /// A table of strings, in the order of the file.
    pub(super) fn string_table(&mut self, key: &'static str) -> Option<Vec<(Spanned<String>, Spanned<String>)>> {
        const WANTED: &str = "a table of strings";
        let value = self.get(key)?;
        let table = self.table(key, WANTED, value)?;
        let mut rows = Vec::with_capacity(table.len());
        for (name, value) in in_file_order(table) {
            let text = self.convert(key, WANTED, value, string);
            rows.extend(text.map(|text| (Spanned { value: name.to_string(), span: name.span() }, text)));
        }
        (rows.len() == table.len()).then_some(rows)
    }

    /// Reads a table within this one, if it is there.
    pub(super) fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'_, 't>) -> T) -> Option<T> {
        let value = self.get(key)?;
        let table = self.table(key, "a table", value)?;
        let name = if self.name.is_empty() { format!("[{key}]") } else { format!("`{key}` of {}", self.name) };
        Some(read(&mut self.inner(name, value.span(), table)))
    }

    /// Reads every named table of a table, in the order of the file: `[sources.NAME]`.
    pub(super) fn each_part<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(Spanned<String>, &mut Section<'_, 't>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(parts) = self.table(key, "a table of named parts", value) else { return Vec::new() };
        let mut done = Vec::new();
        for (name, value) in in_file_order(parts) {
            let title = format!("[{key}.{name}]");
            if !value::is_name(name.get_ref()) {
                self.problem(Diagnostic::error(format!("`{name}` cannot be a name")).at(name.span(), value::NAME));
            }
            let Some(table) = value.get_ref().as_table() else {
                let message = format!("{title} wants to be a table, not {}", found(value.get_ref()));
                self.problem(
                    Diagnostic::error(message)
                        .at(value.span(), "")
                        .help(format!("start a section with a line `{title}`")),
                );
                continue;
            };
            let name = Spanned { value: name.to_string(), span: name.span() };
            done.extend(read(name, &mut self.inner(title, value.span(), table)));
        }
        done
    }

    /// The value of a key, which is known from now on.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'t Value<'t>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.get(key)
    }

    /// Writes down that a value is not what is wanted.
    pub(super) fn wrong(&mut self, key: &str, wanted: &str, value: &Value<'_>, accepted: impl Into<String>) {
        let message = format!("`{key}`{} wants {wanted}, not {}", self.place(), found(value.get_ref()));
        self.problem(Diagnostic::error(message).at(value.span(), accepted));
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        convert: impl FnOnce(&DeValue<'t>) -> Result<T, String>,
    ) -> Option<Spanned<T>> {
        let value = self.get(key)?;
        self.convert(key, wanted, value, convert)
    }

    /// Converts a value. The error of a conversion says what would be accepted.
    fn convert<T>(
        &mut self,
        key: &str,
        wanted: &str,
        value: &Value<'t>,
        convert: impl FnOnce(&DeValue<'t>) -> Result<T, String>,
    ) -> Option<Spanned<T>> {
        match convert(value.get_ref()) {
            Ok(converted) => Some(Spanned { value: converted, span: value.span() }),
            Err(accepted) => {
                self.wrong(key, wanted, value, accepted);
                None
            }
        }
    }

    fn table(&mut self, key: &str, wanted: &str, value: &'t Value<'t>) -> Option<&'t DeTable<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong(key, wanted, value, "");
        }
        table
    }

    /// ` in [sinks.out]`, or nothing at the top level.
    fn place(&self) -> String {
        if self.name.is_empty() { String::new() } else { format!(" in {}", self.name) }
    }
}

/// The entries of a table as they stand in the file; the parser sorts them by key.
fn in_file_order<'t>(table: &'t DeTable<'t>) -> Vec<(&'t toml::Spanned<toml::de::DeString<'t>>, &'t Value<'t>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn string(value: &DeValue<'_>) -> Result<String, String> {
    match value.as_str() {
        Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
        Some(_) => Err("must not be empty".to_owned()),
        None => Err(String::new()),
    }
}

fn choose<T: Copy>(value: &DeValue<'_>, choices: &[(&str, T)]) -> Result<T, String> {
    let text = value.as_str().unwrap_or_default();
    choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
        let near = nearest(text, choices.iter().map(|(name, _)| *name));
        near.map(|near| format!("did you mean \"{near}\"?")).unwrap_or_default()
    })
}

/// `"a"`, `"a" or "b"`, `"a", "b" or "c"`.
pub(super) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut words: Vec<String> = words.into_iter().map(|word| format!("\"{word}\"")).collect();
    let last = words.pop().unwrap_or_default();
    if words.is_empty() { last } else { format!("{} or {last}", words.join(", ")) }
}

fn within(bounds: &RangeInclusive<u64>, show: impl Fn(u64) -> String) -> String {
    match bounds.end() {
        &u64::MAX => format!("at least {}", show(*bounds.start())),
        end => format!("from {} to {}", show(*bounds.start()), show(*end)),
    }
}

/// A value as messages name it.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.len() <= 40 => format!("{text:?}"),
        DeValue::String(_) => "this string".to_owned(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
