//! The pipelines the model knows: sources `a` and `b` with the columns `ts`, `key` and `v`, stages one behind the
//! other, and a sink. The first stage reads both sources, unless a join takes `b` as its right side. Durations and
//! times are in microseconds.

/// A pipeline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pipeline {
    pub(crate) trigger: Trigger,
    /// How many files an epoch takes from each source.
    pub(crate) max_files: Option<usize>,
    /// The delay of each source's watermark; none for a source without one.
    pub(crate) inputs: Vec<Option<i64>>,
    /// Whether the fastest input decides.
    pub(crate) fastest: bool,
    /// Whether a restart remembers how far each input was.
    pub(crate) remembers: bool,
    pub(crate) stages: Vec<Stage>,
    pub(crate) mode: Mode,
    /// The mode of a second sink beside it, at which nobody looks.
    pub(crate) also: Option<Mode>,
    /// Whether what is looked at are the rows that come too late for the last stage.
    pub(crate) looks_at_late: bool,
    /// The columns that are looked at; all when there are none.
    pub(crate) columns: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    Continuous,
    Once,
    /// An epoch in each step.
    Every,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Append,
    Update,
    Complete,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stage {
    /// Rows whose `v` is above the limit, perhaps with a watermark of their own, of this delay.
    Above {
        limit: i64,
        watermark: Option<i64>,
    },
    /// The first row of each key; of all columns when none are named.
    First {
        by: Vec<String>,
        within_watermark: bool,
    },
    Group(Group),
    Join(Join),
    Update(Update),
}

/// A function with a state per key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Update {
    pub(crate) keyed: Keyed,
    /// The column of the key, a text.
    pub(crate) by: String,
    /// The column of the numbers that are added up.
    pub(crate) of: String,
    /// Whether each known key is visited in each epoch.
    pub(crate) visits_all: bool,
}

/// The functions of the plugin `behaving` that have a state per key. Its source says what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyed {
    AddUp,
    SumUntilOver,
    SumSoFar,
    Calls,
    CountByClock,
}

/// A join of the rows so far with those of source `b`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Join {
    /// The columns that must be equal, of the left and of the right.
    pub(crate) on: Vec<(String, String)>,
    /// How much earlier and how much later than the left the right may be; none for any time.
    pub(crate) within: Option<[Option<Bound>; 2]>,
    pub(crate) outer: bool,
    /// The column of event time of what comes out, and its delay.
    pub(crate) watermark: Option<(String, i64)>,
}

/// So far and no further, in microseconds; perhaps the other way, and perhaps not quite so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bound {
    pub(crate) distance: i64,
    pub(crate) strict: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) by: Vec<String>,
    pub(crate) extent: Extent,
    pub(crate) lateness: Option<i64>,
    pub(crate) aggregates: Vec<Aggregate>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Extent {
    /// All rows so far.
    All,
    /// The rows of one epoch.
    Epoch,
    /// The rows of the last epochs.
    Epochs {
        size: u64,
        slide: u64,
        /// Whether what leaves is taken out of what there was.
        inverse: bool,
        /// What must hold of a result, or its key is forgotten.
        keep: Option<Keep>,
    },
    /// Windows of this column, or of the `window` of the rows.
    Windows {
        on: String,
        size: i64,
        slide: i64,
        offset: i64,
    },
    Sessions {
        on: String,
        gap: Gap,
    },
}

/// A number that must be above this one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Keep {
    pub(crate) column: String,
    pub(crate) above: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Gap {
    Fixed(i64),
    /// So many seconds as the column says.
    Of(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Aggregate {
    pub(crate) name: String,
    pub(crate) function: Function,
    /// None to count rows.
    pub(crate) column: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Count,
    Sum,
    Min,
    Max,
    /// The reducer `add` of the plugin `behaving`, which stands alone and knows no nulls.
    Add,
}

impl Pipeline {
    /// The delays of all watermarks: of the sources, and of the stages.
    pub(crate) fn delays(&self) -> Vec<Option<i64>> {
        let of_stage = |stage: &Stage| match stage {
            Stage::Above { watermark, .. } => *watermark,
            Stage::Join(join) => join.watermark.as_ref().map(|(_, delay)| *delay),
            _ => None,
        };
        self.inputs.iter().copied().chain(self.stages.iter().map(of_stage)).collect()
    }

    /// Whether a stage takes notice of the clock.
    pub(crate) fn looks_at_clock(&self) -> bool {
        self.stages.iter().any(|stage| matches!(stage, Stage::Update(_)))
    }

    /// Whether a stage calls the plugin.
    pub(crate) fn calls_plugin(&self) -> bool {
        let adds = |stage: &Stage| matches!(stage, Stage::Group(group) if group.reduces());
        self.looks_at_clock() || self.stages.iter().any(adds)
    }

    /// Whether the second source is the right side of a join.
    pub(crate) fn joins(&self) -> bool {
        self.stages.iter().any(|stage| matches!(stage, Stage::Join(_)))
    }
}

impl Group {
    /// Whether a reducer stands in for aggregates.
    pub(crate) fn reduces(&self) -> bool {
        self.aggregates.iter().any(|aggregate| aggregate.function == Function::Add)
    }
}

/// The names of the sources.
pub(crate) const SOURCES: [&str; 2] = ["a", "b"];

/// The columns of the sources.
pub(crate) const COLUMNS: [&str; 3] = ["ts", "key", "v"];

/// The column of the result of a reducer.
pub(crate) const VALUE: &str = "value";

/// The name by which windows of windows are asked for.
pub(crate) const WINDOW: &str = "window";

/// The columns of a window.
pub(crate) const START: &str = "window_start";
pub(crate) const END: &str = "window_end";
