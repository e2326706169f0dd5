//! A naive model of event time and state, straight from the rules: plain lists of rows, nothing folded before it must
//! be, no splits, no buckets, no panes, and nothing of the host's code.

mod first;
mod flow;
mod group;
mod join;
mod pipeline;
mod update;
mod value;

use std::collections::VecDeque;

pub(crate) use flow::{Column, Finality, Flow, Kind, leaves_room};
pub(crate) use pipeline::{
    Aggregate, Bound, COLUMNS, END, Extent, Function, Gap, Group, Join, Keep, Keyed, Mode, Pipeline, SOURCES, START,
    Stage, Trigger, Update, VALUE, WINDOW,
};
pub(crate) use value::{Row, Value};

use first::Firsts;
use group::Groups;
use join::Sides;
use update::States;
use value::time_of;

/// The rows of one file, or of one stage.
pub(crate) type Part = Vec<Row>;

/// What an epoch of the model has brought.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Epoch {
    /// The watermark it ran with.
    pub(crate) watermark: i64,
    /// The rows that came out.
    pub(crate) out: Vec<Row>,
    /// How many groups or rows came too late, stage by stage.
    pub(crate) dropped: Vec<u64>,
    /// How many keys are kept, stage by stage.
    pub(crate) kept: Vec<u64>,
}

/// A pipeline that runs.
pub(crate) struct Model<'a> {
    pipeline: &'a Pipeline,
    /// The rows before each stage, and behind the last.
    flows: Vec<Flow>,
    stages: Vec<Keeping<'a>>,
    /// Files that no epoch has taken yet, input by input.
    waiting: Vec<VecDeque<Part>>,
    /// The latest time each input has shown, and the rows behind each stage that have a watermark.
    leads: Vec<Option<i64>>,
    /// The watermark of the next epoch.
    watermark: i64,
    /// The watermark of the epoch before: what it has passed is late.
    late: i64,
    /// The number of the next epoch.
    number: u64,
    /// The files of an epoch whose commit was lost, and its time.
    lost: Option<(Vec<Vec<Part>>, i64)>,
    clock: i64,
}

