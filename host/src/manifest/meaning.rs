//! The identity of what a manifest says of an epoch's rows: an epoch that is run again must be run under the same.
//!
//! Comments, spaces and the order of keys are no part of it, nor is what cannot change a row: how many workers there
//! are, where the checkpoint is, when epochs start, how much of a source goes into one (the plan says that), and how
//! much state is in memory.

use std::fmt::Write;

use toml::de::{DeTable, DeValue};

use crate::model::Digest;

/// Keys that stand at the top and have no effect on an epoch that is planned.
const OF_THE_PIPELINE: [&str; 3] = ["workers", "checkpoint", "trigger"];
/// The same of `limits`, and of each source.
const OF_LIMITS: [&str; 1] = ["state"];
const OF_A_SOURCE: [&str; 5] =
    ["max_files_per_trigger", "max_bytes_per_trigger", "latest_first", "max_file_age", "buffer_bytes"];

/// The identity of a manifest's table, overrides included.
pub(super) fn of(table: &DeTable<'_>) -> Digest {
    let mut text = String::new();
    write_table(table, &mut Vec::new(), &mut text);
    Digest::of(text.as_bytes())
}

fn has_no_effect(path: &[&str]) -> bool {
    match path {
        [key] => OF_THE_PIPELINE.contains(key),
        ["limits", key] => OF_LIMITS.contains(key),
        ["sources", _, key] => OF_A_SOURCE.contains(key),
        _ => false,
    }
}

/// A text of its own that no other value has: strings are quoted, and tables and lists closed.
fn write_table<'t>(table: &'t DeTable<'_>, path: &mut Vec<&'t str>, text: &mut String) {
    let mut entries: Vec<(&str, &DeValue<'_>)> =
        table.iter().map(|(key, value)| (key.get_ref().as_ref(), value.get_ref())).collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    text.push('{');
    for (key, value) in entries {
        path.push(key);
        let before = text.len();
        if !has_no_effect(path) {
            write!(text, "{key:?}=").expect("text grows");
            write_value(value, path, text);
            text.push(',');
        }
        // Limits of which none has an effect are as good as none.
        if path[..] == ["limits"] && text.ends_with("={},") {
            text.truncate(before);
        }
        path.pop();
    }
    text.push('}');
}

fn write_value<'t>(value: &'t DeValue<'_>, path: &mut Vec<&'t str>, text: &mut String) {
    match value {
        DeValue::String(value) => write!(text, "{value:?}").expect("text grows"),
        DeValue::Integer(value) => write!(text, "{value}").expect("text grows"),
        DeValue::Float(value) => write!(text, "{value}").expect("text grows"),
        DeValue::Boolean(value) => write!(text, "{value}").expect("text grows"),
        DeValue::Datetime(value) => write!(text, "{value}").expect("text grows"),
        DeValue::Array(values) => {
            text.push('[');
            for value in values {
                write_value(value.get_ref(), path, text);
                text.push(',');
            }
            text.push(']');
        }
        DeValue::Table(table) => write_table(table, path, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "trigger = \"once\"\nworkers = 2\n[sources.a]\ntype = \"files\"\npath = \"in\"\n\
                            max_files_per_trigger = 3\n[sinks.b]\ntype = \"console\"\nrows = [1, 2]\n";

    fn meaning(manifest: &str) -> Digest {
        of(DeTable::parse(manifest).unwrap().get_ref())
    }

    /// A restart with more workers, another trigger or a mended comment may run an unfinished epoch again; one with
    /// another path, value or order of values may not.
    #[test]
    fn what_changes_rows_and_what_does_not() {
        let same = "# a comment\n[sinks.b]\nrows = [ 1, 2 ]\ntype = 'console'\n[limits]\nstate = \"1GiB\"\n[sources.a]\n\
                    path = \"in\"\ntype = \"files\"\n";
        assert_eq!(meaning(MANIFEST), meaning(same));
        for (old, new) in [("\"in\"", "\"out\""), ("[1, 2]", "[2, 1]"), ("[1, 2]", "[12]"), ("sinks.b", "sinks.c")] {
            assert_ne!(meaning(&MANIFEST.replace(old, new)), meaning(MANIFEST), "{old} -> {new}");
        }
    }
}
