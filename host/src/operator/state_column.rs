//! One state column of a keyed stage in memory: a value for each group, gathered and scattered by group number.
//!
//! Arrow's arrays cannot be changed in place, and an epoch changes only the groups it touched, so states are kept in a
//! form that can: fixed-width values side by side, anything else as bytes of its own.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayData, ArrayRef, BinaryBuilder, StringBuilder, cast::AsArray, make_array},
    buffer::{BooleanBuffer, MutableBuffer, NullBuffer},
    datatypes::DataType,
    error::ArrowError,
    row::{RowConverter, SortField},
};

/// The states of all groups in one column.
pub(super) enum StateColumn {
    /// Numbers, times and the like, `width` bytes each.
    Fixed { data_type: DataType, width: usize, values: Vec<u8>, valid: Vec<bool> },
    /// Text.
    Utf8(Vec<Option<Box<str>>>),
    /// Bytes.
    Binary(Vec<Option<Box<[u8]>>>),
    /// Anything else, in Arrow's row format.
    Encoded { converter: RowConverter, values: Vec<Box<[u8]>> },
}

impl StateColumn {
    pub(super) fn new(data_type: &DataType) -> Result<Self, ArrowError> {
        Ok(match data_type {
            DataType::Utf8 => StateColumn::Utf8(Vec::new()),
            DataType::Binary => StateColumn::Binary(Vec::new()),
            _ => match data_type.primitive_width() {
                Some(width) => {
                    StateColumn::Fixed { data_type: data_type.clone(), width, values: Vec::new(), valid: Vec::new() }
                }
                None => {
                    let converter = RowConverter::new(vec![SortField::new(data_type.clone())])?;
                    StateColumn::Encoded { converter, values: Vec::new() }
                }
            },
        })
    }

    /// Writes `states[i]` for group `groups[i]`. Groups may come in any order: numbers of keys that are gone are given
    /// out again.
    pub(super) fn scatter(&mut self, groups: &[usize], states: &ArrayRef) -> Result<(), ArrowError> {
        self.make_room(groups.iter().max().map_or(0, |last| last + 1));
        let rows = groups.iter().copied().enumerate();
        match self {
            StateColumn::Fixed { width, values, valid, .. } => {
                let width = *width;
                let data = states.to_data();
                let source = &data.buffers()[0].as_slice()[data.offset() * width..];
                for (row, group) in rows {
                    let value = &source[row * width..(row + 1) * width];
                    values[group * width..(group + 1) * width].copy_from_slice(value);
                    valid[group] = states.is_valid(row);
                }
            }
            StateColumn::Utf8(values) => {
                let states = states.as_string::<i32>();
                rows.for_each(|(row, group)| values[group] = states.is_valid(row).then(|| states.value(row).into()));
            }
            StateColumn::Binary(values) => {
                let states = states.as_binary::<i32>();
                rows.for_each(|(row, group)| values[group] = states.is_valid(row).then(|| states.value(row).into()));
            }
            StateColumn::Encoded { converter, values } => {
                let encoded = converter.convert_columns(&[Arc::clone(states)])?;
                rows.for_each(|(row, group)| values[group] = encoded.row(row).as_ref().into());
            }
        }
        Ok(())
    }

    /// Makes room for so many groups, if there is less. What is there of a group before its state is written is never
    /// asked for.
    fn make_room(&mut self, groups: usize) {
        match self {
            StateColumn::Fixed { width, values, valid, .. } => {
                let groups = groups.max(valid.len());
                values.resize(groups * *width, 0);
                valid.resize(groups, false);
            }
            StateColumn::Utf8(values) => values.resize_with(groups.max(values.len()), Default::default),
            StateColumn::Binary(values) => values.resize_with(groups.max(values.len()), Default::default),
            StateColumn::Encoded { values, .. } => values.resize_with(groups.max(values.len()), Default::default),
        }
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        const BOXED: usize = 16 + 16;
        match self {
            StateColumn::Fixed { values, valid, .. } => values.len() + valid.len(),
            StateColumn::Utf8(values) => {
                values.iter().flatten().map(|value| value.len()).sum::<usize>() + BOXED * values.len()
            }
            StateColumn::Binary(values) => {
                values.iter().flatten().map(|value| value.len()).sum::<usize>() + BOXED * values.len()
            }
            StateColumn::Encoded { values, .. } => {
                values.iter().map(|value| value.len()).sum::<usize>() + BOXED * values.len()
            }
        }
    }

