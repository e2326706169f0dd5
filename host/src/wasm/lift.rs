//! A batch on its way out of a guest: vectors that become Arrow's buffers without another copy, after everything a
//! guest could have got wrong has been checked.

use std::{fmt, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int32Array, Int64Array,
        RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
    },
    buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer},
    datatypes::{DataType, Field, SchemaRef},
};

use super::bindings::tidemill::plugin::types::{BatchResult, ColumnResult, ValuesResult, VariableResult};
use crate::model::type_name;

/// Takes a batch over, checking it against the schema the plugin described.
pub(super) fn batch(batch: BatchResult, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let described = schema.fields().len();
    if batch.columns.len() != described {
        return Err(format!("returned {} columns where it describes {described}", batch.columns.len()));
    }
    let rows = batch.rows as usize;
    let columns = batch
        .columns
        .into_iter()
        .zip(schema.fields())
        .map(|(column_in, field)| column(column_in, field, rows))
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|error| error.to_string())
}

/// Takes a column of states over.
pub(super) fn states(states: ColumnResult, rows: usize) -> Result<BinaryArray, String> {
    let field = Field::new("states", DataType::Binary, true);
    let array = column(states, &field, rows)?;
    Ok(arrow::array::AsArray::as_binary::<i32>(&array).clone())
}

/// Takes a filter's bitmap over.
pub(super) fn selection(bits: Vec<u8>, rows: usize) -> Result<BooleanBuffer, String> {
    bitmap(bits, rows).map_err(|error| format!("returned a selection that {error}"))
}

/// Checks what output rows say they came from: for each row the number of one of `count` things, never descending.
/// `name` is what such a number is called, and `of` what it counts.
pub(super) fn origins(
    origins: &[u32],
    output_rows: usize,
    name: &str,
    count: usize,
    of: fmt::Arguments<'_>,
) -> Result<(), String> {
    if origins.len() != output_rows {
        return Err(format!("returned {output_rows} rows but {} {name}s", origins.len()));
    }
    if let Some(at) = origins.windows(2).position(|pair| pair[0] > pair[1]) {
        return Err(format!(
            "returned {name}s that descend at row {}: {} then {}",
            at + 1,
            origins[at],
            origins[at + 1]
        ));
    }
    match origins.last() {
        Some(&last) if last as usize >= count => Err(format!("returned the {name} {last} for {of}")),
        _ => Ok(()),
    }
}

/// Takes one column over, checking it against its description.
pub(super) fn column(column: ColumnResult, field: &Field, rows: usize) -> Result<ArrayRef, String> {
    array(column, field, rows).map_err(|error| format!("returned a column `{}` that {error}", field.name()))
}

fn array(column: ColumnResult, field: &Field, rows: usize) -> Result<ArrayRef, String> {
    let nulls = match column.validity {
        Some(bits) => Some(NullBuffer::new(bitmap(bits, rows)?)).filter(|nulls| nulls.null_count() > 0),
        None => None,
    };
    if nulls.is_some() && !field.is_nullable() {
        return Err("has a row without a value, though it is described as never null".to_owned());
    }
    let array: ArrayRef = match (field.data_type(), column.values) {
        (DataType::Boolean, ValuesResult::Boolean(bits)) => Arc::new(BooleanArray::new(bitmap(bits, rows)?, nulls)),
        (DataType::Int32, ValuesResult::Int32(values)) => Arc::new(Int32Array::new(numbers(values, rows)?, nulls)),
        (DataType::Int64, ValuesResult::Int64(values)) => Arc::new(Int64Array::new(numbers(values, rows)?, nulls)),
        (DataType::Float32, ValuesResult::Float32(values)) => {
            Arc::new(Float32Array::new(numbers(values, rows)?, nulls))
        }
        (DataType::Float64, ValuesResult::Float64(values)) => {
            Arc::new(Float64Array::new(numbers(values, rows)?, nulls))
        }
        (DataType::Date32, ValuesResult::Date(values)) => Arc::new(Date32Array::new(numbers(values, rows)?, nulls)),
        (DataType::Timestamp(..), ValuesResult::Timestamp(values)) => {
            Arc::new(TimestampMicrosecondArray::new(numbers(values, rows)?, nulls).with_timezone("UTC"))
        }
        (DataType::Utf8, ValuesResult::Utf8(variable)) => {
            let (offsets, data) = parts(variable, rows)?;
            check_text(&offsets, &data)?;
            // SAFETY: offsets ascend within the data, and every value between two of them is valid UTF-8.
            #[expect(unsafe_code, reason = "Arrow would check again, value by value")]
            let text = unsafe { StringArray::new_unchecked(offsets, data, nulls) };
            Arc::new(text)
        }
        (DataType::Binary, ValuesResult::Binary(variable)) => {
            let (offsets, data) = parts(variable, rows)?;
            Arc::new(BinaryArray::new(offsets, data, nulls))
        }
        (described, values) => {
            return Err(format!(
                "is of type {}, though it is described as {}",
                values_type(&values),
                type_name(described)
            ));
        }
    };
    Ok(array)
}

