//! What is known of the rows between two stages: their columns, which of these the watermark speaks of, and whether a
//! row may be replaced by a later one.

use super::pipeline::{
    Aggregate, Bound, COLUMNS, END, Extent, Function, Gap, Group, Join, Keyed, Mode, Pipeline, SOURCES, START, Stage,
    WINDOW,
};

/// Rows on their way.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    pub(crate) columns: Vec<Column>,
    /// The column whose times the watermark speaks of.
    pub(crate) time: Option<usize>,
    /// How late rows may be.
    pub(crate) delay: i64,
    pub(crate) finality: Finality,
    /// Whether a row that was final may come once more.
    pub(crate) fires_again: bool,
    /// Whether it is known in which order they come.
    pub(crate) in_order: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Time,
    Number,
    Text,
}

/// Whether rows are replaced by later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finality {
    /// Never.
    Final,
    /// Until the watermark closes them; `sessions` merge besides.
    Closing { sessions: bool },
    /// For ever.
    Changing { sessions: bool },
}

/// What closes a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// The end of its window, and so much later.
    End(i64),
    /// The time in a column of its key.
    Key(usize),
}

impl Flow {
    /// The rows of sources together.
    pub(crate) fn of_sources(inputs: &[Option<i64>]) -> Self {
        let column = |(name, kind): (&str, Kind)| Column { name: name.to_owned(), kind };
        let kinds = [Kind::Time, Kind::Text, Kind::Number];
        Flow {
            columns: COLUMNS.into_iter().zip(kinds).map(column).collect(),
            // What one input promises, a row of the other may break.
            time: inputs.iter().all(Option::is_some).then_some(0),
            delay: inputs[0].unwrap_or(0),
            finality: Finality::Final,
            fires_again: false,
            in_order: true,
        }
    }

    /// The rows before each stage, and behind the last. None when a stage speaks of columns that are not there.
    pub(crate) fn known(pipeline: &Pipeline) -> Option<Vec<Self>> {
        let (left, right) =
            if pipeline.joins() { pipeline.inputs.split_at(1) } else { (&pipeline.inputs[..], &[][..]) };
        let mut flows = vec![Flow::of_sources(left)];
        for stage in &pipeline.stages {
            let before = flows.last().expect("there is a first");
            if !stage.columns().into_iter().all(|name| before.has(name)) {
                return None;
            }
            let behind = match stage {
                Stage::Join(_) if right.is_empty() => return None,
                Stage::Join(join) => before.behind_join(join, &Flow::of_sources(right))?,
                _ => before.behind(stage),
            };
            flows.push(behind);
        }
        Some(flows)
    }

    /// The same of a pipeline that is known to be right.
    pub(crate) fn all(pipeline: &Pipeline) -> Vec<Self> {
        Flow::known(pipeline).expect("all columns are there")
    }

    /// The rows behind a stage that reads nothing else.
    fn behind(&self, stage: &Stage) -> Self {
        match stage {
            Stage::Above { watermark: Some(delay), .. } => Flow { time: Some(0), delay: *delay, ..self.clone() },
            Stage::Above { watermark: None, .. } => self.clone(),
            Stage::First { .. } => Flow { finality: Finality::Final, in_order: false, ..self.clone() },
            Stage::Group(group) => self.behind_group(group),
            Stage::Update(update) => {
                let sum = match update.keyed {
                    Keyed::AddUp => vec![("length", Kind::Number)],
                    _ => vec![("word", Kind::Text), ("sum", Kind::Number)],
                };
                let columns = sum.into_iter().map(|(name, kind)| Column { name: name.to_owned(), kind }).collect();
                Flow { columns, time: None, delay: 0, finality: Finality::Final, fires_again: false, in_order: false }
            }
            Stage::Join(_) => unreachable!("a join reads two flows"),
        }
    }

    /// The rows behind a join with the right. None when its watermark is of a column that is not there.
    fn behind_join(&self, join: &Join, right: &Flow) -> Option<Self> {
        let of_right = join.columns_of_right(right).into_iter().map(|at| {
            let Column { name, kind } = right.columns[at].clone();
            let name = if self.has(&name) { format!("{}_{name}", SOURCES[1]) } else { name };
            Column { name, kind }
        });
        let columns: Vec<Column> = self.columns.iter().cloned().chain(of_right).collect();
        let (time, delay) = match &join.watermark {
            Some((on, delay)) => (Some(columns.iter().position(|column| column.name == *on)?), *delay),
            None => (None, 0),
        };
        Some(Flow { columns, time, delay, finality: Finality::Final, fires_again: false, in_order: false })
    }

    fn behind_group(&self, group: &Group) -> Self {
        let (is_windowed, sessions) = (group.is_windowed(), matches!(group.extent, Extent::Sessions { .. }));
        let window = [START, END].into_iter().filter(|_| is_windowed);
        let window = window.map(|name| Column { name: name.to_owned(), kind: Kind::Time });
        let keys = group.by.iter().map(|name| self.columns[self.at(name)].clone());
        let results = group.aggregates.iter().map(|aggregate| self.result_of(aggregate));
        let closing = self.closing(group);
        Flow {
            columns: window.chain(keys).chain(results).collect(),
            time: match closing {
                // What a window tells is known when it ends.
                Some(Closing::End(_)) => Some(1),
                Some(Closing::Key(key)) => Some(key),
                None => None,
            },
            delay: self.delay,
            finality: match (&group.extent, closing) {
                (Extent::Epoch | Extent::Epochs { .. }, _) => Finality::Final,
                (_, Some(_)) => Finality::Closing { sessions },
                (_, None) => Finality::Changing { sessions },
            },
            fires_again: group.lateness.is_some(),
            in_order: false,
        }
    }

