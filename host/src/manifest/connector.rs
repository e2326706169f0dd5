//! Sources and sinks: what they share, then the settings of each `type`.

use std::{path::Path, time::Duration};

use super::{
    ConsoleSink, Diagnostic, FileFormat, FilesSink, FilesSource, MemorySink, OutputFormat, OutputMode, RateSource,
    SinkConnector, SinkSpec, SocketSource, SourceConnector, SourceSpec, Spanned,
    graph::{Graph, Kind, Node},
    reference,
    section::Section,
    time, value,
};
use crate::model::{DataType, PartName, nearest};

const MIB: u64 = 1 << 20;

/// How long a line may be: enough for any log, and too little to fill the memory.
const LINE: u64 = 16 * MIB;

/// A column of text has 32-bit offsets; half of that leaves room for a second line.
const LONGEST_LINE: u64 = 1 << 30;

/// How many bytes of lines may wait for an epoch.
const BUFFER: u64 = 64 * MIB;

/// Spark's `maxFileAge`.
const FILE_AGE: Duration = Duration::from_secs(7 * 86_400);

/// Spark's `numRows` and the width at which its console cuts.
const ROWS: usize = 20;
const WIDTH: usize = 20;

/// About a gigabyte of small rows.
const MEMORY_ROWS: usize = 10_000_000;

type Reader<T> = fn(&mut Section<'_, '_>, &Path) -> Option<T>;

const SOURCES: [(&str, Reader<SourceConnector>); 3] = [("socket", socket), ("files", files), ("rate", rate)];

const SINKS: [(&str, Reader<SinkConnector>); 3] = [("console", console), ("files", files_sink), ("memory", memory)];

pub(super) const MODES: [(&str, OutputMode); 3] =
    [("append", OutputMode::Append), ("update", OutputMode::Update), ("complete", OutputMode::Complete)];

