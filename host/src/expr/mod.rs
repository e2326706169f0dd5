//! SQL expressions and aggregates, by DataFusion: parsing, typing, coercion and vectorised evaluation.
//!
//! Beside it only `operator` names DataFusion, for its accumulators and hashes. It is pure: a compiled expression is a
//! function of a batch, and `now()` is the epoch's batch time, so running an epoch again gives the same rows.

mod aggregate;
mod catalog;
mod extreme;
mod output;
mod scalar;

pub use aggregate::AggregateExpr;
pub use scalar::ScalarExpr;

use datafusion_common::{DataFusionError, SchemaError};

/// Why an expression cannot be compiled or evaluated, in words for its author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExprError(pub String);

impl From<DataFusionError> for ExprError {
    fn from(error: DataFusionError) -> Self {
        ExprError(plain_words(&error))
    }
}

/// DataFusion's errors without its wrappers, on one line, and unknown columns and functions in our own words.
fn plain_words(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::SchemaError(schema_error, _) => match schema_error.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                let columns: Vec<&str> = valid_fields.iter().map(|column| column.name.as_str()).collect();
                let nearest = crate::model::nearest(field.name(), columns.iter().copied());
                match nearest {
                    Some(nearest) => format!("there is no column `{}`; did you mean `{nearest}`?", field.name()),
                    None => format!("there is no column `{}`; there are: {}", field.name(), columns.join(", ")),
                }
            }
            other => other.to_string(),
        },
        DataFusionError::Plan(message)
        | DataFusionError::Execution(message)
        | DataFusionError::NotImplemented(message) => match unknown_function(message) {
            Some(words) => words,
            None => message.split_whitespace().collect::<Vec<_>>().join(" "),
        },
        DataFusionError::SQL(error, _) => error.to_string(),
        DataFusionError::ArrowError(error, _) => error.to_string(),
        other => other.strip_backtrace(),
    }
}

fn unknown_function(message: &str) -> Option<String> {
    let (name, _) = message.strip_prefix("Invalid function '")?.split_once('\'')?;
    let nearest = crate::model::nearest(name, catalog::Catalog::get().names());
    let suggestion = nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default();
    Some(format!("there is no function `{name}`{suggestion}"))
}
