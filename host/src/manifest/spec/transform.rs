//! Transforms.

use std::{fmt, ops::Range as Span, time::Duration};

use serde::Serialize;

use super::{JoinSpec, OutputMode, Spanned, WatermarkSpec};
use crate::{manifest::value, model::PartName};

/// A transform: `where` on what comes in, then at most one operation, then `select` on what goes out.
#[derive(Debug, Clone, Serialize)]
pub struct TransformSpec {
    /// Its name.
    pub name: Spanned<PartName>,
    /// Where its rows come from; several are a union.
    pub inputs: Vec<Spanned<Input>>,
    /// The SQL condition for which rows come in.
    pub filter: Option<Spanned<String>>,
    /// What it does in between.
    pub operation: Option<Operation>,
    /// SQL expressions, each `expression` or `expression as name`.
    pub select: Option<Vec<Spanned<String>>>,
    /// How far the event time of its rows is complete.
    pub watermark: Option<WatermarkSpec>,
}

/// One end of an edge: a part, or an outlet of a batch handler (`route.errors`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Input {
    /// The part.
    pub part: PartName,
    /// The outlet, when the part is a batch handler.
    pub outlet: Option<String>,
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outlet {
            Some(outlet) => write!(f, "{}.{outlet}", self.part),
            None => self.part.fmt(f),
        }
    }
}

/// What a transform does.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Calls a function of a plugin.
    Call(CallSpec),
    /// Groups rows by key and aggregates them.
    Group(GroupSpec),
    /// Keeps the first row of each key.
    Distinct(DistinctSpec),
    /// Calls a function that keeps a state of each key.
    Update(UpdateSpec),
    /// Joins two inputs.
    Join(JoinSpec),
}

impl Operation {
    /// Whether it joins two streams, so that its inputs are not one.
    pub fn joins_streams(&self) -> bool {
        matches!(self, Operation::Join(join) if join.table.is_none())
    }
}

/// A call of a function of a plugin.
#[derive(Debug, Clone, Serialize)]
pub struct CallSpec {
    /// The function.
    pub function: Spanned<FunctionName>,
    /// Its config, as JSON.
    pub config: Option<Spanned<serde_json::Value>>,
    /// Which column or SQL expression of the input each of the function's columns is read from, where the names differ.
    pub columns: Vec<(Spanned<String>, Spanned<String>)>,
    /// Columns of the input to carry along beside what the function returns.
    pub keep: Vec<Spanned<String>>,
    /// Which rows of a result a batch handler is called with; none for the mode that fits.
    pub mode: Option<Spanned<OutputMode>>,
}

/// `plugin.function`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunctionName {
    /// The plugin's name in the manifest.
    pub plugin: String,
    /// The function's name in the plugin.
    pub function: String,
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.plugin, self.function)
    }
}

/// A grouped aggregation.
#[derive(Debug, Clone, Serialize)]
pub struct GroupSpec {
    /// SQL expressions, each `expression` or `expression as name`; empty for one group of all rows.
    pub by: Vec<Spanned<String>>,
    /// What is computed for each group.
    pub aggregate: Aggregate,
    /// How far back a group reaches.
    pub extent: Extent,
    /// For how long after its end a window still takes late rows, each of which makes its result come out anew.
    pub allowed_lateness: Option<Spanned<Duration>>,
}

/// What is computed for each group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregate {
    /// Column name and SQL aggregate: `count = "count(*)"`.
    Sql(Vec<(Spanned<String>, Spanned<String>)>),
    /// A reducer of a plugin.
    Reduce(CallSpec),
}

/// How far back a group reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// All rows so far: a running total.
    All,
    /// The rows of one epoch.
    Batch,
    /// The rows of the last epochs.
    Batches(BatchesSpec),
    /// A window of event time.
    Window(WindowSpec),
    /// Rows that follow each other closely in event time.
    Session(SessionSpec),
}

/// Windows over the last epochs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchesSpec {
    /// How many epochs a window has.
    pub size: u64,
    /// After how many epochs the next one ends.
    pub slide: u64,
    /// Whether what leaves a window is taken out by the inverse function of the reducer.
    pub inverse: bool,
    /// An SQL condition on the result: keys for which it does not hold are forgotten.
    pub keep: Option<Spanned<String>>,
    /// Where all this is said.
    #[serde(skip)]
    pub span: Span<usize>,
}

/// Windows of event time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowSpec {
    /// The event time: a column, an expression, or `window` for the windows of the rows that come in.
    pub on: Spanned<String>,
    /// How long a window is.
    #[serde(serialize_with = "value::serialize_duration")]
    pub size: Duration,
    /// How long after one window the next begins.
    #[serde(serialize_with = "value::serialize_duration")]
    pub slide: Duration,
    /// Where windows begin, in microseconds from 1970.
    pub offset: i64,
}

/// Sessions of event time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionSpec {
    /// The event time: a column or an expression.
    pub on: Spanned<String>,
    /// After so long without a row a session is over.
    pub gap: Gap,
}

/// After how long a session is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gap {
    /// Always the same.
    Fixed(#[serde(serialize_with = "value::serialize_duration")] Duration),
    /// An SQL expression: seconds, for each row.
    PerRow(Spanned<String>),
}

/// A function that keeps a state of each key.
#[derive(Debug, Clone, Serialize)]
pub struct UpdateSpec {
    /// SQL expressions, each `expression` or `expression as name`: the key.
    pub by: Vec<Spanned<String>>,
    /// The function.
    pub call: CallSpec,
    /// Whether every known key is visited in every epoch, also without new rows.
    pub visit_all: bool,
    /// The column of the function's rows that holds their event time.
    pub event_time: Option<Spanned<String>>,
}

/// The first row of each key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DistinctSpec {
    /// SQL expressions that make up the key; none for all columns.
    pub by: Vec<Spanned<String>>,
    /// Forget a key when the watermark has passed its first row by the delay.
    pub within_watermark: bool,
}