    /// The states of these groups, in this order.
    pub(super) fn gather(&self, groups: &[usize]) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            StateColumn::Fixed { data_type, width, values, valid } => {
                let mut gathered = MutableBuffer::with_capacity(groups.len() * width);
                for &group in groups {
                    gathered.extend_from_slice(&values[group * width..(group + 1) * width]);
                }
                let nulls = NullBuffer::new(BooleanBuffer::collect_bool(groups.len(), |row| valid[groups[row]]));
                let data = ArrayData::builder(data_type.clone())
                    .len(groups.len())
                    .add_buffer(gathered.into())
                    .nulls(Some(nulls).filter(|nulls| nulls.null_count() > 0));
                make_array(data.build()?)
            }
            StateColumn::Utf8(values) => {
                let mut builder = StringBuilder::new();
                groups.iter().for_each(|&group| builder.append_option(values[group].as_deref()));
                Arc::new(builder.finish())
            }
            StateColumn::Binary(values) => {
                let mut builder = BinaryBuilder::new();
                groups.iter().for_each(|&group| builder.append_option(values[group].as_deref()));
                Arc::new(builder.finish())
            }
            StateColumn::Encoded { converter, values } => {
                let parser = converter.parser();
                let columns = converter.convert_rows(groups.iter().map(|&group| parser.parse(&values[group])))?;
                Arc::clone(&columns[0])
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Int64Array, ListArray, StringArray, types::Int32Type};

    use super::*;

    /// Whatever a state's type, what was written last for a group is what is read back, nulls included.
    #[test]
    fn gather_returns_what_scatter_wrote_last() {
        let lists = |lists: Vec<Option<Vec<Option<i32>>>>| -> ArrayRef {
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))
        };
        let cases: Vec<(ArrayRef, ArrayRef, ArrayRef)> = vec![
            (
                Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])),
                Arc::new(Int64Array::from(vec![Some(20), Some(4)])),
                Arc::new(Int64Array::from(vec![Some(4), Some(3), Some(20), Some(1)])),
            ),
            (
                Arc::new(StringArray::from(vec![Some("a"), None, Some("c")])),
                Arc::new(StringArray::from(vec![Some("bb"), None])),
                Arc::new(StringArray::from(vec![None, Some("c"), Some("bb"), Some("a")])),
            ),
            (
                Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
                Arc::new(BooleanArray::from(vec![Some(true), Some(true)])),
                Arc::new(BooleanArray::from(vec![Some(true), Some(false), Some(true), Some(true)])),
            ),
            (
                lists(vec![Some(vec![Some(1)]), None, Some(vec![])]),
                lists(vec![Some(vec![Some(2), None]), Some(vec![Some(9)])]),
                lists(vec![Some(vec![Some(9)]), Some(vec![]), Some(vec![Some(2), None]), Some(vec![Some(1)])]),
            ),
        ];
        for (first, second, expected) in cases {
            let mut column = StateColumn::new(first.data_type()).expect("a type that can be kept");
            column.scatter(&[0, 1, 2], &first).expect("new groups");
            // Slices have offsets; group 1 is changed, group 3 is new.
            column.scatter(&[1, 3], &second.slice(0, 2)).expect("old and new groups");
            let gathered = column.gather(&[3, 2, 1, 0]).expect("known groups");
            assert_eq!(&gathered, &expected);
        }
    }

    /// Numbers of keys that are gone are given out again, the last first. So the first state to come need not be that
    /// of the lowest number.
    #[test]
    fn groups_may_come_in_any_order() {
        let states: [ArrayRef; 2] =
            [Arc::new(Int64Array::from(vec![7, 8])), Arc::new(StringArray::from(vec![Some("x"), None]))];
        for states in states {
            let mut column = StateColumn::new(states.data_type()).expect("a type that can be kept");
            column.scatter(&[3, 1], &states).expect("new groups");
            assert_eq!(&column.gather(&[3, 1]).expect("known groups"), &states);
        }
    }
}
