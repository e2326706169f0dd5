//! The types expressions may compute but columns may not have, and what they become.

use arrow::{
    array::{ArrayRef, new_null_array},
    compute::{CastOptions, cast_with_options},
    datatypes::DataType,
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
