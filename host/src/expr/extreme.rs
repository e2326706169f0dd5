//! `min` and `max` of floating-point numbers.
//!
//! DataFusion's begin at the largest finite number, so that the smallest of nothing but infinity would come out finite,
//! and with them it depends on the order whether NaN or a number wins. Here, as in Spark, NaN is larger than
//! everything.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray},
    buffer::NullBuffer,
    datatypes::{DataType, Float32Type, Float64Type},
};
use datafusion_common::Result;
use datafusion_expr::{EmitTo, GroupsAccumulator};

/// Which of the values of a group is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extreme {
    Min,
    Max,
}

impl Extreme {
    /// The one that this aggregate function keeps; none for other functions, and for values that are not floats.
    pub(super) fn of(function: &str, value: &DataType) -> Option<Self> {
        match function {
            _ if !value.is_floating() => None,
            "min" => Some(Extreme::Min),
            "max" => Some(Extreme::Max),
            _ => None,
        }
    }

    /// An empty accumulator; none for floats of half the usual size, which no column has.
    pub(super) fn accumulator(self, value: &DataType) -> Option<Box<dyn GroupsAccumulator>> {
        match value {
            DataType::Float32 => Some(Box::new(Floats::<Float32Type>::new(self))),
            DataType::Float64 => Some(Box::new(Floats::<Float64Type>::new(self))),
            _ => None,
        }
    }
}

/// A float, as far as it matters here.
trait Float: Copy + PartialOrd {
    const NAN: Self;
    const NEG_INFINITY: Self;
    fn is_nan(self) -> bool;
}

impl Float for f32 {
    const NAN: Self = f32::NAN;
    const NEG_INFINITY: Self = f32::NEG_INFINITY;
    fn is_nan(self) -> bool {
        f32::is_nan(self)
    }
}

impl Float for f64 {
    const NAN: Self = f64::NAN;
    const NEG_INFINITY: Self = f64::NEG_INFINITY;
    fn is_nan(self) -> bool {
        f64::is_nan(self)
    }
}

/// The extreme value of each group so far.
struct Floats<T: ArrowPrimitiveType> {
    extreme: Extreme,
    /// What every value replaces, until there is one.
    values: Vec<T::Native>,
    /// Whether there is one.
    seen: Vec<bool>,
}

impl<T: ArrowPrimitiveType<Native: Float>> Floats<T> {
    fn new(extreme: Extreme) -> Self {
        Floats { extreme, values: Vec::new(), seen: Vec::new() }
    }

    fn take_in(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) {
        let least = match self.extreme {
            Extreme::Min => T::Native::NAN,
            Extreme::Max => T::Native::NEG_INFINITY,
        };
        self.values.resize(total, least);
        self.seen.resize(total, false);
        let values = values[0].as_primitive::<T>();
        match self.extreme {
            Extreme::Min => self.fold(values, groups, filter, |new, old| new < old || old.is_nan()),
            Extreme::Max => self.fold(values, groups, filter, |new, old| new > old || new.is_nan()),
        }
    }

    fn fold(
        &mut self,
        values: &PrimitiveArray<T>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        replaces: impl Fn(T::Native, T::Native) -> bool,
    ) {
        let counts =
            |row: usize| values.is_valid(row) && filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        let all = values.null_count() == 0 && filter.is_none();
        for (row, (&new, &group)) in values.values().iter().zip(groups).enumerate() {
            if all || counts(row) {
                self.seen[group] = true;
                if replaces(new, self.values[group]) {
                    self.values[group] = new;
                }
            }
        }
    }
}

impl<T: ArrowPrimitiveType<Native: Float>> GroupsAccumulator for Floats<T> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.take_in(values, group_indices, opt_filter, total_num_groups);
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.take_in(values, group_indices, None, total_num_groups);
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (values, seen) = (emit_to.take_needed(&mut self.values), emit_to.take_needed(&mut self.seen));
        let nulls = NullBuffer::from(seen);
        let nulls = Some(nulls).filter(|nulls| nulls.null_count() > 0);
        Ok(Arc::new(PrimitiveArray::<T>::new(values.into(), nulls)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let groups: Vec<usize> = (0..values[0].len()).collect();
        let mut each = Self::new(self.extreme);
        each.take_in(values, &groups, opt_filter, groups.len());
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.values.capacity() * size_of::<T::Native>() + self.seen.capacity()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Float64Array;

    use super::*;

    fn extremes(extreme: Extreme, values: &[Option<f64>]) -> Option<f64> {
        let mut accumulator = extreme.accumulator(&DataType::Float64).unwrap();
        // Another group beside it, and in two pieces.
        for piece in values.chunks(2) {
            let array: ArrayRef = Arc::new(Float64Array::from(piece.to_vec()));
            accumulator.update_batch(&[array], &vec![1; piece.len()], None, 2).unwrap();
        }
        let found = accumulator.evaluate(EmitTo::All).unwrap();
        let found = found.as_primitive::<Float64Type>();
        assert!(found.is_null(0), "a group without values has no extreme");
        found.is_valid(1).then(|| found.value(1))
    }

    /// Whatever the order, NaN is the largest, infinity is a number like others, and nulls do not count.
    #[test]
    fn nan_is_the_largest_in_any_order() {
        const NAN: f64 = f64::NAN;
        const INFINITY: f64 = f64::INFINITY;
        let cases: [(&[f64], f64, f64); 5] = [
            (&[3.0, -1.0, 2.0], -1.0, 3.0),
            (&[NAN, 5.0], 5.0, NAN),
            (&[INFINITY, INFINITY], INFINITY, INFINITY),
            (&[-INFINITY], -INFINITY, -INFINITY),
            (&[NAN, NAN, NAN], NAN, NAN),
        ];
        for (values, min, max) in cases {
            let mut values: Vec<Option<f64>> = values.iter().copied().map(Some).chain([None]).collect();
            for _ in 0..values.len() {
                values.rotate_left(1);
                for (extreme, expected) in [(Extreme::Min, min), (Extreme::Max, max)] {
                    let found = extremes(extreme, &values).unwrap();
                    assert_eq!(
                        found.total_cmp(&expected),
                        std::cmp::Ordering::Equal,
                        "{extreme:?} of {values:?}: {found}"
                    );
                }
            }
        }
        assert_eq!(extremes(Extreme::Min, &[None]), None);
    }

    /// A row that the aggregate's own condition leaves out does not count.
    #[test]
    fn a_filter_leaves_rows_out() {
        let mut accumulator = Extreme::Max.accumulator(&DataType::Float64).unwrap();
        let values: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 9.0, 8.0]));
        let filter = BooleanArray::from(vec![Some(true), Some(false), None]);
        accumulator.update_batch(&[values], &[0, 0, 0], Some(&filter), 1).unwrap();
        assert_eq!(accumulator.evaluate(EmitTo::All).unwrap().as_primitive::<Float64Type>().value(0), 1.0);
    }
}
