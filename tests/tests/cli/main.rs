//! The command line as users meet it: help, exit codes, errors, and how a run starts, reports, stops and goes on.

mod commands;
mod plugins;
mod progress;
mod runs;
mod stops;

use serde_json::Value;
use tidemill_tests::Folder;

/// Rows without end, counted into memory: nothing on standard output but what the command line itself puts there.
pub(crate) const RATE: &str = r#"
name = "rate"
trigger = { every = "50ms" }

[sources.numbers]
type = "rate"
rows_per_second = 1000

[transforms.counts]
inputs = ["numbers"]
group_by = ["value % 3 as rest"]
aggregates = { count = "count(*)" }

[sinks.table]
inputs = ["counts"]
type = "memory"
"#;

/// The lines of a folder's files, copied into files.
pub(crate) const COPY: &str = r#"
name = "copy"
trigger = "available-now"

[sources.lines]
type = "files"
path = "in"

[sinks.copies]
inputs = ["lines"]
type = "files"
path = "out"
format = "text"
"#;

/// The same, printed.
pub(crate) fn printed() -> Folder {
    Folder::with(&COPY.replace("type = \"files\"\npath = \"out\"\nformat = \"text\"", "type = \"console\""))
}

pub(crate) fn progress(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

pub(crate) fn offset(progress: &Value, which: &str) -> u64 {
    progress["sources"][0][which].as_u64().expect("the source has read something, and a rate source counts")
}
