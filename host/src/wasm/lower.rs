//! A batch on its way into a guest: Arrow's buffers, borrowed.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, BinaryArray, RecordBatch, cast::AsArray},
    buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer},
    datatypes::{DataType, Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType},
};

use super::bindings::tidemill::plugin::types::{BatchParam, ColumnParam, ValuesParam, VariableParam};

/// A batch whose buffers are ready to be lent. Buffers are shared with Arrow's; only what a slice cut in the middle
/// of a byte or of an offset is copied.
pub(super) struct Lowered {
    rows: u32,
    columns: Vec<LoweredColumn>,
}

struct LoweredColumn {
    values: LoweredValues,
    validity: Option<Buffer>,
}

enum LoweredValues {
    Boolean(Buffer),
    Int32(ScalarBuffer<i32>),
    Int64(ScalarBuffer<i64>),
    Float32(ScalarBuffer<f32>),
    Float64(ScalarBuffer<f64>),
    Utf8(ScalarBuffer<i32>, Buffer),
    Binary(ScalarBuffer<i32>, Buffer),
    Timestamp(ScalarBuffer<i64>),
    Date(ScalarBuffer<i32>),
}

impl Lowered {
    /// Prepares a batch. Its columns have supported types: the plan has seen to that.
    pub(super) fn batch(batch: &RecordBatch) -> Self {
        let rows = u32::try_from(batch.num_rows()).expect("a batch has some thousands of rows");
        Lowered { rows, columns: batch.columns().iter().map(lower_column).collect() }
    }

    /// Prepares a column of states.
    pub(super) fn states(states: &BinaryArray) -> Self {
        let rows = u32::try_from(states.len()).expect("states are handed over some thousands at a time");
        let states: ArrayRef = Arc::new(states.clone());
        Lowered { rows, columns: vec![lower_column(&states)] }
    }

    /// The columns, lent.
    pub(super) fn lend_columns(&self) -> Vec<ColumnParam<'_>> {
        self.columns.iter().map(LoweredColumn::lend).collect()
    }

    /// The first column, lent: a column of states has no other.
    pub(super) fn lend_states(&self) -> ColumnParam<'_> {
        self.columns[0].lend()
    }

    /// The batch, lent.
    pub(super) fn lend<'a>(&self, columns: &'a [ColumnParam<'a>]) -> BatchParam<'a> {
        BatchParam { rows: self.rows, columns }
    }
}

impl LoweredColumn {
    fn lend(&self) -> ColumnParam<'_> {
        let values = match &self.values {
            LoweredValues::Boolean(bits) => ValuesParam::Boolean(bits),
            LoweredValues::Int32(values) => ValuesParam::Int32(values),
            LoweredValues::Int64(values) => ValuesParam::Int64(values),
            LoweredValues::Float32(values) => ValuesParam::Float32(values),
            LoweredValues::Float64(values) => ValuesParam::Float64(values),
            LoweredValues::Utf8(offsets, data) => ValuesParam::Utf8(VariableParam { offsets, data }),
            LoweredValues::Binary(offsets, data) => ValuesParam::Binary(VariableParam { offsets, data }),
            LoweredValues::Timestamp(values) => ValuesParam::Timestamp(values),
            LoweredValues::Date(values) => ValuesParam::Date(values),
        };
        ColumnParam { values, validity: self.validity.as_deref() }
    }
}

fn lower_column(array: &ArrayRef) -> LoweredColumn {
    let values = match array.data_type() {
        DataType::Boolean => LoweredValues::Boolean(bitmap(array.as_boolean().values())),
        DataType::Int32 => LoweredValues::Int32(array.as_primitive::<Int32Type>().values().clone()),
        DataType::Int64 => LoweredValues::Int64(array.as_primitive::<Int64Type>().values().clone()),
        DataType::Float32 => LoweredValues::Float32(array.as_primitive::<Float32Type>().values().clone()),
        DataType::Float64 => LoweredValues::Float64(array.as_primitive::<Float64Type>().values().clone()),
        DataType::Utf8 => {
            let (offsets, data) = variable(array.as_string::<i32>().offsets(), array.as_string::<i32>().values());
            LoweredValues::Utf8(offsets, data)
        }
        DataType::Binary => {
            let (offsets, data) = variable(array.as_binary::<i32>().offsets(), array.as_binary::<i32>().values());
            LoweredValues::Binary(offsets, data)
        }
        DataType::Timestamp(..) => {
            LoweredValues::Timestamp(array.as_primitive::<TimestampMicrosecondType>().values().clone())
        }
        DataType::Date32 => LoweredValues::Date(array.as_primitive::<Date32Type>().values().clone()),
        other => unreachable!("a column of type {other} reached a plugin though the plan allows only supported types"),
    };
    LoweredColumn { values, validity: array.nulls().map(validity) }
}

/// Offsets from 0 and the bytes they cover: a slice of a larger array must not drag the rest along.
fn variable(offsets: &OffsetBuffer<i32>, data: &Buffer) -> (ScalarBuffer<i32>, Buffer) {
    let first = offsets.first().copied().unwrap_or(0);
    let last = offsets.last().copied().unwrap_or(0);
    let data = data.slice_with_length(first as usize, (last - first) as usize);
    let offsets = match first {
        0 => offsets.inner().clone(),
        _ => offsets.iter().map(|offset| offset - first).collect(),
    };
    (offsets, data)
}

fn validity(nulls: &NullBuffer) -> Buffer {
    bitmap(nulls.inner())
}

fn bitmap(bits: &BooleanBuffer) -> Buffer {
    bits.sliced()
}
