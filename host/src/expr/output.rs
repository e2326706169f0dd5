//! The types expressions may compute but columns may not have, and what they become; and what numbers become in keys.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, new_null_array},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Float32Type, Float64Type},
};

use super::ExprError;
use crate::model::{is_supported, timestamp_type};

/// The column type in which values of this type leave an expression.
pub(super) fn output_type(computed: &DataType) -> Result<DataType, ExprError> {
    let output = match computed {
        supported if is_supported(supported) => supported.clone(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            DataType::Float64
        }
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Timestamp(..) => timestamp_type(),
        DataType::Date64 => DataType::Date32,
        other => {
            return Err(ExprError(format!(
                "it computes a value of type {other}, which a column cannot have; cast it, for example with `cast(... as varchar)`"
            )));
        }
    };
    Ok(output)
}

/// Brings computed values to their column type. A value that does not fit is an error, never a silent null.
pub(super) fn to_output(computed: ArrayRef, output: &DataType) -> Result<ArrayRef, ExprError> {
    if computed.data_type() == output {
        return Ok(computed);
    }
    if computed.data_type() == &DataType::Null {
        return Ok(new_null_array(output, computed.len()));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(&computed, output, &strict).map_err(|error| ExprError(error.to_string()))
}

/// Gives floating point numbers that are equal the same bits: keys are compared by their bytes.
pub(super) fn equal_numbers_as_one(values: ArrayRef) -> ArrayRef {
    // -0.0 + 0.0 is 0.0, and any other number stays as it is.
    match values.data_type() {
        DataType::Float32 => {
            let one = |value: f32| if value.is_nan() { f32::NAN } else { value + 0.0 };
            Arc::new(values.as_primitive::<Float32Type>().unary::<_, Float32Type>(one))
        }
        DataType::Float64 => {
            let one = |value: f64| if value.is_nan() { f64::NAN } else { value + 0.0 };
            Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(one))
        }
        _ => values,
    }
}
