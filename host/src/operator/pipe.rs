//! A worker's way through the plan: a batch goes in at a source or behind a barrier, and comes out at sinks and barriers.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{RecordBatch, RecordBatchOptions, UInt32Array},
    compute::{filter_record_batch, take},
    datatypes::SchemaRef,
};

use super::{Failure, OperatorError, Partial, PluginCalls, partial::PartialFold};
use crate::{
    expr::ScalarExpr,
    manifest::OutputMode,
    model::DeadLetter,
    plan::{Barrier, Columns, Plan, Step, Target},
    ports::CallScope,
};

/// One worker's copy of the plan and its plugin instances.
pub struct Pipe {
    plan: Plan,
    calls: PluginCalls,
    folds: BTreeMap<usize, PartialFold>,
    outcome: Outcome,
}

/// What came of one task, in the order in which it came.
#[derive(Default)]
pub struct Outcome {
    /// Rows for sinks, by position in the plan.
    pub to_sinks: Vec<(usize, RecordBatch)>,
    /// Rows for batch handlers, by node.
    pub to_handlers: Vec<(usize, RecordBatch)>,
    /// Partial results for grouped aggregations, by node.
    pub partials: Vec<(usize, Partial)>,
    /// Rows set aside.
    pub dead_letters: Vec<DeadLetter>,
}

impl Pipe {
    /// A copy of the plan with a worker's own plugin instances.
    pub fn new(plan: Plan, calls: PluginCalls) -> Self {
        Pipe { plan, calls, folds: BTreeMap::new(), outcome: Outcome::default() }
    }

    /// The plugin instances.
    pub fn calls(&mut self) -> &mut PluginCalls {
        &mut self.calls
    }

    /// Sets what functions and expressions may know from now on.
    pub fn enter(&mut self, scope: &CallScope) -> Result<(), OperatorError> {
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
        for (node, fold) in std::mem::take(&mut self.folds) {
            let partial = fold.finish().map_err(|error| error.in_part(&self.plan.nodes[node].name))?;
            outcome.partials.extend(partial.map(|partial| (node, partial)));
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
            Target::Node(node) => self.push_into(node, batch, mode),
        }
    }

    fn push_into(&mut self, node: usize, batch: &RecordBatch, mode: Option<OutputMode>) -> Result<(), OperatorError> {
        let this = &self.plan.nodes[node];
        let wanted = match &this.barrier {
            // What a barrier takes is decided above it; see `plan::modes`.
            Some(_) => mode.is_none_or(|mode| mode == OutputMode::Update),
            None => mode.is_none_or(|mode| this.modes.contains(&mode)),
        };
        if !wanted || batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = rename(batch, &this.input);
        let batches = self.run_steps(node, |plan| &plan.nodes[node].before, batch)?;
        match &self.plan.nodes[node].barrier {
            None => self.push_on(node, 0, &batches, mode),
            Some(Barrier::Handle(_)) => {
                self.outcome.to_handlers.extend(batches.into_iter().map(|batch| (node, batch)));
                Ok(())
            }
            Some(Barrier::Group(_)) => self.fold(node, &batches),
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
            for at in 0..self.plan.nodes[node].outputs[output].targets.len() {
                let target = self.plan.nodes[node].outputs[output].targets[at];
                self.push(target, batch, mode)?;
            }
        }
        Ok(())
    }

    fn fold(&mut self, node: usize, batches: &[RecordBatch]) -> Result<(), OperatorError> {
        let this = &self.plan.nodes[node];
        let Some(Barrier::Group(group)) = &this.barrier else { unreachable!("only groups are folded") };
        let mut fold_all = || -> Result<(), Failure> {
            let fold = match self.folds.entry(node) {
                std::collections::btree_map::Entry::Occupied(fold) => fold.into_mut(),
                std::collections::btree_map::Entry::Vacant(vacant) => vacant.insert(PartialFold::new(group)?),
            };
            batches.iter().try_for_each(|batch| fold.fold(&mut self.calls, batch))
        };
        fold_all().map_err(|error| error.in_part(&this.name))
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
                run_step(&mut self.calls, step, batch, &mut out).map_err(|error| error.in_part(&this.name))?;
            }
            batches = out;
        }
        Ok(batches)
    }
}

fn run_step(
    calls: &mut PluginCalls,
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
    let values = columns.expressions.iter().map(|e| e.evaluate(batch)).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(&columns.schema), values, &options)?)
}

/// The same columns under a node's own schema: inputs of a union may differ in whether a value may be missing.
fn rename(batch: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    match batch.schema_ref() == schema {
        true => batch.clone(),
        false => batch.clone().with_schema(Arc::clone(schema)).unwrap_or_else(|_| batch.clone()),
    }
}

fn step_expressions(step: &mut Step) -> &mut [ScalarExpr] {
    match step {
        Step::Where(condition) => std::slice::from_mut(condition),
        Step::Select(columns) => &mut columns.expressions,
        Step::Transform { call, .. } | Step::Filter(call) => &mut call.arguments.expressions,
    }
}

fn barrier_expressions(barrier: &mut Barrier) -> &mut [ScalarExpr] {
    match barrier {
        Barrier::Handle(call) => &mut call.arguments.expressions,
        Barrier::Group(group) => &mut group.keys.expressions,
    }
}
