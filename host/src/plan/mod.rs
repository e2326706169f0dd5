//! A pipeline whose parts fit together: every column found, every type settled, every expression compiled.
//!
//! `build` makes it from a manifest and the plugins' descriptions, before anything runs; `explain` shows it. It is
//! pure and can be cloned: each worker runs its own copy.

mod build;
mod call;
mod distinct;
mod explain;
mod group;
mod join;
mod lookup;
mod modes;
mod node;
mod scope;
mod sink;
mod time;
mod update;

use std::{collections::BTreeSet, time::Duration};

use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::SchemaRef,
};

use crate::{
    checkpoint::StateLayout,
    expr::{AggregateExpr, ExprError, ScalarExpr},
    manifest::{Bound, OutputMode},
    model::{Epoch, PartName},
    ports::{FunctionUse, UseIndex},
    watermark::Lateness,
    window::Windows,
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
    /// The inputs whose event time is followed.
    pub watermarks: Vec<WatermarkNode>,
    /// The joins with tables.
    pub lookups: Vec<Lookup>,
}

/// A join with a table: what is asked of the table.
#[derive(Clone)]
pub struct Lookup {
    /// The table, by position in the manifest.
    pub table: usize,
    /// The key columns of its rows.
    pub keys: Columns,
}

/// An input whose event time is followed, where its rows leave a source or transform.
#[derive(Debug, Clone)]
pub struct WatermarkNode {
    /// The source or transform.
    pub part: PartName,
    /// The column of event times.
    pub column: usize,
    /// The column by whose values the input is partitioned.
    pub per: Option<usize>,
    /// How late its rows may be.
    pub lateness: Lateness,
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
    /// Its watermark, by position in [`Plan::watermarks`].
    pub watermark: Option<usize>,
    /// Where its rows go.
    pub targets: Vec<Target>,
}

/// Where rows go next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// To a transform.
    Node {
        /// Its position in [`Plan::nodes`].
        node: usize,
        /// The side of a join; otherwise 0.
        side: usize,
    },
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
    /// Its ways out: one, or one for each outlet of a batch handler. What a watermark closes may have a second one, for
    /// late rows.
    pub outputs: Vec<Output>,
    /// Its watermark, by position in [`Plan::watermarks`].
    pub watermark: Option<usize>,
    /// How far the watermark of its barrier stands behind the one of the pipeline: joins above hold rows back.
    pub behind: Duration,
    /// In which mode its barrier takes the rows of a result above it.
    pub takes: OutputMode,
    /// In which modes its rows are wanted below. More than one only where a result above is kept.
    pub modes: BTreeSet<OutputMode>,
}

/// A way out of a node.
#[derive(Clone)]
pub struct Output {
    /// The outlet's name; none for the main way out.
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
    /// Finds the rows of a table with the same key.
    Lookup(LookupStep),
}

/// A join with a table: what is done with the rows of the stream.
#[derive(Clone)]
pub struct LookupStep {
    /// Which one, by position in [`Plan::lookups`].
    pub lookup: usize,
    /// The key columns of the stream.
    pub keys: Columns,
    /// The columns of the table that stand in the result.
    pub columns: Vec<usize>,
    /// Whether rows without a match stay.
    pub outer: bool,
    /// The columns of the stream, then those of the table.
    pub schema: SchemaRef,
}

/// Computed columns.
#[derive(Clone)]
pub struct Columns {
    /// An expression for each column.
    pub expressions: Vec<ScalarExpr>,
    /// The columns.
    pub schema: SchemaRef,
}

