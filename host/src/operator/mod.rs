//! What a worker does with batches: stateless steps, calls of plugins, and keyed aggregation.
//!
//! In reading order: [`Pipe`] pushes a batch through the steps of the plan; `calls` holds the plugin instances and sets
//! bad rows aside; `partial` folds the rows of one split by key, `shuffle` spreads them over buckets; [`KeyedState`]
//! has the buckets of a stage, and `bucket` what is known of the keys of one of them from epoch to epoch, for each kind
//! of stage. Nothing here reads a clock, touches a disk or starts a thread.

mod bucket;
mod called;
mod calls;
mod first;
mod fold;
mod key_table;
mod keyed;
mod late;
mod lookup;
mod partial;
mod pieces;
mod pipe;
mod shuffle;
mod sides;
mod span_table;
mod state_column;
mod stored;
mod text_table;

pub use calls::PluginCalls;
pub use keyed::{KeyedState, Merged, StateError, Times};
pub use lookup::TableIndex;
pub use pipe::{Outcome, Pipe};
pub use shuffle::Shuffled;
pub use stored::StoredRows;

use crate::{expr::ExprError, model::PartName, ports::CallError};

/// Why a part could not do its work. The pipeline stops: the epoch is not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("in `{part}`: {message}")]
pub struct OperatorError {
    /// The part.
    pub part: PartName,
    /// What happened, and what to do about it.
    pub message: String,
}

/// A failure inside a part, before it is known by name.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Expression(#[from] ExprError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("{0}")]
    BadRow(String),
    #[error("{0}")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error("{0}")]
    DataFusion(#[from] datafusion_common::DataFusionError),
}

impl Failure {
    fn in_part(self, part: &PartName) -> OperatorError {
        OperatorError { part: part.clone(), message: self.to_string() }
    }
}
