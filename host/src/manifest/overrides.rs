//! Settings of the command line (`--set key=value`) that take the place of what the file says.

use std::{fmt, ops::Range, str::FromStr};

use toml::de::{DeTable, DeValue};

use super::{Diagnostic, Spanned, syntax};

/// A key and its new value: `trigger=once`, `sources.lines.address=127.0.0.1:9998`.
///
/// The key may be one that the file does not have. The value is TOML, and a string where it is not TOML, so that
/// nobody has to write quotes inside quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    text: String,
    path: Vec<Spanned<String>>,
    value: Range<usize>,
}

impl FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not key=value, as in trigger=once or sources.lines.address=127.0.0.1:9999");
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        // TOML knows best what a dotted key is, quoted pieces and all.
        let assignment = format!("{key}=0");
        let root = DeTable::parse(&assignment).map_err(|_| wrong())?;
        let mut path = Vec::new();
        let mut table = Some(root.get_ref());
        while let Some((key, value)) = table.and_then(|table| table.iter().next()) {
            path.push(Spanned { value: key.to_string(), span: key.span() });
            table = value.get_ref().as_table();
        }
        if path.is_empty() {
            return Err(wrong());
        }
        let start = text.len() - value.trim_start().len();
        Ok(Override { text: text.to_owned(), path, value: start..start + value.trim().len() })
    }
}

/// `key=value`, as it was given.
impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Override {
    /// Puts the value into the manifest. `start` is where `key=value` begins among all the source text.
    pub(super) fn apply<'t>(&'t self, start: usize, root: &mut DeTable<'t>) -> Result<(), Diagnostic> {
        let value = self.read_value(start)?;
        let (last, parents) = self.path.split_last().expect("a key has at least one name");
        let mut table = root;
        for parent in parents {
            let span = moved(&parent.span, start);
            let empty = || toml::Spanned::new(span.clone(), DeValue::Table(DeTable::new()));
            let entry = table.entry(toml::Spanned::new(span.clone(), (&*parent.value).into())).or_insert_with(empty);
            if !entry.get_ref().is_table() {
                *entry = empty();
            }
            let DeValue::Table(next) = entry.get_mut() else {
                unreachable!("what was no table has been replaced by one")
            };
            table = next;
        }
        table.insert(toml::Spanned::new(moved(&last.span, start), (&*last.value).into()), value);
        Ok(())
    }

    fn read_value(&self, start: usize) -> Result<toml::Spanned<DeValue<'_>>, Diagnostic> {
        let text = &self.text[self.value.clone()];
        let start = start + self.value.start;
        match DeValue::parse(text) {
            Ok(value) => Ok(shifted(value, start)),
            // Whoever opens a quote or a bracket means TOML.
            Err(error) if text.starts_with(['"', '\'', '[', '{']) => Err(syntax::diagnostic(&error, text, start)),
            Err(_) => Ok(toml::Spanned::new(start..start + text.len(), DeValue::String(text.into()))),
        }
    }
}

/// The value with all its places moved to where its text stands.
fn shifted(value: toml::Spanned<DeValue<'_>>, by: usize) -> toml::Spanned<DeValue<'_>> {
    let span = moved(&value.span(), by);
    let inner = match value.into_inner() {
        DeValue::Array(items) => DeValue::Array(items.into_iter().map(|item| shifted(item, by)).collect()),
        DeValue::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| {
                let span = moved(&key.span(), by);
                (toml::Spanned::new(span, key.into_inner()), shifted(value, by))
            });
            DeValue::Table(entries.collect())
        }
        scalar => scalar,
    };
    toml::Spanned::new(span, inner)
}

fn moved(span: &Range<usize>, by: usize) -> Range<usize> {
    span.start + by..span.end + by
}