impl Columns {
    /// Computes them for every row.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, ExprError> {
        self.expressions.iter().map(|expression| expression.evaluate(batch)).collect()
    }

    /// How many there are.
    fn count(&self) -> u32 {
        u32::try_from(self.expressions.len()).expect("a manifest has not so many columns")
    }

    /// The same as a key, in which values that are equal are the same.
    fn into_key(self) -> Self {
        Columns { expressions: self.expressions.into_iter().map(ScalarExpr::into_key).collect(), ..self }
    }
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
    Group(Box<Group>),
    /// By key, of which the first row goes on.
    Distinct(Distinct),
    /// By key, for a function that keeps a state of each.
    Update(Update),
    /// By key, of two inputs.
    Join(Box<Join>),
    /// In one batch, for a batch handler.
    Handle(Call),
}

impl Barrier {
    /// How its state is laid out; none when nothing is kept from epoch to epoch.
    pub fn layout(&self) -> Option<&StateLayout> {
        match self {
            Barrier::Group(group) => Some(&group.layout).filter(|_| !matches!(group.extent, Extent::Batch)),
            Barrier::Distinct(distinct) => Some(&distinct.layout),
            Barrier::Update(update) => Some(&update.layout),
            Barrier::Join(join) => Some(&join.layout),
            Barrier::Handle(_) => None,
        }
    }

    fn layout_mut(&mut self) -> Option<&mut StateLayout> {
        match self {
            Barrier::Group(group) => Some(&mut group.layout),
            Barrier::Distinct(distinct) => Some(&mut distinct.layout),
            Barrier::Update(update) => Some(&mut update.layout),
            Barrier::Join(join) => Some(&mut join.layout),
            Barrier::Handle(_) => None,
        }
    }

    /// Whether a watermark closes what it keeps.
    pub fn closes(&self) -> bool {
        match self {
            Barrier::Group(group) => group.closing.is_some(),
            // Also where none is forgotten: by the next epoch older rows are late.
            Barrier::Distinct(distinct) => distinct.time.is_some(),
            Barrier::Update(update) => update.time.is_some(),
            Barrier::Join(join) => join.key_time.is_some() || join.is_bounded(),
            Barrier::Handle(_) => false,
        }
    }

    /// Whether a watermark closes the same at the same time as in another version of it.
    pub fn closes_like(&self, other: &Barrier) -> bool {
        match (self, other) {
            (Barrier::Group(one), Barrier::Group(other)) => one.closing == other.closing,
            (Barrier::Distinct(one), Barrier::Distinct(other)) => one.forget == other.forget,
            (Barrier::Update(one), Barrier::Update(other)) => one.time == other.time,
            (Barrier::Join(one), Barrier::Join(other)) => {
                let bounds = |join: &Join| (join.before, join.after, join.key_time, join.outer);
                bounds(one) == bounds(other) && one.sides.iter().zip(&other.sides).all(|(a, b)| a.time == b.time)
            }
            (Barrier::Handle(_), Barrier::Handle(_)) => true,
            _ => false,
        }
    }
}

/// A grouped aggregation.
#[derive(Clone)]
pub struct Group {
    /// The key columns of the manifest.
    pub keys: Columns,
    /// What is kept for each key, and what comes of it.
    pub fold: Fold,
    /// How far back a group reaches.
    pub extent: Extent,
    /// When a group is over; none for groups that no watermark closes.
    pub closing: Option<Closing>,
    /// How its state is laid out.
    pub layout: StateLayout,
    /// The window, the key columns, then the results.
    pub schema: SchemaRef,
}

impl Group {
    /// Whether all rows are one group, which SQL gives a result even where there are no rows: a count of 0.
    pub fn is_global(&self) -> bool {
        let by_time = matches!(self.extent, Extent::Windows { .. } | Extent::Sessions { .. });
        matches!(self.fold, Fold::Sql(_)) && self.keys.expressions.is_empty() && !by_time
    }
}

/// How far back a group reaches.
#[derive(Clone)]
pub enum Extent {
    /// All rows so far.
    Running,
    /// The rows of one epoch.
    Batch,
    /// The rows of the last epochs.
    Batches(Batches),
    /// A window of event time.
    Windows {
        /// The event time of a row.
        time: ScalarExpr,
        /// The windows.
        windows: Windows,
    },
    /// Rows that follow each other closely in event time.
    Sessions {
        /// The event time of a row.
        time: ScalarExpr,
        /// After how long without a row it is over.
        gap: Gap,
    },
}

