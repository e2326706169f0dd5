//! The manifest: a pipeline as its author writes it, parsed and checked as far as one file can be by itself.
//!
//! Whether columns fit together is `plan`'s affair, which asks the plugins. Here: TOML, unknown keys, wrong types,
//! names, and that `inputs` lead somewhere without a circle. Every error carries its place in the file.

mod connector;
mod diagnostic;
mod graph;
mod join;
mod meaning;
mod overrides;
mod parse;
mod plugin;
mod reference;
mod section;
mod source_text;
mod syntax;
#[cfg(test)]
mod tests;
mod time;
mod transform;
mod value;

use std::{fmt, ops::Range as Span, path::PathBuf, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    model::{DataType, Digest, EventTime, PartName},
    watermark::Policy,
};

pub use diagnostic::{Diagnostic, Diagnostics};
pub use overrides::Override;
pub use parse::{parse, parse_with};
pub use source_text::SourceText;
pub use value::parse_duration;

/// A pipeline.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    /// The pipeline's name.
    pub name: String,
    /// When epochs start.
    pub trigger: Trigger,
    /// How many workers; none for one a core.
    pub workers: Option<usize>,
    /// Where the checkpoint is kept; none for `.tidemill/NAME` beside the manifest.
    pub checkpoint: Option<PathBuf>,
    /// What happens to a row that cannot be processed.
    pub bad_rows: BadRows,
    /// How the watermarks of several inputs become one.
    pub watermarks: WatermarkSettings,
    /// Limits on every call of a plugin, and on state in memory.
    pub limits: Limits,
    /// The plugins, in the order of the file.
    pub plugins: Vec<PluginSpec>,
    /// The sources, in the order of the file.
    pub sources: Vec<SourceSpec>,
    /// The tables, in the order of the file.
    pub tables: Vec<TableSpec>,
    /// The transforms, each after its inputs.
    pub transforms: Vec<TransformSpec>,
    /// The sinks, in the order of the file.
    pub sinks: Vec<SinkSpec>,
    /// The text that all the spans point into.
    #[serde(skip)]
    pub source: Arc<SourceText>,
    /// The identity of all it says that bears on the rows of an epoch.
    #[serde(skip)]
    pub meaning: Digest,
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

impl Manifest {
    /// An empty list, for faults that only a later check can find.
    pub fn diagnostics(&self) -> Diagnostics {
        Diagnostics::of(Arc::clone(&self.source))
    }
}

/// When epochs start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// On a grid of this interval.
    Every(#[serde(serialize_with = "value::serialize_duration")] Duration),
    /// One epoch with everything there is, then stop.
    Once,
    /// As many epochs as it takes to read what was there at the start, then stop.
    AvailableNow,
    /// The next as soon as there are rows.
    Continuous,
}

/// What happens to a row that cannot be read or that a function refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadRows {
    /// It goes to the sinks that take `dead_letters`, or into the log when there is none, and the pipeline runs on.
    SetAside,
    /// The pipeline stops before the epoch commits.
    Stop,
}

/// How the watermarks of several inputs become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WatermarkSettings {
    /// Which input decides. Once a checkpoint knows it, it stays.
    pub policy: Policy,
    /// Whether a restart remembers how far each input was. Spark's does not: it starts from the watermark they made together.
    pub remember_leads: bool,
}

impl Default for WatermarkSettings {
    fn default() -> Self {
        WatermarkSettings { policy: Policy::Min, remember_leads: false }
    }
}

/// Limits on plugins, per call and per instance, and on state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// How long one call may run.
    #[serde(serialize_with = "value::serialize_duration")]
    pub call_timeout: Duration,
    /// How much memory an instance may have, in bytes.
    pub memory: u64,
    /// How much keyed state stays in memory between epochs, in bytes; the rest is read when it is needed.
    pub state: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { call_timeout: Duration::from_secs(10), memory: 256 << 20, state: 2 << 30 }
    }
}

/// A value and where it stands in the file, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place in the manifest's [`SourceText`].
    #[serde(skip)]
    pub span: Span<usize>,
}

