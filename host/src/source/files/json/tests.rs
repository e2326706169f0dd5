//! What goes into which column, and what is said of what does not.

use std::fs;

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType},
    util::display::{ArrayFormatter, FormatOptions},
};

use super::super::{
    lines::ReadSizes,
    planned::PlannedFile,
    split::{Format, pieces},
};
use super::*;
use crate::source::testing::Collected;

pub(super) fn read(schema: SchemaRef, content: &[u8]) -> Collected {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.json");
    fs::write(&path, content).unwrap();
    let file = PlannedFile::observe(&path).unwrap().unwrap();
    let mut collected = Collected::default();
    for piece in pieces(vec![file], &Format::Json(schema), 1 << 20) {
        piece.read(&mut collected).unwrap();
    }
    collected
}

pub(super) fn declared(columns: &[(&str, DataType)]) -> SchemaRef {
    schema(&columns.iter().map(|(name, data_type)| ((*name).to_owned(), *data_type)).collect::<Vec<_>>())
}

fn rows(collected: &Collected) -> Vec<String> {
    let options = FormatOptions::new().with_null("null");
    let show = |batch: &RecordBatch, row: usize| {
        let cells = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string());
        cells.collect::<Vec<_>>().join(" ")
    };
    collected.batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| show(batch, row))).collect()
}

/// One value into one column: the value as shown, or the error.
fn one(data_type: DataType, json: &str) -> Result<String, String> {
    let collected = read(declared(&[("x", data_type)]), format!("{{\"x\":{json}}}\n").as_bytes());
    match collected.bad.first() {
        None => Ok(rows(&collected).remove(0)),
        Some(bad) => {
            assert!(collected.batches.is_empty(), "a bad row is not also a row");
            Err(bad.error.clone())
        }
    }
}