    fn result_of(&self, aggregate: &Aggregate) -> Column {
        let kind = match (aggregate.function, &aggregate.column) {
            (Function::Min | Function::Max, Some(column)) => self.columns[self.at(column)].kind,
            _ => Kind::Number,
        };
        Column { name: aggregate.name.clone(), kind }
    }

    /// What closes the groups of these rows, if anything does.
    pub(crate) fn closing(&self, group: &Group) -> Option<Closing> {
        match &group.extent {
            Extent::All => {
                let time = &self.columns[self.time?].name;
                group.by.iter().position(|key| key == time).map(Closing::Key)
            }
            Extent::Epoch | Extent::Epochs { .. } => None,
            Extent::Windows { on, .. } | Extent::Sessions { on, .. } => {
                (self.time == Some(self.time_column(on))).then(|| Closing::End(group.lateness.unwrap_or(0)))
            }
        }
    }

    /// Whether there is a column of this name.
    fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    /// The place of a column.
    pub(crate) fn at(&self, name: &str) -> usize {
        let found = self.columns.iter().position(|column| column.name == name);
        found.unwrap_or_else(|| panic!("a column {name} in {:?}", self.columns))
    }

    /// The place of the column in which the time that is asked for is.
    pub(crate) fn time_column(&self, on: &str) -> usize {
        self.at(time_name(on))
    }

    /// Whether each row counts once, for ever: only then may another stage take them.
    pub(crate) fn are_facts(&self) -> bool {
        !self.fires_again && !matches!(self.finality, Finality::Changing { .. })
    }

    /// The modes in which the rows can be had.
    pub(crate) fn modes(&self) -> &'static [Mode] {
        match self.finality {
            Finality::Final => &[Mode::Append, Mode::Update],
            Finality::Closing { sessions: false } => &[Mode::Append, Mode::Update, Mode::Complete],
            Finality::Closing { sessions: true } => &[Mode::Append, Mode::Complete],
            Finality::Changing { sessions: false } => &[Mode::Update, Mode::Complete],
            Finality::Changing { sessions: true } => &[Mode::Complete],
        }
    }
}

/// The name of the column in which the time that is asked for is.
fn time_name(on: &str) -> &str {
    if on == WINDOW { END } else { on }
}

impl Stage {
    /// The columns it speaks of.
    fn columns(&self) -> Vec<&str> {
        let group = match self {
            Stage::Above { .. } => return vec!["v"],
            Stage::First { by, .. } => return by.iter().map(String::as_str).collect(),
            Stage::Join(join) => return join.on.iter().map(|(left, _)| left.as_str()).collect(),
            Stage::Update(update) => return vec![&update.by, &update.of],
            Stage::Group(group) => group,
        };
        let aggregated = group.aggregates.iter().filter_map(|aggregate| aggregate.column.as_deref());
        let mut columns: Vec<&str> = group.by.iter().map(String::as_str).chain(aggregated).collect();
        match &group.extent {
            Extent::All | Extent::Epoch | Extent::Epochs { .. } => {}
            Extent::Windows { on, .. } | Extent::Sessions { on, gap: Gap::Fixed(_) } => columns.push(time_name(on)),
            Extent::Sessions { on, gap: Gap::Of(gap) } => columns.extend([time_name(on), gap]),
        }
        columns
    }
}

impl Join {
    /// The columns of the right that come out: a key that is called the same on the left is there already.
    pub(crate) fn columns_of_right(&self, right: &Flow) -> Vec<usize> {
        let is_on_left = |name: &String| self.on.iter().any(|(left, right)| left == right && right == name);
        (0..right.columns.len()).filter(|&at| !is_on_left(&right.columns[at].name)).collect()
    }

    /// Which key is the time of the left, or else of the right.
    pub(crate) fn key_time(&self, left: &Flow, right: &Flow) -> Option<usize> {
        let is_time = |flow: &Flow, name: &str| flow.time == Some(flow.at(name));
        let of_left = self.on.iter().position(|(name, _)| is_time(left, name));
        of_left.or_else(|| self.on.iter().position(|(_, name)| is_time(right, name)))
    }

    /// Whether a row of the left is over some day.
    pub(crate) fn ends(&self, left: &Flow, right: &Flow) -> bool {
        self.waits(0).is_some() || self.key_time(left, right).is_some()
    }

    /// How far the watermark is past the time of a row of a side when the bound lets nothing match it any more. What is
    /// just on the bound may still match, and time past that is reckoned in milliseconds, as in Spark.
    pub(crate) fn waits(&self, side: usize) -> Option<i64> {
        let bound = self.within?[1 - side]?;
        Some(bound.distance + if bound.strict { 0 } else { 1000 })
    }
}

/// Whether two rows can be so far apart at all.
pub(crate) fn leaves_room(within: [Option<Bound>; 2]) -> bool {
    match within {
        [Some(before), Some(after)] => before.distance + after.distance >= i64::from(before.strict || after.strict),
        [None, None] => false,
        _ => true,
    }
}

impl Group {
    /// The results that are numbers.
    pub(crate) fn numeric_results(&self, flow: &Flow) -> Vec<String> {
        let results = self.aggregates.iter().map(|aggregate| flow.result_of(aggregate));
        results.filter(|column| column.kind == Kind::Number).map(|column| column.name).collect()
    }

    /// Whether all rows are one group, which has a result also when there are none.
    pub(crate) fn is_global(&self) -> bool {
        self.by.is_empty() && !self.is_windowed() && !self.reduces()
    }

    /// Whether the window is among the columns of the result.
    pub(crate) fn is_windowed(&self) -> bool {
        matches!(self.extent, Extent::Windows { .. } | Extent::Sessions { .. })
    }
}
