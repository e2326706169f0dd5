//! A column under construction, which can take back what was put in last.

use std::{mem, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Date32Array, Float32Array, Float64Array, Int32Array,
        Int64Array, NullBufferBuilder, StringArray, TimestampMicrosecondArray,
    },
    buffer::{Buffer, OffsetBuffer, ScalarBuffer},
    compute::kernels::cast_utils::Parser,
    datatypes::{Date32Type, Field},
};
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::model::DataType;

use super::timestamp;

/// Values of one type, and which of them there are.
pub(super) struct Column {
    name: String,
    data_type: DataType,
    values: Values,
    len: usize,
    /// Up to the last null. What comes after it is valid.
    nulls: NullBufferBuilder,
}

/// Why a value does not go into a column: `is not ...`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit(pub(super) String);

enum Values {
    Boolean(BooleanBufferBuilder),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    /// Text and binary: the end of each value, and the bytes of all.
    Bytes {
        ends: Vec<i32>,
        data: Vec<u8>,
    },
}

impl Column {
    /// An empty column for a field of a supported type.
    pub(super) fn new(field: &Field) -> Self {
        let data_type = DataType::from_arrow(field.data_type()).expect("a declared schema has only our types");
        let values = Values::new(data_type);
        Column { name: field.name().clone(), data_type, values, len: 0, nulls: NullBufferBuilder::new(0) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn data_type(&self) -> DataType {
        self.data_type
    }

    /// Takes values back, or adds nulls, until there are so many.
    #[inline]
    pub(super) fn set_len(&mut self, rows: usize) {
        if self.len != rows {
            self.resize(rows);
        }
    }

    fn resize(&mut self, rows: usize) {
        self.values.set_len(rows);
        if self.len < rows {
            self.nulls.append_n_non_nulls(self.len - self.nulls.len());
            self.nulls.append_n_nulls(rows - self.len);
        } else {
            self.nulls.truncate(rows);
        }
        self.len = rows;
    }

    pub(super) fn push_bool(&mut self, value: bool) -> Result<(), Misfit> {
        let Values::Boolean(values) = &mut self.values else { return Err(self.wrong_type()) };
        values.append(value);
        self.pushed()
    }

    /// An integer of at most 64 bits, with or without a sign.
    pub(super) fn push_integer(&mut self, value: i128) -> Result<(), Misfit> {
        match (self.data_type, &mut self.values) {
            (DataType::Int32, Values::Int32(values)) => {
                values.push(i32::try_from(value).map_err(|_| outside(self.data_type))?)
            }
            (DataType::Int64, Values::Int64(values)) => {
                values.push(i64::try_from(value).map_err(|_| outside(self.data_type))?)
            }
            (DataType::Timestamp, Values::Int64(values)) => {
                values.push(i64::try_from(value * 1_000_000).map_err(|_| outside(self.data_type))?);
            }
            (_, Values::Float32(_) | Values::Float64(_)) => return self.push_float(value as f64),
            _ => return Err(self.wrong_type()),
        }
        self.pushed()
    }

    pub(super) fn push_float(&mut self, value: f64) -> Result<(), Misfit> {
        match &mut self.values {
            Values::Float32(values) => {
                let narrow = value as f32;
                if narrow.is_infinite() && value.is_finite() {
                    return Err(outside(self.data_type));
                }
                values.push(narrow);
            }
            Values::Float64(values) => values.push(value),
            _ => return Err(self.wrong_type()),
        }
        self.pushed()
    }

    pub(super) fn push_str(&mut self, value: &str) -> Result<(), Misfit> {
        match (self.data_type, &mut self.values) {
            (DataType::Utf8, Values::Bytes { ends, data }) => {
                data.extend_from_slice(value.as_bytes());
                ends.push(end(data));
            }
            (DataType::Binary, Values::Bytes { ends, data }) => {
                if let Err(error) = BASE64_STANDARD.decode_vec(value, data) {
                    data.truncate(ends.last().map_or(0, |&last| last as usize));
                    return Err(Misfit(format!("is not base64: {error}")));
                }
                ends.push(end(data));
            }
            (DataType::Timestamp, Values::Int64(values)) => values.push(timestamp(value)?),
            (DataType::Date, Values::Int32(values)) => values.push(date(value)?),
            (_, Values::Float32(_) | Values::Float64(_)) => {
                return match value {
                    "NaN" => self.push_float(f64::NAN),
                    "Infinity" => self.push_float(f64::INFINITY),
                    "-Infinity" => self.push_float(f64::NEG_INFINITY),
                    _ => Err(self.wrong_type()),
                };
            }
            _ => return Err(self.wrong_type()),
        }
        self.pushed()
    }

    /// All values as an array; the column is empty afterwards.
    pub(super) fn finish(&mut self) -> ArrayRef {
        // A null that was taken back again leaves a bitmap without nulls.
        self.nulls.append_n_non_nulls(self.len - self.nulls.len());
        self.len = 0;
        let nulls = self.nulls.finish().filter(|nulls| nulls.null_count() > 0);
        match (self.data_type, mem::replace(&mut self.values, Values::new(self.data_type))) {
            (_, Values::Boolean(mut values)) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            (DataType::Date, Values::Int32(values)) => Arc::new(Date32Array::new(values.into(), nulls)),
            (_, Values::Int32(values)) => Arc::new(Int32Array::new(values.into(), nulls)),
            (DataType::Timestamp, Values::Int64(values)) => {
                Arc::new(TimestampMicrosecondArray::new(values.into(), nulls).with_timezone("UTC"))
            }
            (_, Values::Int64(values)) => Arc::new(Int64Array::new(values.into(), nulls)),
            (_, Values::Float32(values)) => Arc::new(Float32Array::new(values.into(), nulls)),
            (_, Values::Float64(values)) => Arc::new(Float64Array::new(values.into(), nulls)),
            (data_type, Values::Bytes { ends, data }) => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
                match data_type {
                    DataType::Utf8 => Arc::new(StringArray::new(offsets, Buffer::from_vec(data), nulls)),
                    _ => Arc::new(BinaryArray::new(offsets, Buffer::from_vec(data), nulls)),
                }
            }
        }
    }

    fn pushed(&mut self) -> Result<(), Misfit> {
        self.len += 1;
        Ok(())
    }

    fn wrong_type(&self) -> Misfit {
        Misfit(format!("is not a value of type {}", self.data_type.name()))
    }
}

impl Values {
    fn new(data_type: DataType) -> Self {
        match data_type {
            DataType::Boolean => Values::Boolean(BooleanBufferBuilder::new(0)),
            DataType::Int32 | DataType::Date => Values::Int32(Vec::new()),
            DataType::Int64 | DataType::Timestamp => Values::Int64(Vec::new()),
            DataType::Float32 => Values::Float32(Vec::new()),
            DataType::Float64 => Values::Float64(Vec::new()),
            DataType::Utf8 | DataType::Binary => Values::Bytes { ends: vec![0], data: Vec::new() },
        }
    }

