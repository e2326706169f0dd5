//! One epoch, from the plan to the acknowledgement.

use arrow::compute::concat_batches;

use super::{
    Durations, EventTimeProgress, Pipeline, Progress, RunError, SinkProgress, SourceProgress, StateProgress,
    crash_point::CrashPoint,
    gathered::{Gathered, Keys},
    progress::offset_json,
    receiver::{SplitReceiver, Taken},
    reconcile::{leads_by_part, place_of},
    workers::run_in_order,
};
use crate::{
    checkpoint::{Committed, EpochPlan, EventTimes, SinkAction},
    manifest::{OutputMode, Trigger},
    model::{Epoch, EventTime, PartName, ProcessingTime, Watermark},
    operator::{KeyedState, Merged, OperatorError, Pipe, Shuffled, Times},
    plan::{Barrier, Extent, Node},
    ports::{CallScope, Range, Split, StateChunk},
    watermark::{EpochWatermarks, TooManyPartitions, Tracker},
};

impl Pipeline {
    /// Runs the next epoch: the one that was under way when the process before ended, or else one with what is new.
    /// None when there is nothing new.
    pub fn run_epoch(&mut self) -> Result<Option<Progress>, RunError> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(RunError::State(
                "an epoch has failed, so this pipeline cannot go on; start it again from its checkpoint".to_owned(),
            ));
        }
        let progress = self.run_next()?;
        self.failed = false;
        Ok(progress)
    }

    fn run_next(&mut self) -> Result<Option<Progress>, RunError> {
        let started = self.environment.clock.elapsed();
        let mut durations = Durations::default();
        if self.planned.is_none() {
            self.tables.refresh(&self.prepared);
        }
        if let Some(in_flight) = self.in_flight.take() {
            let progress = self.run_planned(&in_flight.plan, &in_flight.sinks, durations, started);
            return progress.map(Some);
        }
        let plan = match self.planned.take() {
            Some(plan) => plan,
            None => {
                let batch_time = self.environment.clock.now();
                let ranges = self.choose_ranges(batch_time)?;
                durations.latest_offset = self.millis_since(started);
                if ranges.is_empty() && !self.has_something_to_close(batch_time) {
                    return Ok(None);
                }
                let plan = self.plan_epoch(self.next, ranges, batch_time, self.closed, &self.watermarks);
                let before = self.environment.clock.elapsed();
                self.store.write_plan(&plan)?;
                durations.wal_commit = self.millis_since(before);
                plan
            }
        };
        CrashPoint::EpochPlanned.reached(plan.epoch);
        let write = vec![SinkAction::Write; self.sinks.len()];
        self.run_planned(&plan, &write, durations, started).map(Some)
    }

    /// Whether an epoch without rows is worth running: when the watermark has moved past what the last one closed and
    /// there is a stage that closes by it, when the time of a key has come, or when batches are counted. The trigger
    /// once runs no epoch on top of the one that was asked for.
    fn has_something_to_close(&self, now: ProcessingTime) -> bool {
        let closes = |node: &Node| match &node.barrier {
            Some(Barrier::Group(_)) if node.modes.contains(&OutputMode::Complete) => false,
            Some(barrier) => barrier.closes(),
            None => false,
        };
        // Windows over the last batches count those without rows too, and functions that visit all keys do it in each
        // batch.
        let counts = |node: &Node| match &node.barrier {
            Some(Barrier::Group(group)) => matches!(group.extent, Extent::Batches(_)),
            Some(Barrier::Update(update)) => update.visit_all,
            _ => false,
        };
        let ticks = matches!(self.prepared.manifest.trigger, Trigger::Every(_));
        if ticks && self.prepared.plan.nodes.iter().any(counts) {
            return true;
        }
        let moved = self.watermarks.at(now) > self.closed;
        let is_due = |state: &KeyedState| state.next_due().is_some_and(|due| due <= now);
        self.prepared.manifest.trigger != Trigger::Once
            && ((moved && self.prepared.plan.nodes.iter().any(closes)) || self.states.values().any(is_due))
    }

    fn choose_ranges(&mut self, now: ProcessingTime) -> Result<Vec<(PartName, Range)>, RunError> {
        let mut ranges = Vec::new();
        for (source, node) in self.sources.iter_mut().zip(&self.prepared.plan.sources) {
            let range = match source.next_range(now) {
                Err(crate::ports::SourceError::Again(reason)) => {
                    tracing::warn!("source `{}`: {reason}", node.name);
                    None
                }
                other => other.map_err(|error| RunError::Source { part: node.name.clone(), error })?,
            };
            ranges.extend(range.map(|range| (node.name.clone(), range)));
        }
        Ok(ranges)
    }

    /// The epoch that follows on one that closed by `closed` and left event time at `watermarks`.
    fn plan_epoch(
        &self,
        epoch: Epoch,
        ranges: Vec<(PartName, Range)>,
        batch_time: ProcessingTime,
        closed: Watermark,
        watermarks: &Tracker,
    ) -> EpochPlan {
        // Any number will do as long as it is written down: the epoch is run again with the same.
        let seed = (batch_time.micros() as u64) ^ epoch.number().rotate_left(32);
        EpochPlan {
            epoch,
            ranges,
            batch_time,
            watermarks: EpochWatermarks { late: closed, closed: watermarks.at(batch_time) },
            seed,
            manifest: self.prepared.manifest.meaning,
            modules: self.modules(),
            tables: self.tables.digests(),
        }
    }

    /// The plan of the epoch after this one, when rows wait for it and nothing else comes first.
    fn plan_ahead(&mut self, plan: &EpochPlan, watermarks: &Tracker) -> Result<Option<EpochPlan>, RunError> {
        let goes_on = matches!(self.prepared.manifest.trigger, Trigger::Continuous | Trigger::AvailableNow);
        if !goes_on || self.environment.control.wants_something() {
            return Ok(None);
        }
        let now = self.environment.clock.now();
        let ranges = self.choose_ranges(now)?;
        if ranges.is_empty() {
            return Ok(None);
        }
        self.tables.refresh(&self.prepared);
        Ok(Some(self.plan_epoch(plan.epoch.next(), ranges, now, plan.watermarks.closed, watermarks)))
    }

    fn modules(&self) -> Vec<(String, crate::model::Digest)> {
        let names = self.prepared.manifest.plugins.iter().map(|spec| spec.name.value.clone());
        names.zip(self.prepared.plugins.iter().map(|plugin| plugin.digest())).collect()
    }

    /// read -> stateless stages -> by key -> sinks commit -> state and offsets commit -> sources forget.
    fn run_planned(
        &mut self,
        plan: &EpochPlan,
        actions: &[SinkAction],
        mut durations: Durations,
        started: std::time::Duration,
    ) -> Result<Progress, RunError> {
        let scope = scope_of(plan);
        for worker in &mut self.workers {
            worker.set_tables(self.tables.indexes());
            worker.enter(&scope, plan.watermarks.late)?;
        }
        let before = self.environment.clock.elapsed();
        let mut gathered = Gathered::new(plan.epoch, actions);
        let ran = self.begin_sinks(&gathered).and_then(|()| {
            self.read_sources(plan, &mut gathered)?;
            CrashPoint::RowsRead.reached(plan.epoch);
            let chunks = self.run_barriers(plan, &mut gathered)?;
            gathered.report_dead_letters();
            Ok((chunks, self.advance(plan, &gathered)?))
        });
        let (chunks, watermarks) = match ran {
            Ok(ran) => ran,
            Err(error) => {
                self.sinks.iter_mut().for_each(|sink| sink.abort());
                return Err(error);
            }
        };
        durations.add_batch = self.millis_since(before);
        let before = self.environment.clock.elapsed();
        CrashPoint::BeforeSinkCommit.reached(plan.epoch);
        self.commit_sinks(plan, &gathered)?;
        CrashPoint::SinkCommitted.reached(plan.epoch);
        durations.commit_sinks = self.millis_since(before);
        // What a source has to say now concerns the next epoch; this one is committed first.
        let (next, source_error) = match self.plan_ahead(plan, &watermarks) {
            Ok(next) => (next, Ok(())),
            Err(error) => (None, Err(error)),
        };
        let before = self.environment.clock.elapsed();
        self.store.commit(&self.committed(plan, &watermarks), &plan.ranges, &chunks, next.as_ref())?;
        CrashPoint::StateCommitted.reached(plan.epoch);
        durations.commit_offsets = self.millis_since(before);
        self.acknowledge(plan)?;
        CrashPoint::Acknowledged.reached(plan.epoch);
        self.next = plan.epoch.next();
        (self.watermarks, self.closed) = (watermarks, plan.watermarks.closed);
        self.planned = next;
        source_error?;
        durations.trigger_execution = self.millis_since(started);
        Ok(self.progress(plan, &gathered, durations))
    }

    fn begin_sinks(&mut self, gathered: &Gathered) -> Result<(), RunError> {
        for (at, (sink, node)) in self.sinks.iter_mut().zip(&self.prepared.plan.sinks).enumerate() {
            if gathered.writes(at) {
                let begun = sink.begin(gathered.epoch, &node.schema);
                begun.map_err(|error| RunError::Sink { part: node.name.clone(), error })?;
            }
        }
        Ok(())
    }

    fn read_sources(&mut self, plan: &EpochPlan, gathered: &mut Gathered) -> Result<(), RunError> {
        let mut splits: Vec<(usize, Box<dyn Split>)> = Vec::new();
        for (name, range) in &plan.ranges {
            let Some(at) = self.prepared.plan.sources.iter().position(|node| &node.name == name) else {
                return Err(RunError::State(format!(
                    "epoch {} was under way with rows of source `{name}`, which the manifest has no more; put it back until the epoch is done",
                    plan.epoch
                )));
            };
            let of_source =
                self.sources[at].read(range).map_err(|error| RunError::Source { part: name.clone(), error })?;
            splits.extend(of_source.into_iter().map(|split| (at, split)));
        }
        let tasks: Vec<_> = splits.into_iter().enumerate().collect();
        let scope = scope_of(plan);
        let bad_rows = self.prepared.manifest.bad_rows;
        let (nodes, epoch) = (&self.prepared.plan.sources, plan.epoch);
        let read = |pipe: &mut Pipe, (task, (source, split)): (usize, (usize, Box<dyn Split>))| {
            pipe.start_task(&scope, task as u64);
            let taken = Taken::default();
            let receiver = SplitReceiver { pipe, source, part: &nodes[source].name, epoch, bad_rows, taken };
            let (rows, outcome) = receiver.read(split)?;
            Ok((source, rows, outcome))
        };
        let sinks = &mut self.sinks;
        let sink_nodes = &self.prepared.plan.sinks;
        run_in_order(&mut self.workers, tasks, read, |(source, rows, outcome)| {
            *gathered.input_rows.entry(source).or_default() += rows;
            gathered.take(outcome, sinks, sink_nodes)
        })
    }

    /// Every point where rows come together, each after those above it.
    fn run_barriers(&mut self, plan: &EpochPlan, gathered: &mut Gathered) -> Result<Vec<StateChunk>, RunError> {
        let mut chunks = Vec::new();
        for node in 0..self.prepared.plan.nodes.len() {
            match &self.prepared.plan.nodes[node].barrier {
                None => {}
                Some(Barrier::Handle(_)) => self.call_handler(node, &scope_of(plan), gathered)?,
                Some(_) => self.run_keyed(node, plan, gathered, &mut chunks)?,
            }
        }
        Ok(chunks)
    }

    fn run_keyed(
        &mut self,
        node: usize,
        plan: &EpochPlan,
        gathered: &mut Gathered,
        chunks: &mut Vec<StateChunk>,
    ) -> Result<(), RunError> {
        let state = &self.states[&node];
        let mut input: Vec<Shuffled> = gathered.shuffled.remove(&node).unwrap_or_default();
        if input.is_empty() {
            input.extend(state.of_nothing()?);
        }
        let Node { modes, behind, .. } = &self.prepared.plan.nodes[node];
        let store = self.store.as_ref();
        let scope = scope_of(plan);
        let watermarks = plan.watermarks.less(*behind);
        let times = Times { epoch: plan.epoch, watermarks, now: plan.batch_time, modes };
        let run = |pipe: &mut Pipe, bucket: usize| {
            pipe.start_task(&scope, barrier_task(node, bucket));
            let merged = state.run(bucket, &input, &times, pipe.calls(), store)?;
            let Merged { results, chunk, updated, removed } = merged;
            for (mode, rows) in results {
                pipe.push_from_barrier(node, 0, rows, mode)?;
            }
            Ok::<_, RunError>((Keys { updated, removed, late: 0 }, chunk, pipe.finish_task()?))
        };
        let rows: usize = input.iter().map(Shuffled::rows).sum();
        let busy = state.busy(&input, &times);
        // Below some thousands of rows, threads would cost more than they save.
        let workers = if rows.max(state.keys_of(&busy, &times)) < 4096 { 1 } else { self.workers.len() };
        let (sinks, sink_nodes) = (&mut self.sinks, &self.prepared.plan.sinks);
        run_in_order(&mut self.workers[..workers], busy, run, |(did, chunk, outcome)| {
            let keys = gathered.keys.entry(node).or_default();
            keys.updated += did.updated;
            keys.removed += did.removed;
            chunks.extend(chunk);
            gathered.take(outcome, sinks, sink_nodes)
        })
    }

    /// How far event time is complete after an epoch.
    fn advance(&self, plan: &EpochPlan, gathered: &Gathered) -> Result<Tracker, RunError> {
        let mut watermarks = self.watermarks.clone();
        watermarks.raise(plan.watermarks.closed);
        watermarks.observe(&gathered.observed(), plan.batch_time).map_err(|TooManyPartitions { input }| {
            RunError::Partitions { part: self.prepared.plan.watermarks[input].part.clone() }
        })?;
        Ok(watermarks)
    }

    fn call_handler(&mut self, node: usize, scope: &CallScope, gathered: &mut Gathered) -> Result<(), RunError> {
        let this = &self.prepared.plan.nodes[node];
        let Some(Barrier::Handle(call)) = &this.barrier else { unreachable!("only batch handlers are called here") };
        let batches = gathered.for_handlers.remove(&node).unwrap_or_default();
        let input = concat_batches(&this.input, &batches).map_err(|error| {
            RunError::Operator(OperatorError {
                part: this.name.clone(),
                message: format!("the epoch's rows do not fit into one batch for the handler ({error}); bound the epoch with max_bytes_per_trigger"),
            })
        })?;
        let worker = &mut self.workers[0];
        worker.start_task(scope, barrier_task(node, 0));
        let written = worker.calls().handle(&this.name, call, &input)?;
        for output in written {
            worker.push_from_barrier(node, output.outlet, output.rows, None)?;
        }
        let outcome = worker.finish_task()?;
        gathered.take(outcome, &mut self.sinks, &self.prepared.plan.sinks)
    }

    fn commit_sinks(&mut self, plan: &EpochPlan, gathered: &Gathered) -> Result<(), RunError> {
        for (at, (sink, node)) in self.sinks.iter_mut().zip(&self.prepared.plan.sinks).enumerate() {
            if gathered.writes(at) {
                if at > 0 {
                    CrashPoint::BetweenSinkCommits.reached(plan.epoch);
                }
                let committed = sink.commit(plan.permit());
                committed.map_err(|error| RunError::Sink { part: node.name.clone(), error })?;
            }
        }
        Ok(())
    }

    fn committed(&self, plan: &EpochPlan, watermarks: &Tracker) -> Committed {
        let layout = |node: &Node| Some((node.name.clone(), node.barrier.as_ref()?.layout()?.clone()));
        let sinks = self.prepared.manifest.sinks.iter();
        Committed {
            epoch: plan.epoch,
            batch_time: plan.batch_time,
            event_time: EventTimes {
                closed: plan.watermarks.closed,
                next: watermarks.current(),
                policy: watermarks.policy(),
                leads: leads_by_part(&self.prepared.plan, watermarks),
            },
            manifest: plan.manifest,
            modules: plan.modules.clone(),
            sinks: sinks.map(|spec| (spec.name.value.clone(), place_of(spec))).collect(),
            layouts: self.prepared.plan.nodes.iter().filter_map(layout).collect(),
        }
    }

    fn acknowledge(&mut self, plan: &EpochPlan) -> Result<(), RunError> {
        for (name, range) in &plan.ranges {
            let at = self.prepared.plan.sources.iter().position(|node| &node.name == name);
            let at = at.expect("the epoch has just read from it");
            self.sources[at].acknowledge(range).map_err(|error| RunError::Source { part: name.clone(), error })?;
        }
        Ok(())
    }

    fn progress(&mut self, plan: &EpochPlan, gathered: &Gathered, durations: Durations) -> Progress {
        let input: u64 = gathered.input_rows.values().sum();
        let since_last = self.last_start.replace(plan.batch_time).map(|last| plan.batch_time.since(last).as_secs_f64());
        let per_second = |seconds: f64| if seconds > 0.0 { input as f64 / seconds } else { 0.0 };
        let this = &self.prepared.plan;
        let sources = this.sources.iter().enumerate().map(|(at, node)| {
            let range = plan.ranges.iter().find(|(name, _)| name == &node.name).map(|(_, range)| range);
            SourceProgress {
                description: node.name.to_string(),
                start_offset: range.map(|range| offset_json(&range.start)),
                end_offset: range.map(|range| offset_json(&range.end)),
                num_input_rows: gathered.input_rows.get(&at).copied().unwrap_or(0),
            }
        });
        let state_operators = self.states.iter().map(|(node, state)| {
            let keys = gathered.keys.get(node).copied().unwrap_or_default();
            StateProgress {
                operator_name: this.nodes[*node].name.to_string(),
                num_rows_total: state.keys() as u64,
                num_rows_updated: keys.updated as u64,
                num_rows_removed: keys.removed as u64,
                num_rows_dropped_by_watermark: keys.late as u64,
                memory_used_bytes: state.bytes() as u64,
            }
        });
        let event_time = (!this.watermarks.is_empty()).then(|| EventTimeProgress {
            watermark: plan.watermarks.closed.to_string(),
            max: gathered.observed.values().max().map(EventTime::to_string),
        });
        let sinks = this.sinks.iter().enumerate().map(|(at, node)| SinkProgress {
            description: node.name.to_string(),
            num_output_rows: gathered.output_rows.get(&at).copied().unwrap_or(0),
        });
        Progress {
            name: self.prepared.manifest.name.clone(),
            timestamp: plan.batch_time.to_string(),
            batch_id: plan.epoch.number(),
            num_input_rows: input,
            input_rows_per_second: per_second(since_last.unwrap_or(0.0)),
            processed_rows_per_second: per_second(durations.trigger_execution / 1000.0),
            duration_ms: durations,
            event_time,
            state_operators: state_operators.collect(),
            sources: sources.collect(),
            sinks: sinks.collect(),
            num_dead_letters: gathered.dead_letters as u64,
            modules: plan.modules.iter().map(|(name, digest)| (name.clone(), digest.to_string())).collect(),
        }
    }

    fn millis_since(&self, earlier: std::time::Duration) -> f64 {
        (self.environment.clock.elapsed() - earlier).as_secs_f64() * 1000.0
    }
}

fn scope_of(plan: &EpochPlan) -> CallScope {
    CallScope { epoch: plan.epoch, batch_time: plan.batch_time, seed: plan.seed }
}

/// A number for a task behind a barrier that no other task of the epoch has: those of the splits count from 0.
fn barrier_task(node: usize, shard: usize) -> u64 {
    (node as u64 + 1) << 32 | shard as u64
}
