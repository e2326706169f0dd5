//! Sources and tables: what a pipeline reads.

use std::{path::PathBuf, time::Duration};

use serde::Serialize;

use super::Spanned;
use crate::{
    manifest::value,
    model::{DataType, PartName},
};

/// A source.
#[derive(Debug, Clone, Serialize)]
pub struct SourceSpec {
    /// Its name.
    pub name: Spanned<PartName>,
    /// How far its event time is complete.
    pub watermark: Option<WatermarkSpec>,
    /// What it connects to.
    pub connector: SourceConnector,
}

impl SourceSpec {
    /// The same source with all it has in one epoch: for the trigger once.
    pub fn without_limits(&self) -> Self {
        let mut unlimited = self.clone();
        if let SourceConnector::Files(files) = &mut unlimited.connector {
            files.max_files_per_trigger = None;
            files.max_bytes_per_trigger = None;
        }
        unlimited
    }
}

/// The watermark of an input: the latest event time seen, less a delay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WatermarkSpec {
    /// The column of event times.
    pub on: Spanned<String>,
    /// How late a row may be.
    #[serde(serialize_with = "value::serialize_duration")]
    pub delay: Duration,
    /// After so long without rows the input, or a partition, no longer holds the others back; none for never.
    pub idle: Option<Duration>,
    /// A column by whose values the input is partitioned; the slowest partition decides.
    pub per: Option<Spanned<String>>,
}

/// The settings of a source, by `type`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum SourceConnector {
    /// `type = "socket"`
    Socket(SocketSource),
    /// `type = "files"`
    Files(FilesSource),
    /// `type = "rate"`
    Rate(RateSource),
}

/// Lines of text from a TCP server. One column: `value: utf8`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SocketSource {
    /// `host:port` to connect to.
    pub address: String,
    /// A longer line is a bad row.
    pub max_line_bytes: usize,
    /// How many bytes of lines may wait for the next epoch; when full, the socket is not read.
    pub buffer_bytes: usize,
}

/// Files of a folder or glob, each read once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilesSource {
    /// A file, a folder, or a glob, resolved against the manifest's folder.
    pub path: PathBuf,
    /// How a file's bytes become rows.
    pub format: FileFormat,
    /// At most so many files an epoch.
    pub max_files_per_trigger: Option<usize>,
    /// Stop adding files to an epoch when they have so many bytes; always at least one file.
    pub max_bytes_per_trigger: Option<u64>,
    /// Newest files first.
    pub latest_first: bool,
    /// Ignore files older than the newest seen by more than this.
    pub max_file_age: Duration,
    /// A longer line is a bad row.
    pub max_line_bytes: usize,
}

/// How a file's bytes become rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "format", rename_all = "kebab-case")]
pub enum FileFormat {
    /// A line a row. One column: `value: utf8`.
    Text,
    /// A JSON object a line, with these columns. A missing key or null is a null; other keys are ignored.
    Json {
        /// The columns, in order.
        schema: Vec<(String, DataType)>,
    },
}

/// Generated rows, for demos and benchmarks. Columns: `timestamp: timestamp`, `value: int64` counting from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateSource {
    /// How many rows for each second that passes.
    pub rows_per_second: u64,
    /// Stop offering rows after so many; none for no end.
    pub rows: Option<u64>,
}

/// A table that streams are joined with: a file that is read anew when it has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableSpec {
    /// Its name.
    pub name: String,
    /// The file, resolved against the manifest's folder.
    pub path: PathBuf,
    /// How its bytes become rows.
    pub format: TableFormat,
    /// The columns, in order.
    pub schema: Vec<(String, DataType)>,
}

/// How a table's bytes become rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableFormat {
    /// A JSON object a line.
    Json,
    /// Comma-separated values with a header line.
    Csv,
}
