//! What a manifest says, once it has been parsed. `Spanned` remembers where, for checks that come later.

mod join;
mod settings;
mod sink;
mod source;
mod transform;

use std::{ops::Range as Span, path::PathBuf, sync::Arc};

use serde::Serialize;

use super::{Diagnostics, SourceText};
use crate::model::Digest;

pub use join::{Bound, JoinSpec, Within};
pub use settings::{BadRows, Limits, Trigger, WatermarkSettings};
pub use sink::{ConsoleSink, FilesSink, MemorySink, OutputFormat, OutputMode, SinkConnector, SinkSpec};
pub use source::{
    FileFormat, FilesSource, RateSource, SocketSource, SourceConnector, SourceSpec, TableFormat, TableSpec,
    WatermarkSpec,
};
pub use transform::{
    Aggregate, BatchesSpec, CallSpec, DistinctSpec, Extent, FunctionName, Gap, GroupSpec, Input, Operation,
    SessionSpec, TransformSpec, UpdateSpec, WindowSpec,
};

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

impl Manifest {
    /// An empty list, for faults that only a later check can find.
    pub fn diagnostics(&self) -> Diagnostics {
        Diagnostics::of(Arc::clone(&self.source))
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