/// Reads `[sources.NAME]`.
pub(super) fn source(
    name: Spanned<String>,
    section: &mut Section<'_, '_>,
    base: &Path,
    graph: &mut Graph,
) -> Option<SourceSpec> {
    let name = Spanned { value: PartName::new(name.value), span: name.span };
    graph.nodes.push(Node { kind: Kind::Source, name: name.clone(), inputs: Vec::new() });
    section.require("type", r#"type = "socket""#);
    let read = section.choice("type", &SOURCES)?;
    let watermark = time::watermark(section);
    let connector = (read.value)(section, base)?;
    Some(SourceSpec { name, watermark, connector })
}

/// Reads `[sinks.NAME]`.
pub(super) fn sink(
    name: Spanned<String>,
    section: &mut Section<'_, '_>,
    base: &Path,
    graph: &mut Graph,
) -> Option<SinkSpec> {
    let name = Spanned { value: PartName::new(name.value), span: name.span };
    let inputs = reference::inputs(section);
    graph.nodes.push(Node { kind: Kind::Sink, name: name.clone(), inputs: inputs.clone() });
    section.require("type", r#"type = "console""#);
    let read = section.choice("type", &SINKS);
    let mode = section.choice("mode", &MODES);
    let connector = (read?.value)(section, base)?;
    Some(SinkSpec { name, inputs, mode, connector })
}

fn socket(section: &mut Section<'_, '_>, _base: &Path) -> Option<SourceConnector> {
    section.require("address", r#"address = "127.0.0.1:9999""#);
    let address =
        section.string_that("address", "an address", r#"`host:port`, as in "127.0.0.1:9999""#, value::is_address);
    let line = section.size("max_line_bytes", 1..=LONGEST_LINE);
    let buffer = section.size("buffer_bytes", 1..=u64::MAX);
    section.refuse_unknown("a socket source");

    if let (Some(line), Some(buffer)) = (&line, &buffer)
        && buffer.value < line.value
    {
        let message = format!("the buffer of {} is smaller than a line may be", section.name());
        let small = Diagnostic::error(message)
            .at(buffer.span.clone(), "the buffer")
            .also(line.span.clone(), "the longest line");
        section.problem(small.help("a line must fit into the buffer; make the one larger or the other smaller"));
    }
    // Who sets one of the two gets a default for the other that fits.
    let line_bytes =
        line.as_ref().map_or_else(|| buffer.as_ref().map_or(LINE, |b| b.value.min(LINE)), |line| line.value);
    let buffer_bytes = buffer.map_or_else(|| line_bytes.max(BUFFER), |buffer| buffer.value);
    Some(SourceConnector::Socket(SocketSource {
        address: address?.value,
        max_line_bytes: bytes(line_bytes),
        buffer_bytes: bytes(buffer_bytes),
    }))
}

fn files(section: &mut Section<'_, '_>, base: &Path) -> Option<SourceConnector> {
    #[derive(Clone, Copy, PartialEq)]
    enum Format {
        Text,
        Json,
    }
    section.require("path", r#"path = "logs/*.log""#);
    let path = section.string("path");
    let format = section.choice("format", &[("text", Format::Text), ("json", Format::Json)]);
    section.get("schema");
    let max_files_per_trigger = section.count("max_files_per_trigger", 1..=u32::MAX);
    let max_bytes_per_trigger = section.size("max_bytes_per_trigger", 1..=u64::MAX);
    let latest_first = section.bool("latest_first").unwrap_or(false);
    let max_file_age = section.duration("max_file_age").unwrap_or(FILE_AGE);
    let max_line_bytes = section.size("max_line_bytes", 1..=LONGEST_LINE).map_or(LINE, |size| size.value);
    section.refuse_unknown("a files source");

    let text = section.key("format").is_none() || format.as_ref().is_some_and(|format| format.value == Format::Text);
    let format = match (section.key("schema"), format) {
        (Some(span), _) if text => {
            let message = format!("{} reads lines of text, so its `schema` says nothing", section.name());
            let idle = Diagnostic::error(message).at(span, "goes with `format = \"json\"` only");
            section.problem(
                idle.help("a line of text is one column, `value: utf8`; add `format = \"json\"`, or take `schema` out"),
            );
            None
        }
        (None, Some(_)) if !text => {
            section.require("schema", r#"schema = { time = "timestamp", level = "utf8", status = "int32" }"#);
            None
        }
        (Some(_), Some(_)) => Some(FileFormat::Json { schema: columns(section)? }),
        _ => text.then_some(FileFormat::Text),
    };
    Some(SourceConnector::Files(FilesSource {
        path: value::path(base, &path?.value),
        format: format?,
        max_files_per_trigger,
        max_bytes_per_trigger: max_bytes_per_trigger.map(|size| size.value),
        latest_first,
        max_file_age,
        max_line_bytes: bytes(max_line_bytes),
    }))
}

/// The columns that `schema` declares, in their order.
pub(super) fn columns(section: &mut Section<'_, '_>) -> Option<Vec<(String, DataType)>> {
    let span = section.key("schema")?;
    let schema = section.string_table("schema")?;
    if schema.is_empty() {
        let message = format!("the schema of {} has no columns", section.name());
        section.problem(Diagnostic::error(message).at(span, "name at least one, with its type"));
    }
    Some(schema.into_iter().filter_map(|(name, text)| Some((name.value, data_type(section, &text)?))).collect())
}

fn data_type(section: &mut Section<'_, '_>, text: &Spanned<String>) -> Option<DataType> {
    let data_type = DataType::from_name(&text.value);
    if data_type.is_none() {
        let names = DataType::ALL.map(DataType::name);
        let label = nearest(&text.value, names).map(|near| format!("did you mean \"{near}\"?")).unwrap_or_default();
        let unknown = Diagnostic::error(format!("there is no data type `{}`", text.value)).at(text.span.clone(), label);
        section.problem(unknown.help(format!("data types: {}", names.join(", "))));
    }
    data_type
}

fn rate(section: &mut Section<'_, '_>, _base: &Path) -> Option<SourceConnector> {
    // A nanosecond is the shortest time between two rows.
    let rows_per_second = section.integer("rows_per_second", 1..=1_000_000_000).unwrap_or(1);
    let rows = section.integer("rows", 1..=u64::MAX);
    section.refuse_unknown("a rate source");
    Some(SourceConnector::Rate(RateSource { rows_per_second, rows }))
}

fn console(section: &mut Section<'_, '_>, _base: &Path) -> Option<SinkConnector> {
    let rows = section.count("rows", 1..=1_000_000).unwrap_or(ROWS);
    let truncate = match section.get("truncate").and_then(|value| value.get_ref().as_bool()) {
        Some(cut) => cut.then_some(WIDTH),
        None => Some(section.count("truncate", 1..=1_000_000).unwrap_or(WIDTH)),
    };
    section.refuse_unknown("a console sink");
    Some(SinkConnector::Console(ConsoleSink { rows, truncate }))
}

fn files_sink(section: &mut Section<'_, '_>, base: &Path) -> Option<SinkConnector> {
    section.require("path", r#"path = "out""#);
    section.require("format", r#"format = "json""#);
    let path = section.string("path");
    let format = section
        .choice("format", &[("text", OutputFormat::Text), ("json", OutputFormat::Json), ("csv", OutputFormat::Csv)]);
    section.refuse_unknown("a files sink");
    Some(SinkConnector::Files(FilesSink { path: value::path(base, &path?.value), format: format?.value }))
}

fn memory(section: &mut Section<'_, '_>, _base: &Path) -> Option<SinkConnector> {
    let max_rows = section.count("max_rows", 1..=u32::MAX).unwrap_or(MEMORY_ROWS);
    section.refuse_unknown("a memory sink");
    Some(SinkConnector::Memory(MemorySink { max_rows }))
}

/// A size as the machine counts; a buffer larger than its addresses is as good as one without an end.
fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
