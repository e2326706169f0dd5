//! How a case is written down.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// Its number in our list, and what it shows.
    pub(crate) id: String,
    /// Where its figures come from.
    pub(crate) from: String,
    /// The manifest, less what the harness adds: sources read JSON lines, and the sink is a table in memory.
    pub(crate) pipeline: String,
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
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Rows by source, each a JSON object.
    #[serde(default)]
    pub(crate) rows: BTreeMap<String, Vec<String>>,
    /// Files that are written before.
    #[serde(default)]
    pub(crate) files: Vec<TextFile>,
    /// Whether the pipeline is stopped and started before.
    #[serde(default)]
    pub(crate) restart: bool,
    /// Another manifest from here on; the pipeline is stopped and started with it.
    pub(crate) pipeline: Option<String>,
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
    pub(crate) watermark: Option<i64>,
    /// The watermark afterwards, in seconds.
    pub(crate) next_watermark: Option<i64>,
    /// How many rows came too late.
    pub(crate) dropped: Option<u64>,
    /// How many keys are kept.
    pub(crate) state: Option<u64>,
}