/// A stage with what it keeps.
enum Keeping<'a> {
    Above { limit: i64 },
    First(Firsts),
    Group(Groups<'a>),
    Join(Sides<'a>),
    Update(States<'a>),
}

/// When an epoch runs.
#[derive(Clone, Copy)]
struct Now {
    /// What this watermark has passed is late.
    late: i64,
    /// What this one has passed is over.
    over: i64,
    number: u64,
    /// What the clock shows.
    clock: i64,
}

/// What comes out of a stage.
struct Passed {
    rows: Vec<Row>,
    late_rows: Vec<Row>,
    dropped: u64,
    kept: u64,
}

impl<'a> Model<'a> {
    pub(crate) fn new(pipeline: &'a Pipeline) -> Self {
        let flows = Flow::all(pipeline);
        let last = pipeline.stages.len() - 1;
        let keeping = |(at, stage): (usize, &'a Stage)| match stage {
            Stage::Above { limit, .. } => Keeping::Above { limit: *limit },
            Stage::First { by, within_watermark } => Keeping::First(Firsts::new(&flows[at], by, *within_watermark)),
            Stage::Group(group) => {
                // A stage takes from the one above it what is final.
                let mode = if at == last { pipeline.mode } else { Mode::Append };
                Keeping::Group(Groups::new(&flows[at], group, mode))
            }
            Stage::Join(join) => Keeping::Join(Sides::new(&flows[at], &Flow::of_sources(&pipeline.inputs[1..]), join)),
            Stage::Update(update) => Keeping::Update(States::new(&flows[at], update)),
        };
        Model {
            pipeline,
            stages: pipeline.stages.iter().enumerate().map(keeping).collect(),
            waiting: vec![VecDeque::new(); pipeline.inputs.len()],
            leads: vec![None; pipeline.delays().len()],
            flows,
            watermark: 0,
            late: 0,
            number: 0,
            lost: None,
            clock: 0,
        }
    }

    /// The watermark of the next epoch.
    pub(crate) fn watermark(&self) -> i64 {
        self.watermark
    }

    /// The clock shows another time.
    pub(crate) fn set_clock(&mut self, clock: i64) {
        self.clock = clock;
    }

    /// The pipeline is stopped and started.
    pub(crate) fn restart(&mut self) {
        if !self.pipeline.remembers {
            self.leads.fill(None);
        }
    }

    /// Files come, input by input, and everything that can be run is run.
    pub(crate) fn step(&mut self, files: &[Vec<Part>]) -> Vec<Epoch> {
        self.put(files);
        let mut epochs = Vec::new();
        while let Some((files, clock)) = self.next_files() {
            epochs.push(self.run(files, clock));
            if self.pipeline.trigger == Trigger::Every {
                break;
            }
        }
        epochs
    }

    /// Files come, an epoch takes what it can, and its commit is lost: the next start runs it again as it was.
    pub(crate) fn lose_step(&mut self, files: &[Vec<Part>]) {
        self.put(files);
        self.lost = self.next_files();
    }

    fn put(&mut self, files: &[Vec<Part>]) {
        for (waiting, files) in self.waiting.iter_mut().zip(files) {
            waiting.extend(files.iter().cloned());
        }
    }

    /// The files of the next epoch, and its time; none when there is nothing to do.
    fn next_files(&mut self) -> Option<(Vec<Vec<Part>>, i64)> {
        if let Some(lost) = self.lost.take() {
            return Some(lost);
        }
        let most = self.pipeline.max_files.unwrap_or(usize::MAX);
        let take = |waiting: &mut VecDeque<Part>| waiting.drain(..most.min(waiting.len())).collect::<Vec<_>>();
        let files: Vec<Vec<Part>> = self.waiting.iter_mut().map(take).collect();
        let runs = files.iter().any(|files| !files.is_empty()) || self.runs_without_rows();
        runs.then_some((files, self.clock))
    }

    fn runs_without_rows(&self) -> bool {
        let counts = |stage: &Keeping<'_>| match stage {
            Keeping::Group(groups) => groups.counts_epochs(),
            Keeping::Update(states) => states.visits_all(),
            _ => false,
        };
        let is_due = |stage: &Keeping<'_>| matches!(stage, Keeping::Update(states) if states.is_due(self.clock));
        let closes = |stage: &Keeping<'_>| match stage {
            Keeping::Above { .. } => false,
            Keeping::First(firsts) => firsts.judges(),
            Keeping::Group(groups) => groups.closes(),
            Keeping::Join(sides) => sides.closes(),
            Keeping::Update(states) => states.judges(),
        };
        match self.pipeline.trigger {
            Trigger::Once => false,
            Trigger::Every if self.stages.iter().any(counts) => true,
            _ if self.stages.iter().any(is_due) => true,
            _ => self.watermark > self.late && self.stages.iter().any(closes),
        }
    }

    fn run(&mut self, files: Vec<Vec<Part>>, clock: i64) -> Epoch {
        let mut now = Now { late: self.late, over: self.watermark, number: self.number, clock };
        let watermark = self.watermark;
        self.leads.iter_mut().zip(&files).for_each(|(lead, files)| *lead = latest(files, 0).max(*lead));
        let of_stages = &mut self.leads[files.len()..];
        let mut files = files.into_iter();
        let (mut parts, right) = match self.pipeline.joins() {
            true => (files.next().unwrap_or_default(), files.next().unwrap_or_default()),
            false => (files.flatten().collect(), Vec::new()),
        };
        let (mut late_rows, mut dropped, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for (at, stage) in self.stages.iter_mut().enumerate() {
            let lead = &mut of_stages[at];
            let passed = match stage {
                Keeping::Above { limit } => {
                    let is_above = |row: &Row| matches!(row[2], Value::Number(v) if v > *limit);
                    parts.iter_mut().for_each(|part| part.retain(is_above));
                    *lead = latest(&parts, 0).max(*lead);
                    continue;
                }
                Keeping::First(firsts) => firsts.run(&parts, now),
                Keeping::Group(groups) => groups.run(&parts, now),
                Keeping::Join(sides) => sides.run(&parts, &right, now),
                Keeping::Update(states) => states.run(&parts, now),
            };
            parts = vec![passed.rows];
            match &self.pipeline.stages[at] {
                Stage::Join(Join { watermark: Some((on, _)), .. }) => {
                    *lead = latest(&parts, self.flows[at + 1].at(on)).max(*lead);
                }
                // Where a key is an event time no row waits beyond it.
                Stage::Join(join) if !matches!(stage, Keeping::Join(sides) if sides.ends_by_key()) => {
                    // A row may come out as late as it waits for its match, and what is behind waits for it.
                    let waits = [0, 1].into_iter().filter_map(|side| join.waits(side)).max().unwrap_or(0).max(0);
                    (now.late, now.over) = (now.late - waits, now.over - waits);
                }
                _ => {}
            }
            late_rows = passed.late_rows;
            dropped.push(passed.dropped);
            kept.push(passed.kept);
        }
        self.number += 1;
        self.late = watermark;
        self.advance();
        let out = if self.pipeline.looks_at_late { late_rows } else { parts.concat() };
        Epoch { watermark, out, dropped, kept }
    }

    /// The watermark of each input is behind its latest time; that of all of them never goes back.
    fn advance(&mut self) {
        // Whole milliseconds, as in Spark.
        let behind = |latest: i64, delay: i64| latest.div_euclid(1000) * 1000 - delay;
        let inputs = self.pipeline.delays().into_iter().zip(&self.leads);
        let each = inputs.filter_map(|(delay, lead)| delay.map(|delay| lead.map_or(0, |latest| behind(latest, delay))));
        let together = if self.pipeline.fastest { each.max() } else { each.min() };
        self.watermark = self.watermark.max(together.unwrap_or(0));
    }
}

/// The latest time in a column of rows.
fn latest(parts: &[Part], column: usize) -> Option<i64> {
    parts.iter().flatten().filter_map(|row| time_of(&row[column])).max()
}
