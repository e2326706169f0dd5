//! A worker's way through the plan: a batch goes in at a source or behind a barrier, and comes out at sinks and
//! barriers.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use arrow::{
    array::{AsArray, RecordBatch, RecordBatchOptions, UInt32Array},
    compute::{cast, filter_record_batch, max, take},
    datatypes::{DataType, SchemaRef, TimestampMicrosecondType},
};

use super::{
    Failure, OperatorError, PluginCalls, Shuffled, TableIndex, called::CalledRows, first::FirstRows, late::late_rows,
    partial::PartialFold, sides::SideRows,
};
use crate::{
    expr::ScalarExpr,
    manifest::OutputMode,
    model::{DeadLetter, EventTime, Watermark},
    plan::{Barrier, Columns, Extent, Gap, Plan, Step, Target, WatermarkNode},
    ports::CallScope,
};

/// One worker's copy of the plan and its plugin instances.
pub struct Pipe {
    plan: Plan,
    calls: PluginCalls,
    /// What this watermark covers is late, or what the one so far behind does where a join holds rows back.
    late: Watermark,
    /// The tables of the plan's lookups, in their order.
    tables: Vec<Arc<TableIndex>>,
    gathering: BTreeMap<usize, Gathering>,
    outcome: Outcome,
}

/// The rows of a task on their way to a barrier.
enum Gathering {
    Group(Box<PartialFold>),
    Distinct(FirstRows),
    Update(CalledRows),
    Join(SideRows),
}

/// What came of one task, in the order in which it came.
#[derive(Default)]
pub struct Outcome {
    /// Rows for sinks, by position in the plan.
    pub to_sinks: Vec<(usize, RecordBatch)>,
    /// Rows for batch handlers, by node.
    pub to_handlers: Vec<(usize, RecordBatch)>,
    /// Rows for keyed stages, by node.
    pub shuffled: Vec<(usize, Shuffled)>,
    /// The latest event times, by watermark and partition.
    pub observed: BTreeMap<(usize, String), EventTime>,
    /// Rows set aside.
    pub dead_letters: Vec<DeadLetter>,
}

impl Pipe {
    /// A copy of the plan with a worker's own plugin instances.
    pub fn new(plan: Plan, calls: PluginCalls) -> Self {
        Pipe {
            plan,
            calls,
            late: Watermark::START,
            tables: Vec::new(),
            gathering: BTreeMap::new(),
            outcome: Outcome::default(),
        }
    }

    /// The plugin instances.
    pub fn calls(&mut self) -> &mut PluginCalls {
        &mut self.calls
    }

    /// Sets the tables that rows are joined with from now on.
    pub fn set_tables(&mut self, tables: &[Arc<TableIndex>]) {
        self.tables = tables.to_vec();
    }

    /// Sets what functions and expressions may know from now on, and what is late.
    pub fn enter(&mut self, scope: &CallScope, late: Watermark) -> Result<(), OperatorError> {
        self.late = late;
        self.calls.enter(scope);
        let now = scope.batch_time;
        for node in &mut self.plan.nodes {
            let steps = node.before.iter_mut().chain(&mut node.after).flat_map(step_expressions);
            let barrier = node.barrier.iter_mut().flat_map(barrier_expressions);
            let mut expressions = steps.chain(barrier);
            let set = expressions.try_for_each(|expression| expression.set_batch_time(now));
            set.map_err(|error| Failure::from(error).in_part(&node.name))?;
        }
        Ok(())
    }

