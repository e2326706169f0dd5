//! From what runs to what is wanted: a start, a swap and a restart are the same path.
//!
//! First everything that can be refused is checked and everything new is opened; only then does anything change. So a wish that is
//! refused leaves what runs as it was.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicUsize},
};

use super::{
    Environment, Pipeline, Prepared, RunError, crash_point::CrashPoint, layouts::check_layouts, tables::Tables,
};
use crate::{
    checkpoint::{Committed, EpochPlan, EventTimes, Recovery, SinkAction, decide},
    manifest::{SinkSpec, SourceSpec, Trigger},
    model::{Epoch, PartName, ProcessingTime, Watermark},
    operator::{KeyedState, Pipe, PluginCalls},
    plan::{Barrier, Plan, SinkNode},
    ports::{CheckpointStore, Marker, Sink, Source},
    sink, source,
    watermark::{Lead, Policy, Tracker},
};

/// An epoch to run again as it was planned.
pub(super) struct InFlight {
    pub(super) plan: EpochPlan,
    /// What each sink does with its rows.
    pub(super) sinks: Vec<SinkAction>,
}

impl Pipeline {
    /// Starts a pipeline where its checkpoint stands.
    pub fn start(
        environment: Environment,
        store: Box<dyn CheckpointStore>,
        wanted: Prepared,
    ) -> Result<Self, RunError> {
        let committed = store.committed()?;
        if let Some(committed) = &committed {
            check_layouts(committed, &wanted.plan)?;
        }
        let sources = open_sources(&environment, store.as_ref(), &wanted)?;
        let resident = Arc::default();
        let states = load_states(store.as_ref(), &wanted, &resident)?;
        let watermarks = open_watermarks(committed.as_ref(), &wanted, environment.clock.now());
        let closed = committed.as_ref().map_or(Watermark::START, |committed| committed.event_time.closed);
        let workers = start_workers(&wanted)?;
        let tables = Tables::open(&wanted)?;
        let mut sinks = open_sinks(&environment, &wanted)?;
        let (next, in_flight) = recover(&environment, store.as_ref(), committed.as_ref(), &wanted, &mut sinks)?;
        Ok(Pipeline {
            environment,
            prepared: wanted,
            sources,
            tables,
            sinks,
            states,
            workers,
            store,
            next,
            in_flight,
            planned: None,
            last_start: None,
            watermarks,
            closed,
            resident,
        })
    }

    /// Changes a running pipeline between two epochs. On an error it runs on as it was.
    pub fn reconcile(&mut self, wanted: Prepared) -> Result<(), RunError> {
        let committed = self.store.committed()?;
        if let Some(committed) = &committed {
            check_layouts(committed, &wanted.plan)?;
        }
        let workers = start_workers(&wanted)?;
        let tables = Tables::open(&wanted)?;
        let sources = match self.same_sources(&wanted) {
            true => None,
            false => Some(open_sources(&self.environment, self.store.as_ref(), &wanted)?),
        };
        let mut new_sinks = self.open_new_sinks(&wanted)?;
        let mut new_states = BTreeMap::new();
        for (node, name, barrier) in keyed(&wanted.plan) {
            if self.state_of(name).is_none_or(|known| !self.states[&known].fits(barrier)) {
                new_states.insert(node, load_state(self.store.as_ref(), name, barrier, &wanted, &self.resident)?);
            }
        }
        // The watermark never goes back. What was known of each input belongs to the part that declares it.
        let watermarks = self.carried_watermarks(&wanted);

        // Nothing below can fail.
        let mut old_states = std::mem::take(&mut self.states);
        for (node, name, barrier) in keyed(&wanted.plan) {
            let kept =
                self.prepared.plan.nodes.iter().position(|n| &n.name == name).and_then(|n| old_states.remove(&n));
            let state = new_states.remove(&node).or_else(|| {
                kept.map(|mut state| {
                    state.adopt(barrier);
                    state
                })
            });
            self.states.extend(state.map(|state| (node, state)));
        }
        self.sources = sources.unwrap_or_else(|| std::mem::take(&mut self.sources));
        let running = std::mem::take(&mut self.prepared.plan.sinks).into_iter().zip(std::mem::take(&mut self.sinks));
        let mut running: BTreeMap<PartName, Box<dyn Sink>> = running.map(|(node, sink)| (node.name, sink)).collect();
        let sinks =
            wanted.plan.sinks.iter().map(|node| new_sinks.remove(&node.name).or_else(|| running.remove(&node.name)));
        self.sinks = sinks.map(|sink| sink.expect("a sink runs already or has just been opened")).collect();
        self.workers = workers;
        self.tables = tables;
        self.watermarks = watermarks;
        self.prepared = wanted;
        Ok(())
    }

    fn carried_watermarks(&self, wanted: &Prepared) -> Tracker {
        let known = leads_by_part(&self.prepared.plan, &self.watermarks);
        let policy = self.watermarks.policy();
        tracker(&wanted.plan, policy, self.watermarks.current(), &known, self.environment.clock.now())
    }

