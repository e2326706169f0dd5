//! A pipeline whose parts fit together: every column found, every type settled, every expression compiled.
//!
//! `build` makes it from a manifest and the plugins' descriptions, before anything runs; `explain` shows it. It is
//! pure and can be cloned: each worker runs its own copy.

mod build;
mod call;
mod explain;
mod group;
mod modes;
mod node;
mod scope;
mod sink;

use std::collections::BTreeSet;

use arrow::datatypes::SchemaRef;

use crate::{
    checkpoint::StateLayout,
    expr::{AggregateExpr, ScalarExpr},
    manifest::{OutputMode, Over},
    model::PartName,
    ports::{FunctionUse, UseIndex},
};

pub use build::build;
pub use explain::{Explained, explain};

/// A checked pipeline.
#[derive(Clone)]
pub struct Plan {
    /// The sources, in the order of the manifest.
    pub sources: Vec<SourceNode>,
    /// The transforms, each after its inputs.
    pub nodes: Vec<Node>,
    /// The sinks, in the order of the manifest.
    pub sinks: Vec<SinkNode>,
    /// For each plugin of the manifest, the functions the pipeline uses; calls refer to them by position.
    pub uses: Vec<Vec<FunctionUse>>,
}

/// A source and where its rows go.
#[derive(Clone)]
pub struct SourceNode {
    /// Its name.
    pub name: PartName,
    /// The columns that are read: those that somebody wants.
    pub schema: SchemaRef,
    /// The names of these columns, when they are not all.
    pub projection: Option<Vec<String>>,
    /// Where its rows go.
    pub targets: Vec<Target>,
}

/// Where rows go next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// To a transform, by position in [`Plan::nodes`].
    Node(usize),
    /// To a sink, by position in [`Plan::sinks`].
    Sink(usize),
}

/// A transform: steps row by row, perhaps a point where all rows of the epoch come together, and steps again.
#[derive(Clone)]
pub struct Node {
    /// Its name.
    pub name: PartName,
    /// The columns that come in.
    pub input: SchemaRef,
    /// What is done with each batch of rows as it comes.
    pub before: Vec<Step>,
    /// Where the epoch's rows are gathered.
    pub barrier: Option<Barrier>,
    /// What is done with each batch that comes out of the barrier.
    pub after: Vec<Step>,
    /// Its ways out: one, or one for each outlet of a batch handler.
    pub outputs: Vec<Output>,
    /// In which modes its rows are wanted below. More than one only where a running total is above.
    pub modes: BTreeSet<OutputMode>,
}

/// A way out of a node.
#[derive(Clone)]
pub struct Output {
    /// The outlet's name; none for the only way out.
    pub outlet: Option<String>,
    /// The columns.
    pub schema: SchemaRef,
    /// Where the rows go.
    pub targets: Vec<Target>,
}

/// Something done with each batch by itself.
#[derive(Clone)]
pub enum Step {
    /// Keeps the rows for which all conditions hold.
    Where(ScalarExpr),
    /// Computes columns.
    Select(Columns),
    /// Calls a transform.
    Transform {
        /// The function.
        call: Call,
        /// Columns of the input carried along, by position.
        keep: Vec<usize>,
        /// The function's columns, then the kept ones.
        schema: SchemaRef,
    },
    /// Calls a filter.
    Filter(Call),
}

/// Computed columns.
#[derive(Clone)]
pub struct Columns {
    /// An expression for each column.
    pub expressions: Vec<ScalarExpr>,
    /// The columns.
    pub schema: SchemaRef,
}

/// A call of a function of a plugin.
#[derive(Clone)]
pub struct Call {
    /// The plugin, by position in the manifest.
    pub plugin: usize,
    /// Which of the plugin's prepared uses.
    pub used: UseIndex,
    /// `plugin.function`, for messages.
    pub label: String,
    /// What the function is given.
    pub arguments: Columns,
}

/// Where all rows of an epoch come together.
#[derive(Clone)]
pub enum Barrier {
    /// By key.
    Group(Group),
    /// In one batch, for a batch handler.
    Handle(Call),
}

/// A grouped aggregation.
#[derive(Clone)]
pub struct Group {
    /// The key columns.
    pub keys: Columns,
    /// What is kept for each key, and what comes of it.
    pub fold: Fold,
    /// How far back a group reaches.
    pub over: Over,
    /// How its state is laid out.
    pub layout: StateLayout,
    /// The key columns, then the results.
    pub schema: SchemaRef,
}

/// What is kept for each key, and what comes of it.
#[derive(Clone)]
pub enum Fold {
    /// SQL aggregates.
    Sql(Vec<AggregateExpr>),
    /// A reducer of a plugin, with the columns it finishes into.
    Reduce(Call, SchemaRef),
}

/// A sink and what it takes.
#[derive(Clone)]
pub struct SinkNode {
    /// Its name.
    pub name: PartName,
    /// Which rows of a running total it takes.
    pub mode: OutputMode,
    /// The columns it gets.
    pub schema: SchemaRef,
    /// Whether it takes rows that could not be processed.
    pub dead_letters: bool,
}