fn numbers<T: arrow::datatypes::ArrowNativeType>(values: Vec<T>, rows: usize) -> Result<ScalarBuffer<T>, String> {
    match values.len() == rows {
        true => Ok(values.into()),
        false => Err(format!("has {} values for {rows} rows", values.len())),
    }
}

fn bitmap(bits: Vec<u8>, rows: usize) -> Result<BooleanBuffer, String> {
    match bits.len() >= rows.div_ceil(8) {
        true => Ok(BooleanBuffer::new(Buffer::from_vec(bits), 0, rows)),
        false => Err(format!("has a bitmap of {} bytes for {rows} rows", bits.len())),
    }
}

fn parts(variable: VariableResult, rows: usize) -> Result<(OffsetBuffer<i32>, Buffer), String> {
    let VariableResult { offsets, data } = variable;
    if offsets.len() != rows + 1 {
        return Err(format!("has {} offsets for {rows} rows; there must be one more than rows", offsets.len()));
    }
    // One pass without branches first: on good data, which is all but always, it is all that runs.
    let ascending = offsets.windows(2).fold(true, |so_far, pair| so_far & (pair[0] <= pair[1]));
    if !ascending || offsets[0] < 0 {
        let at = offsets.windows(2).position(|pair| pair[0] > pair[1]).map_or(0, |at| at + 1);
        return Err(format!("has offsets that do not ascend from 0: {} at position {at}", offsets[at]));
    }
    let end = offsets[rows];
    if end as usize > data.len() {
        return Err(format!("has the offset {end} beyond its {} bytes of data", data.len()));
    }
    // SAFETY: offsets are not empty, not negative and never descend, checked above.
    #[expect(unsafe_code, reason = "Arrow would check again, and panic rather than say what is wrong")]
    let offsets = unsafe { OffsetBuffer::new_unchecked(offsets.into()) };
    Ok((offsets, Buffer::from_vec(data)))
}

/// Values are valid UTF-8 when all bytes together are and no value starts in the middle of a character.
fn check_text(offsets: &OffsetBuffer<i32>, data: &Buffer) -> Result<(), String> {
    let used = &data[offsets[0] as usize..offsets[offsets.len() - 1] as usize];
    if used.is_ascii() {
        return Ok(());
    }
    let text = simdutf8::compat::from_utf8(used)
        .map_err(|error| format!("has text that is not UTF-8 at byte {}", error.valid_up_to()))?;
    let start = offsets[0] as usize;
    match offsets.iter().position(|&offset| !text.is_char_boundary(offset as usize - start)) {
        Some(row) => Err(format!("has a value that starts or ends in the middle of a character at row {row}")),
        None => Ok(()),
    }
}

fn values_type(values: &ValuesResult) -> &'static str {
    match values {
        ValuesResult::Boolean(_) => "boolean",
        ValuesResult::Int32(_) => "int32",
        ValuesResult::Int64(_) => "int64",
        ValuesResult::Float32(_) => "float32",
        ValuesResult::Float64(_) => "float64",
        ValuesResult::Utf8(_) => "utf8",
        ValuesResult::Binary(_) => "binary",
        ValuesResult::Timestamp(_) => "timestamp",
        ValuesResult::Date(_) => "date",
    }
}