    fn same_sources(&self, wanted: &Prepared) -> bool {
        let (running, wanted_sources) = (&self.prepared.manifest.sources, &wanted.manifest.sources);
        running.len() == wanted_sources.len()
            && running
                .iter()
                .zip(wanted_sources)
                .all(|(a, b)| a.name.value == b.name.value && a.connector == b.connector)
            && self.prepared.plan.sources.iter().zip(&wanted.plan.sources).all(|(a, b)| a.projection == b.projection)
    }

    /// Opens the sinks that do not run yet as they are wanted. One that runs already is kept: it stands where the
    /// pipeline stands.
    fn open_new_sinks(&self, wanted: &Prepared) -> Result<BTreeMap<PartName, Box<dyn Sink>>, RunError> {
        let running: Vec<_> = self.prepared.manifest.sinks.iter().zip(&self.prepared.plan.sinks).collect();
        let runs = |spec: &SinkSpec, node: &SinkNode| {
            let same = |(s, n): &(&SinkSpec, &SinkNode)| {
                n.name == node.name && s.connector == spec.connector && n.mode == node.mode
            };
            running.iter().any(same)
        };
        let mut opened = BTreeMap::new();
        for (spec, node) in
            wanted.manifest.sinks.iter().zip(&wanted.plan.sinks).filter(|(spec, node)| !runs(spec, node))
        {
            let mut sink = open_sink(&self.environment, spec, node)?;
            match sink.recover().map_err(|error| RunError::Sink { part: node.name.clone(), error })? {
                Marker::Unknown | Marker::Nothing => {}
                Marker::At(epoch) => {
                    return Err(RunError::State(format!(
                        "sink `{}` would go on in a place that already holds epoch {epoch}, of another pipeline or of an earlier one; \
                         give it a new place",
                        node.name
                    )));
                }
            }
            opened.insert(node.name.clone(), sink);
        }
        Ok(opened)
    }

    fn state_of(&self, name: &PartName) -> Option<usize> {
        self.states.keys().copied().find(|&node| self.node_name(node) == name)
    }
}

/// The keyed stages of a plan.
fn keyed(plan: &Plan) -> impl Iterator<Item = (usize, &PartName, &Barrier)> {
    let keyed = |barrier: &&Barrier| !matches!(barrier, Barrier::Handle(_));
    let nodes = plan.nodes.iter().enumerate();
    nodes.filter_map(move |(at, node)| Some((at, &node.name, node.barrier.as_ref().filter(keyed)?)))
}

/// Every input's watermark as the checkpoint left it.
fn open_watermarks(committed: Option<&Committed>, wanted: &Prepared, now: ProcessingTime) -> Tracker {
    let settings = wanted.manifest.watermarks;
    let Some(EventTimes { next, policy, leads, .. }) = committed.map(|committed| &committed.event_time) else {
        return tracker(&wanted.plan, settings.policy, Watermark::START, &[], now);
    };
    if *policy != settings.policy {
        tracing::warn!("the checkpoint was made with watermarks.policy = \"{policy}\", and goes on with it");
    }
    let leads = if settings.remember_leads { leads.as_slice() } else { &[] };
    tracker(&wanted.plan, *policy, *next, leads, now)
}

fn tracker(
    plan: &Plan,
    policy: Policy,
    current: Watermark,
    leads: &[(PartName, BTreeMap<String, Lead>)],
    now: ProcessingTime,
) -> Tracker {
    let of_part = |part: &PartName| leads.iter().find(|(name, _)| name == part).map(|(_, leads)| leads.clone());
    let leads = plan.watermarks.iter().map(|input| of_part(&input.part).unwrap_or_default()).collect();
    let inputs = plan.watermarks.iter().map(|input| input.lateness).collect();
    Tracker::new(policy, inputs, current, leads, now)
}

/// How far each input is, by the part that declares its watermark.
pub(super) fn leads_by_part(plan: &Plan, watermarks: &Tracker) -> Vec<(PartName, BTreeMap<String, Lead>)> {
    let parts = plan.watermarks.iter().map(|input| input.part.clone());
    parts.zip(watermarks.leads().iter().cloned()).collect()
}

fn open_sources(
    environment: &Environment,
    store: &dyn CheckpointStore,
    wanted: &Prepared,
) -> Result<Vec<Box<dyn Source>>, RunError> {
    let open = |(spec, node): (&SourceSpec, &crate::plan::SourceNode)| {
        let in_source = |error| RunError::Source { part: node.name.clone(), error };
        let spec = match wanted.manifest.trigger {
            Trigger::Once => spec.without_limits(),
            _ => spec.clone(),
        };
        let (clock, wake) = (environment.clock.clone(), environment.control.clone());
        let mut source = source::open(&spec, node.projection.clone(), clock, wake).map_err(in_source)?;
        source.restore(&store.history(&node.name)?).map_err(in_source)?;
        Ok(source)
    };
    wanted.manifest.sources.iter().zip(&wanted.plan.sources).map(open).collect()
}