    /// Starts a task: random numbers begin where the task says, whichever worker has it.
    pub fn start_task(&mut self, scope: &CallScope, task: u64) {
        // Odd multiples of the golden ratio, so that neighbouring tasks start far apart.
        let seed = scope.seed ^ (task + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.calls.enter(&CallScope { seed, ..*scope });
    }

    /// Sends a batch of a source on its way.
    pub fn push_from_source(&mut self, source: usize, batch: &RecordBatch) -> Result<(), OperatorError> {
        if let Some(watermark) = self.plan.sources[source].watermark {
            self.observe(watermark, batch)?;
        }
        for at in 0..self.plan.sources[source].targets.len() {
            let target = self.plan.sources[source].targets[at];
            self.push(target, batch, None)?;
        }
        Ok(())
    }

    /// Sends a batch that came out of a node's barrier on its way, by one of the node's outputs.
    pub fn push_from_barrier(
        &mut self,
        node: usize,
        output: usize,
        batch: RecordBatch,
        mode: Option<OutputMode>,
    ) -> Result<(), OperatorError> {
        let batches = self.run_steps(node, |plan| &plan.nodes[node].after, batch)?;
        self.push_on(node, output, &batches, mode)
    }

    /// What has come of the task; the next one starts afresh.
    pub fn finish_task(&mut self) -> Result<Outcome, OperatorError> {
        let mut outcome = std::mem::take(&mut self.outcome);
        for (node, gathering) in std::mem::take(&mut self.gathering) {
            let this = &self.plan.nodes[node];
            let shuffled: Result<Vec<Shuffled>, Failure> = match gathering {
                // Where all groups are wanted for ever, none is late.
                Gathering::Group(fold) => {
                    let late = (!this.modes.contains(&OutputMode::Complete)).then_some(self.late.less(this.behind));
                    fold.finish(&mut self.calls, late).map(Vec::from_iter)
                }
                Gathering::Distinct(rows) => rows.finish().map(Vec::from_iter),
                Gathering::Update(rows) => rows.finish().map(Vec::from_iter),
                Gathering::Join(rows) => rows.finish(),
            };
            let shuffled = shuffled.map_err(|error| error.in_part(&this.name))?;
            outcome.shuffled.extend(shuffled.into_iter().map(|rows| (node, rows)));
        }
        outcome.dead_letters.append(&mut self.calls.dead_letters);
        Ok(outcome)
    }

    fn push(&mut self, target: Target, batch: &RecordBatch, mode: Option<OutputMode>) -> Result<(), OperatorError> {
        match target {
            Target::Sink(sink) => {
                if mode.is_none_or(|mode| mode == self.plan.sinks[sink].mode) {
                    self.outcome.to_sinks.push((sink, batch.clone()));
                }
                Ok(())
            }
            Target::Node { node, side } => self.push_into(node, side, batch, mode),
        }
    }

    fn push_into(
        &mut self,
        node: usize,
        side: usize,
        batch: &RecordBatch,
        mode: Option<OutputMode>,
    ) -> Result<(), OperatorError> {
        let this = &self.plan.nodes[node];
        let wanted = match &this.barrier {
            Some(_) => mode.is_none_or(|mode| mode == this.takes),
            None => mode.is_none_or(|mode| this.modes.contains(&mode)),
        };
        if !wanted || batch.num_rows() == 0 {
            return Ok(());
        }
        if let Some(Barrier::Join(join)) = &this.barrier {
            let batch = rename(batch, &join.sides[side].schema);
            return self.gather(node, side, &[batch]);
        }
        let batch = rename(batch, &this.input);
        let batches = self.run_steps(node, |plan| &plan.nodes[node].before, batch)?;
        match &self.plan.nodes[node].barrier {
            None => self.push_on(node, 0, &batches, mode),
            Some(Barrier::Handle(_)) => {
                self.outcome.to_handlers.extend(batches.into_iter().map(|batch| (node, batch)));
                Ok(())
            }
            Some(_) => self.gather(node, 0, &batches),
        }
    }

    fn push_on(
        &mut self,
        node: usize,
        output: usize,
        batches: &[RecordBatch],
        mode: Option<OutputMode>,
    ) -> Result<(), OperatorError> {
        for batch in batches {
            if let (Some(watermark), 0) = (self.plan.nodes[node].watermark, output) {
                self.observe(watermark, batch)?;
            }
            for at in 0..self.plan.nodes[node].outputs[output].targets.len() {
                let target = self.plan.nodes[node].outputs[output].targets[at];
                self.push(target, batch, mode)?;
            }
        }
        Ok(())
    }

    /// Takes rows to the barrier of a keyed stage.
    fn gather(&mut self, node: usize, side: usize, batches: &[RecordBatch]) -> Result<(), OperatorError> {
        let this = &self.plan.nodes[node];
        let barrier = this.barrier.as_ref().expect("rows are gathered at a barrier");
        let watermark = self.late.less(this.behind);
        let mut late = Vec::new();
        // Where all groups are wanted for ever, none is late.
        if this.takes_late_rows() && !this.modes.contains(&OutputMode::Complete) {
            let of_batch = |batch| late_rows(barrier, batch, watermark);
            let found = batches.iter().map(of_batch).collect::<Result<Vec<_>, _>>();
            late = found.map_err(|error| error.in_part(&this.name))?;
        }
        let calls = &mut self.calls;
        let mut gather_all = || -> Result<(), Failure> {
            let gathering = match self.gathering.entry(node) {
                Entry::Occupied(gathering) => gathering.into_mut(),
                Entry::Vacant(vacant) => vacant.insert(match barrier {
                    Barrier::Group(group) => Gathering::Group(Box::new(PartialFold::new(group)?)),
                    Barrier::Distinct(distinct) => Gathering::Distinct(FirstRows::new(distinct, &this.input)?),
                    Barrier::Update(update) => Gathering::Update(CalledRows::new(update)),
                    Barrier::Join(join) => Gathering::Join(SideRows::new(join)),
                    Barrier::Handle(_) => unreachable!("rows for a batch handler are not keyed"),
                }),
            };
            match gathering {
                Gathering::Group(fold) => batches.iter().try_for_each(|batch| fold.fold(calls, batch)),
                Gathering::Distinct(rows) => batches.iter().try_for_each(|batch| rows.add(batch, watermark)),
                Gathering::Update(rows) => batches.iter().try_for_each(|batch| rows.add(calls, batch, watermark)),
                Gathering::Join(rows) => batches.iter().try_for_each(|batch| rows.add(side, batch, watermark)),
            }
        };
        gather_all().map_err(|error| error.in_part(&this.name))?;
        late.retain(|batch| batch.num_rows() > 0);
        if late.is_empty() {
            return Ok(());
        }
        self.push_on(node, 1, &late, None)
    }

    /// Notes the latest event time of rows.
    fn observe(&mut self, watermark: usize, batch: &RecordBatch) -> Result<(), OperatorError> {
        let WatermarkNode { column, per, part, .. } = &self.plan.watermarks[watermark];
        let times = batch.column(*column).as_primitive::<TimestampMicrosecondType>();
        let mut note = |partition: &str, latest: i64| {
            let latest = EventTime::from_micros(latest);
            let known = self.outcome.observed.entry((watermark, partition.to_owned())).or_insert(latest);
            *known = latest.max(*known);
        };
        let Some(per) = per else {
            max(times).into_iter().for_each(|latest| note("", latest));
            return Ok(());
        };
        let in_part = |error| Failure::Arrow(error).in_part(part);
        let partitions = cast(batch.column(*per), &DataType::Utf8).map_err(in_part)?;
        let mut latest: BTreeMap<&str, i64> = BTreeMap::new();
        for (partition, time) in partitions.as_string::<i32>().iter().zip(times.iter()) {
            let Some(time) = time else { continue };
            latest.entry(partition.unwrap_or_default()).and_modify(|known| *known = time.max(*known)).or_insert(time);
        }
        latest.into_iter().for_each(|(partition, latest)| note(partition, latest));
        Ok(())
    }

    fn run_steps(
        &mut self,
        node: usize,
        steps: impl Fn(&Plan) -> &Vec<Step>,
        batch: RecordBatch,
    ) -> Result<Vec<RecordBatch>, OperatorError> {
        let this = &self.plan.nodes[node];
        self.calls.part = this.name.clone();
        let mut batches = vec![batch];
        for step in steps(&self.plan) {
            let mut out = Vec::with_capacity(batches.len());
            for batch in &batches {
                run_step(&mut self.calls, &self.tables, step, batch, &mut out)
                    .map_err(|error| error.in_part(&this.name))?;
            }
            batches = out;
        }
        Ok(batches)
    }
}

fn run_step(
    calls: &mut PluginCalls,
    tables: &[Arc<TableIndex>],
    step: &Step,
    batch: &RecordBatch,
    out: &mut Vec<RecordBatch>,
) -> Result<(), Failure> {
    let mut emit = |batch: RecordBatch| {
        if batch.num_rows() > 0 {
            out.push(batch);
        }
    };
    match step {
        Step::Where(condition) => emit(filter_record_batch(batch, &condition.evaluate_condition(batch)?)?),
        Step::Select(columns) => emit(select(columns, batch)?),
        Step::Lookup(lookup) => emit(tables[lookup.lookup].join(lookup, batch)?),
        Step::Filter(call) => emit(calls.filter(call, batch)?),
        Step::Transform { call, keep, schema } => {
            for (start, len, transformed) in calls.transform(call, batch, !keep.is_empty())? {
                let mut columns = transformed.rows.columns().to_vec();
                for &column in keep {
                    let kept = batch.column(column);
                    columns.push(match &transformed.parents {
                        Some(parents) => {
                            let rows: UInt32Array = parents.iter().map(|&parent| parent + start as u32).collect();
                            take(kept, &rows, None)?
                        }
                        None => kept.slice(start, len),
                    });
                }
                let options = RecordBatchOptions::new().with_row_count(Some(transformed.rows.num_rows()));
                emit(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?);
            }
        }
    }
    Ok(())
}

fn select(columns: &Columns, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(&columns.schema), columns.evaluate(batch)?, &options)?)
}

