//! Which rows a sink takes.

use std::path::PathBuf;

use arrow::datatypes::{DataType as Arrow, Field};

use super::*;
use crate::manifest::{ConsoleSink, FilesSink, MemorySink};

fn schema(columns: &[(&str, Arrow)]) -> Schema {
    Schema::new(columns.iter().map(|(name, arrow)| Field::new(*name, arrow.clone(), true)).collect::<Vec<_>>())
}

fn files(format: OutputFormat) -> SinkConnector {
    SinkConnector::Files(FilesSink { path: PathBuf::from("out"), format })
}

/// A files sink must refuse what it cannot do before anything runs, and say what to do instead.
#[test]
fn files_take_what_files_can_hold() {
    let words = schema(&[("word", Arrow::Utf8), ("count", Arrow::Int64)]);
    let line = schema(&[("line", Arrow::Utf8)]);
    for format in [OutputFormat::Json, OutputFormat::Csv] {
        assert_eq!(accepts(&files(format), OutputMode::Append, &words), Ok(()));
    }
    assert_eq!(accepts(&files(OutputFormat::Text), OutputMode::Append, &line), Ok(()));

    let refused = |format, mode, schema| accepts(&files(format), mode, schema).expect_err("it is impossible");
    for (mode, name) in [(OutputMode::Update, "update"), (OutputMode::Complete, "complete")] {
        let error = refused(OutputFormat::Json, mode, &words);
        assert!(error.contains(&format!("mode = \"{name}\"")) && error.contains("over = \"batch\""), "{error}");
    }
    let error = refused(OutputFormat::Text, OutputMode::Append, &words);
    assert!(error.contains("word: utf8, count: int64") && error.contains("select = [\"... as value\"]"), "{error}");
    refused(OutputFormat::Text, OutputMode::Append, &schema(&[("count", Arrow::Int64)]));
}

/// Console and memory show whatever there is.
#[test]
fn console_and_memory_take_everything() {
    let console = SinkConnector::Console(ConsoleSink { rows: 20, truncate: Some(20) });
    let memory = SinkConnector::Memory(MemorySink { max_rows: 10 });
    for mode in [OutputMode::Append, OutputMode::Update, OutputMode::Complete] {
        for connector in [&console, &memory] {
            assert_eq!(accepts(connector, mode, &schema(&[("count", Arrow::Int64)])), Ok(()));
        }
    }
}