fn open_sinks(environment: &Environment, wanted: &Prepared) -> Result<Vec<Box<dyn Sink>>, RunError> {
    let sinks = wanted.manifest.sinks.iter().zip(&wanted.plan.sinks);
    sinks.map(|(spec, node)| open_sink(environment, spec, node)).collect()
}

fn open_sink(environment: &Environment, spec: &SinkSpec, node: &SinkNode) -> Result<Box<dyn Sink>, RunError> {
    sink::open(&node.name, &spec.connector, node.mode, &environment.tables)
        .map_err(|error| RunError::Sink { part: node.name.clone(), error })
}

fn load_states(
    store: &dyn CheckpointStore,
    wanted: &Prepared,
    resident: &Arc<AtomicUsize>,
) -> Result<BTreeMap<usize, KeyedState>, RunError> {
    let load = |(node, name, barrier)| Ok((node, load_state(store, name, barrier, wanted, resident)?));
    keyed(&wanted.plan).map(load).collect()
}

fn load_state(
    store: &dyn CheckpointStore,
    name: &PartName,
    barrier: &Barrier,
    wanted: &Prepared,
    resident: &Arc<AtomicUsize>,
) -> Result<KeyedState, RunError> {
    let most = usize::try_from(wanted.manifest.limits.state).unwrap_or(usize::MAX);
    let state = KeyedState::new(name, barrier, Arc::clone(resident), most);
    state.open(store)?;
    Ok(state)
}

fn start_workers(wanted: &Prepared) -> Result<Vec<Pipe>, RunError> {
    let one_a_core = || std::thread::available_parallelism().map_or(1, usize::from);
    let count = wanted.manifest.workers.unwrap_or_else(one_a_core);
    let digests: Vec<_> = wanted.plugins.iter().map(|plugin| plugin.digest()).collect();
    let start = |_| {
        let instances = wanted.plugins.iter().zip(&wanted.plan.uses);
        let instances = instances.map(|(plugin, uses)| plugin.instantiate(uses, wanted.manifest.limits));
        let calls = PluginCalls::new(instances.collect::<Result<_, _>>()?, digests.clone(), wanted.manifest.bad_rows);
        Ok(Pipe::new(wanted.plan.clone(), calls))
    };
    (0..count).map(start).collect()
}

/// Observes what the checkpoint and the sinks hold, and decides what comes first.
fn recover(
    environment: &Environment,
    store: &dyn CheckpointStore,
    committed: Option<&Committed>,
    wanted: &Prepared,
    sinks: &mut [Box<dyn Sink>],
) -> Result<(Epoch, Option<InFlight>), RunError> {
    let mut markers = Vec::with_capacity(sinks.len());
    for (sink, node) in sinks.iter_mut().zip(&wanted.plan.sinks) {
        let marker = sink.recover().map_err(|error| RunError::Sink { part: node.name.clone(), error })?;
        let is_new = committed.is_some_and(|committed| !committed.sinks.contains(&node.name));
        let marker = if is_new && marker == Marker::Nothing { Marker::Unknown } else { marker };
        markers.push((node.name.clone(), marker));
    }
    CrashPoint::RecoveredSinks.reached(committed.map_or(Epoch::FIRST, |committed| committed.epoch.next()));
    let plan = store.plan()?;
    if let Some(plan) = &plan {
        report_other_modules(plan, wanted);
    }
    let decision = decide(committed.map(|c| c.epoch), plan.as_ref().map(|plan| plan.epoch), &markers);
    let unrecoverable = |error| RunError::Unrecoverable { error, checkpoint: environment.checkpoint.clone() };
    Ok(match decision.map_err(unrecoverable)? {
        Recovery::Fresh { next } => (next, None),
        Recovery::Rerun { epoch, sinks } => {
            CrashPoint::RerunPlanned.reached(epoch);
            (epoch, plan.map(|plan| InFlight { plan, sinks }))
        }
    })
}

/// An epoch that is run again with another module may give other rows than the first time. That is what somebody wants
/// who mends a plugin that stopped the pipeline, so it is said and not refused.
fn report_other_modules(plan: &EpochPlan, wanted: &Prepared) {
    for (spec, plugin) in wanted.manifest.plugins.iter().zip(&wanted.plugins) {
        let planned = plan.modules.iter().find(|(name, _)| name == &spec.name.value);
        if let Some((name, planned)) = planned.filter(|(_, planned)| *planned != plugin.digest()) {
            tracing::warn!(
                "epoch {} was under way with plugin `{name}` {}; it is run again with {}",
                plan.epoch,
                planned.short(),
                plugin.digest().short()
            );
        }
    }
}
