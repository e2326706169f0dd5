//! Sinks.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::{Input, Spanned};
use crate::model::PartName;

/// A sink.
#[derive(Debug, Clone, Serialize)]
pub struct SinkSpec {
    /// Its name.
    pub name: Spanned<PartName>,
    /// Where its rows come from: parts, or [`SinkSpec::DEAD_LETTERS`].
    pub inputs: Vec<Spanned<Input>>,
    /// Which rows of a running aggregate it takes; none for the mode that fits.
    pub mode: Option<Spanned<OutputMode>>,
    /// What it connects to.
    pub connector: SinkConnector,
}

impl SinkSpec {
    /// The name of the input that brings rows which could not be processed. No part may have it.
    pub const DEAD_LETTERS: &'static str = "dead_letters";
}

/// Which rows of a result a sink takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputMode {
    /// Rows that will never change again.
    Append,
    /// Rows that changed in this epoch.
    Update,
    /// All rows, every epoch.
    Complete,
}

impl fmt::Display for OutputMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OutputMode::Append => "append",
            OutputMode::Update => "update",
            OutputMode::Complete => "complete",
        })
    }
}

/// The settings of a sink, by `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum SinkConnector {
    /// `type = "console"`
    Console(ConsoleSink),
    /// `type = "files"`
    Files(FilesSink),
    /// `type = "memory"`
    Memory(MemorySink),
}

/// A table on standard output for each epoch. At-least-once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsoleSink {
    /// How many rows to show.
    pub rows: usize,
    /// Cut values longer than this many characters; none to show them whole.
    pub truncate: Option<usize>,
}

/// Files in a folder, a set for each epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilesSink {
    /// The folder, resolved against the manifest's folder.
    pub path: PathBuf,
    /// How rows become bytes.
    pub format: OutputFormat,
}

/// How rows become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// The one utf8 column of the rows, a line each.
    Text,
    /// A JSON object a line.
    Json,
    /// Comma-separated values with a header line.
    Csv,
}

/// A table in memory, for tests and queries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemorySink {
    /// Keep at most so many rows, the newest; a running pipeline must not grow without bound.
    pub max_rows: usize,
}