    fn set_len(&mut self, rows: usize) {
        match self {
            Values::Boolean(values) => values.resize(rows),
            Values::Int32(values) => values.resize(rows, 0),
            Values::Int64(values) => values.resize(rows, 0),
            Values::Float32(values) => values.resize(rows, 0.0),
            Values::Float64(values) => values.resize(rows, 0.0),
            Values::Bytes { ends, data } => {
                ends.truncate(rows + 1);
                data.truncate(ends.last().map_or(0, |&last| last as usize));
                ends.resize(rows + 1, end(data));
            }
        }
    }
}

fn end(data: &[u8]) -> i32 {
    i32::try_from(data.len()).expect("the values of a block are no longer than the block, which is far below 2 GiB")
}

fn outside(data_type: DataType) -> Misfit {
    Misfit(format!("is outside the range of {}", data_type.name()))
}

fn timestamp(text: &str) -> Result<i64, Misfit> {
    timestamp::micros(text).ok_or_else(|| Misfit("is not a timestamp such as \"2026-01-31T08:00:00Z\"".to_owned()))
}

fn date(text: &str) -> Result<i32, Misfit> {
    // Longer texts would be read as timestamps.
    let days = Some(text).filter(|text| text.len() <= 10).and_then(Date32Type::parse);
    days.ok_or_else(|| Misfit("is not a date such as \"2026-01-31\"".to_owned()))
}
