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
mod spec;
mod syntax;
#[cfg(test)]
mod tests;
mod time;
mod transform;
mod value;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use overrides::Override;
pub use parse::{parse, parse_with};
pub use source_text::SourceText;
pub use spec::{
    Aggregate, BadRows, BatchesSpec, Bound, CallSpec, ConsoleSink, DistinctSpec, Extent, FileFormat, FilesSink,
    FilesSource, FunctionName, Gap, GroupSpec, Input, JoinSpec, Limits, Manifest, MemorySink, Operation, OutputFormat,
    OutputMode, PluginOrigin, PluginSpec, RateSource, SessionSpec, SinkConnector, SinkSpec, SocketSource,
    SourceConnector, SourceSpec, Spanned, TableFormat, TableSpec, TransformSpec, Trigger, UpdateSpec,
    WatermarkSettings, WatermarkSpec, WindowSpec, Within,
};
pub use value::parse_duration;