/// A plugin the pipeline calls.
#[derive(Debug, Clone, Serialize)]
pub struct PluginSpec {
    /// The name that `call` uses.
    pub name: Spanned<String>,
    /// Where it comes from.
    pub origin: Spanned<PluginOrigin>,
    /// The SHA-256 its file must have, in hexadecimal.
    pub sha256: Option<Spanned<String>>,
}

/// Where a plugin comes from. Paths are resolved against the manifest's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginOrigin {
    /// The folder of a crate, built on demand.
    Crate(PathBuf),
    /// A finished .wasm file.
    Path(PathBuf),
}

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
    pub max_file_age: Option<Duration>,
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

/// A transform: `where` on what comes in, then at most one operation, then `select` on what goes out.
#[derive(Debug, Clone, Serialize)]
pub struct TransformSpec {
    /// Its name.
    pub name: Spanned<PartName>,
    /// Where its rows come from; several are a union.
    pub inputs: Vec<Spanned<Input>>,
    /// The SQL condition for which rows come in.
    pub filter: Option<Spanned<String>>,
    /// What it does in between.
    pub operation: Option<Operation>,
    /// SQL expressions, each `expression` or `expression as name`.
    pub select: Option<Vec<Spanned<String>>>,
    /// How far the event time of its rows is complete.
    pub watermark: Option<WatermarkSpec>,
}

/// One end of an edge: a part, or an outlet of a batch handler (`route.errors`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Input {
    /// The part.
    pub part: PartName,
    /// The outlet, when the part is a batch handler.
    pub outlet: Option<String>,
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outlet {
            Some(outlet) => write!(f, "{}.{outlet}", self.part),
            None => self.part.fmt(f),
        }
    }
}

/// What a transform does.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Calls a function of a plugin.
    Call(CallSpec),
    /// Groups rows by key and aggregates them.
    Group(GroupSpec),
    /// Keeps the first row of each key.
    Distinct(DistinctSpec),
    /// Calls a function that keeps a state of each key.
    Update(UpdateSpec),
    /// Joins two inputs.
    Join(JoinSpec),
}

impl Operation {
    /// Whether it joins two streams, so that its inputs are not one.
    pub fn joins_streams(&self) -> bool {
        matches!(self, Operation::Join(join) if join.table.is_none())
    }
}

/// A call of a function of a plugin.
#[derive(Debug, Clone, Serialize)]
pub struct CallSpec {
    /// The function.
    pub function: Spanned<FunctionName>,
    /// Its config, as JSON.
    pub config: Option<Spanned<serde_json::Value>>,
    /// Which column or SQL expression of the input each of the function's columns is read from, where the names differ.
    pub columns: Vec<(Spanned<String>, Spanned<String>)>,
    /// Columns of the input to carry along beside what the function returns.
    pub keep: Vec<Spanned<String>>,
    /// Which rows of a result a batch handler is called with; none for the mode that fits.
    pub mode: Option<Spanned<OutputMode>>,
}

/// `plugin.function`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunctionName {
    /// The plugin's name in the manifest.
    pub plugin: String,
    /// The function's name in the plugin.
    pub function: String,
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.plugin, self.function)
    }
}

/// A grouped aggregation.
#[derive(Debug, Clone, Serialize)]
pub struct GroupSpec {
    /// SQL expressions, each `expression` or `expression as name`; empty for one group of all rows.
    pub by: Vec<Spanned<String>>,
    /// What is computed for each group.
    pub aggregate: Aggregate,
    /// How far back a group reaches.
    pub extent: Extent,
    /// For how long after its end a window still takes late rows, each of which makes its result come out anew.
    pub allowed_lateness: Option<Spanned<Duration>>,
}

/// What is computed for each group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregate {
    /// Column name and SQL aggregate: `count = "count(*)"`.
    Sql(Vec<(Spanned<String>, Spanned<String>)>),
    /// A reducer of a plugin.
    Reduce(CallSpec),
}