/// The same columns under a node's own schema: inputs of a union may differ in whether a value may be missing.
fn rename(batch: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    match batch.schema_ref() == schema {
        true => batch.clone(),
        false => {
            let renamed = batch.clone().with_schema(Arc::clone(schema));
            renamed.expect("inputs of a part have the same columns, or the plan was refused")
        }
    }
}

fn step_expressions(step: &mut Step) -> &mut [ScalarExpr] {
    match step {
        Step::Where(condition) => std::slice::from_mut(condition),
        Step::Select(columns) => &mut columns.expressions,
        Step::Lookup(lookup) => &mut lookup.keys.expressions,
        Step::Transform { call, .. } | Step::Filter(call) => &mut call.arguments.expressions,
    }
}

fn barrier_expressions(barrier: &mut Barrier) -> Vec<&mut ScalarExpr> {
    match barrier {
        Barrier::Handle(call) => call.arguments.expressions.iter_mut().collect(),
        Barrier::Distinct(distinct) => distinct.keys.expressions.iter_mut().collect(),
        Barrier::Join(join) => join.sides.iter_mut().flat_map(|side| &mut side.keys.expressions).collect(),
        Barrier::Update(update) => {
            let keys = update.keys.expressions.iter_mut();
            keys.chain(&mut update.call.arguments.expressions).collect()
        }
        Barrier::Group(group) => {
            let mut expressions: Vec<&mut ScalarExpr> = group.keys.expressions.iter_mut().collect();
            match &mut group.extent {
                Extent::Running | Extent::Batch => {}
                Extent::Batches(batches) => expressions.extend(&mut batches.keep),
                Extent::Windows { time, .. } | Extent::Sessions { time, gap: Gap::Fixed(_) } => expressions.push(time),
                Extent::Sessions { time, gap: Gap::PerRow(gap) } => expressions.extend([time, gap]),
            }
            expressions
        }
    }
}
