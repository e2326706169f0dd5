//! How parts name each other: `tokens`, `route.errors` for an outlet, `words.tokenize` for a function.

use super::{Diagnostic, FunctionName, Input, Spanned, section::Section, value};
use crate::model::PartName;

/// The `inputs` of a part: at least one, none twice.
pub(super) fn inputs(section: &mut Section<'_, '_>) -> Vec<Spanned<Input>> {
    const KEY: &str = "inputs";
    section.require(KEY, r#"inputs = ["lines"]"#);
    let Some(names) = section.strings(KEY) else { return Vec::new() };
    if names.is_empty() {
        let message = format!("the inputs of {} are empty", section.name());
        let empty = section.get(KEY).map(toml::Spanned::span).unwrap_or_default();
        section.problem(Diagnostic::error(message).at(empty, "name at least one source or transform"));
    }
    let mut inputs: Vec<Spanned<Input>> = Vec::with_capacity(names.len());
    for name in names {
        let Some(value) = input(&name.value) else {
            let message = format!("`{}` cannot be the name of an input", name.value);
            section.problem(
                Diagnostic::error(message)
                    .at(name.span, "write `part`, or `part.outlet` for an outlet of a batch handler"),
            );
            continue;
        };
        match inputs.iter().find(|earlier| earlier.value == value) {
            Some(earlier) => {
                let message = format!("`{value}` is an input of {} twice", section.name());
                let again = Diagnostic::error(message).at(name.span, "named again").also(earlier.span.clone(), "");
                section.problem(again.help("every row would come in twice; take one of the two out"));
            }
            None => inputs.push(Spanned { value, span: name.span }),
        }
    }
    inputs
}

/// A key whose value names a function of a plugin.
pub(super) fn function(section: &mut Section<'_, '_>, key: &'static str) -> Option<Spanned<FunctionName>> {
    const WANTED: &str = "a function of a plugin";
    let text = section.string_that(key, WANTED, "write `plugin.function`", |text| pair(text).is_some())?;
    let (plugin, function) = pair(&text.value)?;
    let name = FunctionName { plugin: plugin.to_owned(), function: function.to_owned() };
    Some(Spanned { value: name, span: text.span })
}

fn input(text: &str) -> Option<Input> {
    match pair(text) {
        Some((part, outlet)) => Some(Input { part: PartName::new(part), outlet: Some(outlet.to_owned()) }),
        None => value::is_name(text).then(|| Input { part: PartName::new(text), outlet: None }),
    }
}

/// Two names with a dot in between.
fn pair(text: &str) -> Option<(&str, &str)> {
    text.split_once('.').filter(|(left, right)| value::is_name(left) && value::is_name(right))
}