/// How far back a group reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// All rows so far: a running total.
    All,
    /// The rows of one epoch.
    Batch,
    /// The rows of the last epochs.
    Batches(BatchesSpec),
    /// A window of event time.
    Window(WindowSpec),
    /// Rows that follow each other closely in event time.
    Session(SessionSpec),
}

/// Windows over the last epochs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchesSpec {
    /// How many epochs a window has.
    pub size: u64,
    /// After how many epochs the next one ends.
    pub slide: u64,
    /// Whether what leaves a window is taken out by the inverse function of the reducer.
    pub inverse: bool,
    /// An SQL condition on the result: keys for which it does not hold are forgotten.
    pub keep: Option<Spanned<String>>,
    /// Where all this is said.
    #[serde(skip)]
    pub span: Span<usize>,
}

/// Windows of event time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowSpec {
    /// The event time: a column, an expression, or `window` for the windows of the rows that come in.
    pub on: Spanned<String>,
    /// How long a window is.
    #[serde(serialize_with = "value::serialize_duration")]
    pub size: Duration,
    /// How long after one window the next begins.
    #[serde(serialize_with = "value::serialize_duration")]
    pub slide: Duration,
    /// Where windows begin, in microseconds from 1970.
    pub offset: i64,
}

/// Sessions of event time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionSpec {
    /// The event time: a column or an expression.
    pub on: Spanned<String>,
    /// After so long without a row a session is over.
    pub gap: Gap,
}

/// After how long a session is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gap {
    /// Always the same.
    Fixed(#[serde(serialize_with = "value::serialize_duration")] Duration),
    /// An SQL expression: seconds, for each row.
    PerRow(Spanned<String>),
}

/// A function that keeps a state of each key.
#[derive(Debug, Clone, Serialize)]
pub struct UpdateSpec {
    /// SQL expressions, each `expression` or `expression as name`: the key.
    pub by: Vec<Spanned<String>>,
    /// The function.
    pub call: CallSpec,
    /// Whether every known key is visited in every epoch, also without new rows.
    pub visit_all: bool,
    /// The column of the function's rows that holds their event time.
    pub event_time: Option<Spanned<String>>,
}

/// A join of two inputs: the left one and the right one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JoinSpec {
    /// The table, when it is not a second stream.
    pub table: Option<Spanned<String>>,
    /// What must be equal: a column of both, or `left = right`.
    pub on: Vec<Spanned<String>>,
    /// How far from the left in time the right may be.
    pub within: Option<Spanned<Within>>,
    /// Whether rows of the left that nothing matches come out too.
    pub outer: bool,
    /// Where all this is said.
    #[serde(skip)]
    pub span: Span<usize>,
}

/// How far from a row of the left in time one of the right may be; none for any distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Within {
    /// How much earlier.
    pub before: Option<Bound>,
    /// How much later.
    pub after: Option<Bound>,
}

/// How far apart in time two rows may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// So far.
    pub distance: Duration,
    /// Whether they must be closer than that.
    pub strict: bool,
}

impl Bound {
    /// Whether a time is near enough behind another.
    pub fn reaches(self, from: EventTime, to: EventTime) -> bool {
        let last = from.after(self.distance);
        to < last || (to == last && !self.strict)
    }

    /// How far the watermark must be past a time before nothing within the bound can come any more. A bound that is not strict
    /// still belongs to it, so that is just after the bound; Spark reckons in milliseconds here, and whether an epoch sooner or
    /// later must be the same.
    pub fn wait(self) -> Duration {
        match self.strict {
            true => self.distance,
            false => self.distance + Duration::from_millis(1),
        }
    }
}

/// `less than 5s`.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", if self.strict { "less than" } else { "at most" }, self.distance)
    }
}

/// The first row of each key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DistinctSpec {
    /// SQL expressions that make up the key; none for all columns.
    pub by: Vec<Spanned<String>>,
    /// Forget a key when the watermark has passed its first row by the delay.
    pub within_watermark: bool,
}

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