/// A window over the last epochs.
#[derive(Clone)]
pub struct Batches {
    /// How many epochs it has.
    pub size: u64,
    /// After how many epochs the next one ends.
    pub slide: u64,
    /// Whether what leaves is taken out by the reducer's inverse, instead of merging the whole window anew.
    pub inverse: bool,
    /// Which keys stay, of the columns of the result.
    pub keep: Option<ScalarExpr>,
}

impl Batches {
    /// Whether a window ends with this epoch.
    pub fn ends_at(&self, epoch: Epoch) -> bool {
        (epoch.number() + 1).is_multiple_of(self.slide)
    }
}

/// After how long without a row a session is over.
#[derive(Clone)]
pub enum Gap {
    /// Always the same.
    Fixed(Duration),
    /// Seconds, for each row.
    PerRow(ScalarExpr),
}

/// When a group is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// At the end of its window. It still takes late rows for so long.
    End(Duration),
    /// When the event time in this key column is complete.
    Key(usize),
}

/// The first row of each key.
#[derive(Clone)]
pub struct Distinct {
    /// The key columns.
    pub keys: Columns,
    /// When a key is forgotten; none for never.
    pub forget: Option<Forget>,
    /// The column of event times by which a row is late.
    pub time: Option<usize>,
    /// How its state is laid out.
    pub layout: StateLayout,
}

/// A function that keeps a state of each key.
#[derive(Clone)]
pub struct Update {
    /// The key columns, as the function wants them.
    pub keys: Columns,
    /// The function, and the columns of its rows.
    pub call: Call,
    /// The version of its state.
    pub version: u32,
    /// Whether every known key is visited in every epoch.
    pub visit_all: bool,
    /// The column of event times by which a row is late.
    pub time: Option<usize>,
    /// The column of event times of the function's rows, if it is said which one that is.
    pub event_time: Option<usize>,
    /// Key columns, then the function's columns.
    pub shuffled: SchemaRef,
    /// How its state is laid out.
    pub layout: StateLayout,
}

/// A join of two streams: the left one and the right one.
#[derive(Clone)]
pub struct Join {
    /// The two sides.
    pub sides: [Side; 2],
    /// How much earlier than a row of the left a row of the right may be; none for any.
    pub before: Option<Bound>,
    /// How much later it may be.
    pub after: Option<Bound>,
    /// The key that is an event time of a side: when it is complete, nothing can match any more, whatever the bounds
    /// say.
    pub key_time: Option<usize>,
    /// Whether rows of the left that nothing matches come out too.
    pub outer: bool,
    /// The columns of the right that stand in the result.
    pub right_columns: Vec<usize>,
    /// The columns of the left, then those of the right.
    pub schema: SchemaRef,
    /// How its state is laid out.
    pub layout: StateLayout,
}

impl Join {
    /// Whether rows must be close in time to match.
    pub fn is_bounded(&self) -> bool {
        self.before.is_some() || self.after.is_some()
    }

    /// How far the watermark must be past the time of a row of a side, in microseconds, before no row of the other side
    /// can match it any more: past that of its key, where a key is an event time. None for ever.
    pub fn waits(&self, side: usize) -> Option<i64> {
        let bound = if side == 0 { self.after } else { self.before };
        match self.key_time {
            Some(_) => Some(0),
            None => Some(bound?.wait()),
        }
    }
}

/// One side of a join.
#[derive(Clone)]
pub struct Side {
    /// The key columns.
    pub keys: Columns,
    /// The columns of its rows.
    pub schema: SchemaRef,
    /// The column of event times.
    pub time: Option<usize>,
}

/// When a key is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forget {
    /// When the event time in this key column is complete.
    Key(usize),
    /// When the watermark has passed the event time of its first row by so much.
    After(Duration),
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
