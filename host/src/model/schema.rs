//! The column types that cross every boundary, as Arrow types.

use arrow::datatypes::{DataType as Arrow, Schema, TimeUnit};
use serde::{Deserialize, Serialize};

/// The type of a declared or described column, by the name it has in manifests, messages and WIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    /// true or false
    Boolean,
    /// 32-bit signed integer
    Int32,
    /// 64-bit signed integer
    Int64,
    /// 32-bit IEEE 754 number
    Float32,
    /// 64-bit IEEE 754 number
    Float64,
    /// text
    Utf8,
    /// bytes
    Binary,
    /// microseconds since 1970, UTC
    Timestamp,
    /// days since 1970-01-01
    Date,
}

impl DataType {
    /// Every type, in the order in which messages list them.
    pub const ALL: [DataType; 9] = [
        DataType::Boolean,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Utf8,
        DataType::Binary,
        DataType::Timestamp,
        DataType::Date,
    ];

    /// The name in manifests and messages.
    pub const fn name(self) -> &'static str {
        match self {
            DataType::Boolean => "boolean",
            DataType::Int32 => "int32",
            DataType::Int64 => "int64",
            DataType::Float32 => "float32",
            DataType::Float64 => "float64",
            DataType::Utf8 => "utf8",
            DataType::Binary => "binary",
            DataType::Timestamp => "timestamp",
            DataType::Date => "date",
        }
    }

    /// The type with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }

    /// The same type in Arrow.
    pub fn to_arrow(self) -> Arrow {
        match self {
            DataType::Boolean => Arrow::Boolean,
            DataType::Int32 => Arrow::Int32,
            DataType::Int64 => Arrow::Int64,
            DataType::Float32 => Arrow::Float32,
            DataType::Float64 => Arrow::Float64,
            DataType::Utf8 => Arrow::Utf8,
            DataType::Binary => Arrow::Binary,
            DataType::Timestamp => timestamp_type(),
            DataType::Date => Arrow::Date32,
        }
    }

    /// The type an Arrow type stands for, if it is one of ours.
    pub fn from_arrow(arrow: &Arrow) -> Option<Self> {
        Self::ALL.into_iter().find(|t| &t.to_arrow() == arrow)
    }
}

/// The Arrow type of every timestamp in the host: microseconds in UTC.
pub fn timestamp_type() -> Arrow {
    Arrow::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Whether a column of this type may stand between two parts.
pub fn is_supported(arrow: &Arrow) -> bool {
    DataType::from_arrow(arrow).is_some()
}

/// A schema as messages show it: `word: utf8, count: int64`. Arrow types that are none of ours are shown as
/// Arrow names them.
pub fn describe_schema(schema: &Schema) -> String {
    let columns: Vec<String> =
        schema.fields().iter().map(|field| format!("{}: {}", field.name(), type_name(field.data_type()))).collect();
    columns.join(", ")
}

/// The name of a type as messages show it.
pub fn type_name(arrow: &Arrow) -> String {
    DataType::from_arrow(arrow).map_or_else(|| arrow.to_string(), |ours| ours.name().to_owned())
}