/// What each type takes.
#[test]
fn values_that_fit() {
    use DataType::*;
    let cases = [
        (Boolean, "true", "true"),
        (Int32, "-2147483648", "-2147483648"),
        (Int64, "9223372036854775807", "9223372036854775807"),
        (Float32, "1.5", "1.5"),
        (Float64, "3", "3.0"),
        (Float64, "18446744073709551615", "1.8446744073709552e19"),
        (Float64, "\"NaN\"", "NaN"),
        (Float32, "\"-Infinity\"", "-inf"),
        (Utf8, r#""a\u00e9\n""#, "aé\n"),
        (Binary, "\"AP8=\"", "00ff"),
        (Timestamp, "\"2026-01-31T08:00:00Z\"", "2026-01-31T08:00:00Z"),
        (Timestamp, "\"2026-01-31T08:00:00.123456+02:00\"", "2026-01-31T06:00:00.123456Z"),
        (Timestamp, "\"2026-01-31 08:00:00\"", "2026-01-31T08:00:00Z"),
        (Timestamp, "\"1969-12-31T23:59:59.9999999Z\"", "1969-12-31T23:59:59.999999Z"),
        (Timestamp, "1769846400", "2026-01-31T08:00:00Z"),
        (Date, "\"2026-01-31\"", "2026-01-31"),
    ];
    for (data_type, json, expected) in cases {
        assert_eq!(one(data_type, json).as_deref(), Ok(expected), "{json} as {}", data_type.name());
    }
    for data_type in DataType::ALL {
        assert_eq!(one(data_type, "null").as_deref(), Ok("null"));
    }
}

/// What each type refuses. The message names the column, the value and the type.
#[test]
fn values_that_do_not_fit() {
    use DataType::*;
    let cases = [
        (Boolean, "1", "column `x`: 1 is not a value of type boolean"),
        (Boolean, "\"true\"", "column `x`: \"true\" is not a value of type boolean"),
        (Int32, "2147483648", "column `x`: 2147483648 is outside the range of int32"),
        (Int32, "1.0", "column `x`: 1 is not a value of type int32"),
        (Int64, "18446744073709551615", "column `x`: 18446744073709551615 is outside the range of int64"),
        (Int64, "\"7\"", "column `x`: \"7\" is not a value of type int64"),
        (Int64, "[7]", "invalid type: sequence, expected int64 for column `x`"),
        (Float32, "1e39", "is outside the range of float32"),
        (Float64, "\"1.5\"", "column `x`: \"1.5\" is not a value of type float64"),
        (Utf8, "7", "column `x`: 7 is not a value of type utf8"),
        (Utf8, "{}", "invalid type: map, expected utf8 for column `x`"),
        (Binary, "\"***\"", "column `x`: \"***\" is not base64"),
        (Timestamp, "\"yesterday\"", "column `x`: \"yesterday\" is not a timestamp such as \"2026-01-31T08:00:00Z\""),
        (Timestamp, "1.5", "column `x`: 1.5 is not a value of type timestamp"),
        (Timestamp, "9223372036854775807", "is outside the range of timestamp"),
        (Date, "\"2026-02-30\"", "column `x`: \"2026-02-30\" is not a date such as \"2026-01-31\""),
        (Date, "\"2026-01-31T08:00:00Z\"", "is not a date"),
        (Date, "3", "column `x`: 3 is not a value of type date"),
    ];
    for (data_type, json, said) in cases {
        let error = one(data_type, json).expect_err(json);
        assert!(error.contains(said), "{json} as {}: {error}", data_type.name());
        assert!(!error.contains("line 1") && !error.contains('\n'), "{error}");
    }
    let error = one(Int64, &format!("\"{}\"", "long ".repeat(1000))).unwrap_err();
    assert!(error.len() < 200, "{error}");
}

/// Columns of every type side by side, keys in any order, keys nobody asked for, and keys that are missing.
#[test]
fn keys_find_their_columns() {
    let schema = declared(&[
        ("a", DataType::Int32),
        ("b", DataType::Utf8),
        ("c", DataType::Float64),
        ("d", DataType::Boolean),
        ("e", DataType::Binary),
    ]);
    let content = br#"{"a":1,"b":"x","c":0.5,"d":true,"e":"AA=="}
{"e":"AQ==","other":{"a":[1,{"b":"no"},"\u00e9"]},"d":false,"b":"","a":2}

{}
  {"a":3,"a":4,"b":null}  "#;
    let collected = read(schema, content);
    assert_eq!(collected.bad, []);
    assert_eq!(
        rows(&collected),
        ["1 x 0.5 true 00", "2  null false 01", "null null null null null", "4 null null null null"]
    );
    assert_eq!(collected.batches.len(), 1);
}

/// A bad line leaves nothing behind in any column, whatever was read of it before it turned out to be bad; its place
/// and the line are shown, and the lines around it are rows.
#[test]
fn a_bad_line_is_taken_back_whole() {
    let schema = declared(&[
        ("a", DataType::Int32),
        ("b", DataType::Utf8),
        ("c", DataType::Binary),
        ("d", DataType::Boolean),
        ("e", DataType::Timestamp),
    ]);
    let good = r#"{"a":1,"b":"x","c":"AA==","d":true,"e":0}"#;
    let bad = [
        (r#"{"a":7,"b":"lost","c":"AQ==","d":false,"e":"?"}"#, "column `e`"),
        (r#"{"a":7,"b":"lost","c":"AQIDBA*=","d":false}"#, "base64"),
        (r#"{"a":7,"b":"lost","d":false"#, "EOF"),
        (r#"{"a":7,"b":"lost"} trailing"#, "trailing"),
        (r#"{"a":7,"b":"\ud800"}"#, "at column"),
        ("[1]", "expected a JSON object"),
        ("7", "expected a JSON object"),
        ("nonsense", "at column"),
    ];
    let mut content = format!("{good}\n");
    for (line, _) in bad {
        content += &format!("{line}\n{good}\r\n");
    }
    let collected = read(schema, content.as_bytes());
    assert_eq!(rows(&collected), vec!["1 x 00 true 1970-01-01T00:00:00Z"; bad.len() + 1]);
    assert_eq!(collected.bad.len(), bad.len());
    for (at, (found, (line, said))) in collected.bad.iter().zip(bad).enumerate() {
        assert!(found.error.to_lowercase().contains(&said.to_lowercase()), "{line}: {}", found.error);
        assert_eq!(found.row, line);
        assert!(found.place.ends_with(&format!("in.json:{}", 2 * at + 2)), "{}", found.place);
    }
}

/// Lines made to harm: nested deeper than any stack, not UTF-8, too long. One bad row each, and the process lives.
#[test]
fn hostile_lines() {
    let mut content = Vec::new();
    for key in ["x", "unknown"] {
        for bracket in ["[", "{\"k\":"] {
            content.extend_from_slice(format!("{{\"{key}\":{}\n", bracket.repeat(100_000)).as_bytes());
        }
    }
    let wide = "[".repeat(62) + &"\"[\\\"[\",[],".repeat(1000) + "0" + &"]".repeat(62);
    content.extend_from_slice(format!("{{\"unknown\":{wide},\"x\":\"not deep\"}}\n").as_bytes());
    content.extend_from_slice(b"{\"x\":\"\xff\"}\n");
    content.extend_from_slice(format!("{{\"x\":\"{}\"}}\n", "y".repeat(1 << 20)).as_bytes());
    content.extend_from_slice(b"{\"x\":\"fine\"}\n");
    let collected = read(declared(&[("x", DataType::Utf8)]), &content);
    assert_eq!(rows(&collected), ["not deep", "fine"]);
    assert_eq!(collected.bad.len(), 6);
    assert!(collected.bad.iter().all(|bad| bad.row.len() <= line::EXCERPT_BYTES));
    assert!(collected.bad[2].error.contains("nested deeper than 64 levels"), "{}", collected.bad[2].error);
    assert!(collected.bad[4].error.contains("not UTF-8"), "{}", collected.bad[4].error);
    assert!(collected.bad[5].error.contains("max_line_bytes"), "{}", collected.bad[5].error);
}

/// Only the wanted columns are made, and only they are checked; with none wanted, rows still count.
#[test]
fn unwanted_columns_are_passed_over() {
    let content = b"{\"a\":\"not a number\",\"b\":\"x\"}\n{\"b\":\"y\"}\n";
    let collected = read(declared(&[("b", DataType::Utf8)]), content);
    assert_eq!(collected.texts(), ["x", "y"]);
    let collected = read(declared(&[]), content);
    assert_eq!((collected.bad.len(), collected.batches[0].num_rows()), (0, 2));
}

/// Batches are bounded, and every type's column starts afresh in the next one.
#[test]
fn columns_start_afresh_in_every_batch() {
    let schema = declared(&DataType::ALL.map(|data_type| (data_type.name(), data_type)));
    let line = r#"{"boolean":true,"int32":1,"int64":2,"float32":3,"float64":4,"utf8":"5","binary":"AA==","timestamp":6,"date":"1970-01-08"}"#;
    let collected = read(schema, format!("{line}\n").repeat(BATCH_ROWS + 1).as_bytes());
    assert_eq!(collected.batches.iter().map(RecordBatch::num_rows).sum::<usize>(), BATCH_ROWS + 1);
    assert!(collected.batches.len() > 1 && collected.batches.iter().all(|batch| batch.num_rows() <= BATCH_ROWS));
    let last = collected.batches.last().unwrap();
    let row = last.num_rows() - 1;
    assert!(last.column(0).as_boolean().value(row));
    assert_eq!(last.column(1).as_primitive::<Int32Type>().value(row), 1);
    assert_eq!(last.column(2).as_primitive::<Int64Type>().value(row), 2);
    assert_eq!(last.column(3).as_primitive::<Float32Type>().value(row), 3.0);
    assert_eq!(last.column(4).as_primitive::<Float64Type>().value(row), 4.0);
    assert_eq!(last.column(5).as_string::<i32>().value(row), "5");
    assert_eq!(last.column(6).as_binary::<i32>().value(row), [0]);
    assert_eq!(last.column(7).as_primitive::<TimestampMicrosecondType>().value(row), 6_000_000);
    assert_eq!(last.column(8).as_primitive::<Date32Type>().value(row), 7);
}

/// Batches are bounded by rows too, where many lines fit into a block, whichever way they are read.
#[test]
fn batches_of_short_lines_are_bounded() {
    for line in ["{\"x\":1}\n", "{\"\\u0078\":1}\n"] {
        let collected = read(declared(&[("x", DataType::Int32)]), line.repeat(2 * BATCH_ROWS + 1).as_bytes());
        let rows: Vec<_> = collected.batches.iter().map(RecordBatch::num_rows).collect();
        let in_chunk = ReadSizes::DEFAULT.chunk as usize / line.len();
        assert_eq!(rows, [BATCH_ROWS, in_chunk - BATCH_ROWS, 2 * BATCH_ROWS + 1 - in_chunk], "{line}");
    }
}
