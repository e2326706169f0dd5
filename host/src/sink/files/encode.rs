//! Rows as the bytes of a file.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch, StringArray},
    csv,
    datatypes::{DataType, Field, Schema},
    error::ArrowError,
    json,
};
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::manifest::OutputFormat;

/// Every format.
pub(super) const FORMATS: [OutputFormat; 3] = [OutputFormat::Text, OutputFormat::Json, OutputFormat::Csv];

/// What a file in this format is known by.
pub(super) fn extension(format: OutputFormat) -> &'static str {
    match format {
        OutputFormat::Text => "txt",
        OutputFormat::Json => "jsonl",
        OutputFormat::Csv => "csv",
    }
}

/// Appends rows. `first` when they are the first of their file.
pub(super) fn rows(
    format: OutputFormat,
    rows: &RecordBatch,
    first: bool,
    bytes: &mut Vec<u8>,
) -> Result<(), ArrowError> {
    match format {
        OutputFormat::Text => {
            // The one column there is: it was checked before anything ran. A null is an empty line, as in Spark.
            for value in rows.column(0).as_string::<i32>() {
                bytes.extend_from_slice(value.unwrap_or_default().as_bytes());
                bytes.push(b'\n');
            }
            Ok(())
        }
        OutputFormat::Json => {
            let mut writer = json::LineDelimitedWriter::new(bytes);
            writer.write(&binary_as_base64(rows)?)?;
            writer.finish()
        }
        OutputFormat::Csv => csv::WriterBuilder::new().with_header(first).build(bytes).write(&binary_as_base64(rows)?),
    }
}

/// Bytes as base64, which is how the files source reads them, and Spark. Arrow would write hexadecimal digits.
fn binary_as_base64(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if rows.schema().fields().iter().all(|field| field.data_type() != &DataType::Binary) {
        return Ok(rows.clone());
    }
    let encoded = |field: &Arc<Field>, column: &ArrayRef| match field.data_type() {
        DataType::Binary => {
            let values = column.as_binary::<i32>().iter();
            let text: StringArray = values.map(|value| value.map(|value| BASE64_STANDARD.encode(value))).collect();
            (Arc::new(Field::new(field.name(), DataType::Utf8, field.is_nullable())), Arc::new(text) as ArrayRef)
        }
        _ => (field.clone(), column.clone()),
    };
    let schema = rows.schema();
    let (fields, columns): (Vec<_>, Vec<_>) =
        schema.fields().iter().zip(rows.columns()).map(|(field, column)| encoded(field, column)).unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
