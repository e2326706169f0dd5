//! The pipelines the model knows: sources `a` and `b` with the columns `ts`, `key` and `v`, stages one behind the other, and a
//! sink. Durations and times are in microseconds.

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
}

impl Pipeline {
    /// The delays of all watermarks: of the sources, and of the first stage.
    pub(crate) fn delays(&self) -> Vec<Option<i64>> {
        let of_stage = match self.stages.first() {
            Some(Stage::Above { watermark, .. }) => *watermark,
            _ => None,
        };
        [self.inputs.clone(), vec![of_stage]].concat()
    }
}

/// The names of the sources.
pub(crate) const SOURCES: [&str; 2] = ["a", "b"];

/// The name by which windows of windows are asked for.
pub(crate) const WINDOW: &str = "window";

/// The columns of a window.
pub(crate) const START: &str = "window_start";
pub(crate) const END: &str = "window_end";
