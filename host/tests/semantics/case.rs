//! How a case is written down.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A case.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// Its number in our list, and what it shows.
    pub(crate) id: String,
    /// Where its figures come from.
    pub(crate) from: String,
    /// The manifest, less what the harness adds: sources read JSON lines, and the sink is a table in memory.
    pub(crate) pipeline: String,
    /// How many workers; as the manifest says when it is not said.
    pub(crate) workers: Option<usize>,
    /// How many bytes of state may be in memory between epochs, which may be fewer than a manifest may say.
    pub(crate) resident: Option<u64>,
    /// The columns of results that are compared; all when it is empty.
    #[serde(default)]
    pub(crate) columns: Vec<String>,
    /// Files beside the sources, there from the start.
    #[serde(default)]
    pub(crate) files: Vec<TextFile>,
    /// One after the other.
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
    /// What is said of a pipeline that is refused: parts of the text.
    #[serde(default)]
    pub(crate) refused: Vec<String>,
}

/// A file of text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextFile {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A step of a case: what comes in, and what is expected then. What is not said is not compared.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Rows by source, each a JSON object: one file.
    #[serde(default)]
    pub(crate) rows: BTreeMap<String, Vec<String>>,
    /// The same in several files.
    #[serde(default)]
    pub(crate) row_files: BTreeMap<String, Vec<Vec<String>>>,
    /// Files that are written before.
    #[serde(default)]
    pub(crate) files: Vec<TextFile>,
    /// Whether the pipeline is stopped and started before.
    #[serde(default)]
    pub(crate) restart: bool,
    /// Another manifest from here on; the pipeline is stopped and started with it.
    pub(crate) pipeline: Option<String>,
    /// Another number of workers from here on; the pipeline is stopped and started with it.
    pub(crate) workers: Option<usize>,
    /// Whether the process ends when the sinks have committed, before the checkpoint has.
    #[serde(default)]
    pub(crate) lose_commit: bool,
    /// What is said when the pipeline stops in this step.
    pub(crate) fails: Option<String>,
    /// The clock, in seconds.
    pub(crate) now: Option<i64>,
    /// The rows that come out, in any order.
    pub(crate) out: Option<Vec<Vec<toml::Value>>>,
    /// The watermark the epoch with the rows ran with, in seconds.
    pub(crate) watermark: Option<f64>,
    /// The watermark afterwards, in seconds.
    pub(crate) next_watermark: Option<f64>,
    /// How many rows came too late.
    pub(crate) dropped: Option<u64>,
    /// How many keys are kept.
    pub(crate) state: Option<u64>,
    /// The same epoch by epoch.
    pub(crate) epochs: Option<Vec<EpochOfCase>>,
}

/// What is expected of one epoch.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EpochOfCase {
    /// The rows that come out, in any order.
    pub(crate) out: Vec<Vec<toml::Value>>,
    /// The watermark it ran with, in seconds.
    pub(crate) watermark: Option<f64>,
    /// How many rows came too late, keyed stage by keyed stage.
    pub(crate) dropped: Option<Vec<u64>>,
    /// How many keys are kept, keyed stage by keyed stage.
    pub(crate) state: Option<Vec<u64>>,
}

/// An event time as cases have it: seconds since 1970, with a fraction where there is one.
pub(crate) fn seconds(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let (whole, fraction) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
    match fraction {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction:06}").trim_end_matches('0').to_owned(),
    }
}
