//! From what runs to what is wanted: a start, a swap and a restart are the same path.
//!
//! First everything that can be refused is checked and everything new is opened; only then does anything change. So a
//! wish that is refused leaves what runs as it was.

use std::{
    collections::BTreeMap,
    path,
    sync::{Arc, atomic::AtomicUsize},
};

use super::{
    Environment, Pipeline, Prepared, RunError,
    kept::Kept,
    recover::{Decisions, InFlight, recover},
    tables::Tables,
};
use crate::{
    checkpoint::{Committed, EventTimes},
    manifest::{SinkConnector, SinkSpec, SourceSpec, Trigger},
    model::{PartName, ProcessingTime, Watermark},
    operator::{KeyedState, Pipe, PluginCalls},
    plan::{Barrier, Plan, SinkNode, SourceNode},
    ports::{CheckpointStore, Marker, Sink, Source, StateChange},
    sink, source,
    watermark::{Lead, Policy, Tracker},
};

impl Pipeline {
    /// Starts a pipeline where its checkpoint stands.
    pub fn start(
        environment: Environment,
        store: Box<dyn CheckpointStore>,
        wanted: Prepared,
        decisions: &Decisions,
    ) -> Result<Self, RunError> {
        let sinks = open_sinks(&environment, &wanted)?;
        Pipeline::start_with(environment, store, wanted, decisions, sinks)
    }

    /// The same with sinks that somebody else has opened, in the order of the manifest: on another file system, for
    /// one.
    pub(crate) fn start_with(
        environment: Environment,
        mut store: Box<dyn CheckpointStore>,
        wanted: Prepared,
        decisions: &Decisions,
        mut sinks: Vec<Box<dyn Sink>>,
    ) -> Result<Self, RunError> {
        let committed = store.committed()?;
        let changes = Kept::of(store.as_ref(), committed.as_ref())?.check_changes(&wanted.plan, &decisions.state)?;
        let workers = start_workers(&wanted)?;
        let tables = Tables::open(&wanted)?;
        let (next, in_flight) = recover(&environment, store.as_ref(), committed.as_ref(), &wanted, &mut sinks)?;
        in_flight.iter().try_for_each(|in_flight| in_flight.check(&wanted, &tables, decisions))?;

        let (committed, in_flight) = match changes.is_empty() {
            true => (committed, in_flight),
            false => {
                store.change_state(&changes)?;
                report(&changes);
                let (committed, plan) = (store.committed()?, store.plan()?);
                (committed, in_flight.zip(plan).map(|(InFlight { sinks, .. }, plan)| InFlight { plan, sinks }))
            }
        };
        let sources = wanted.manifest.sources.iter().zip(&wanted.plan.sources);
        let sources = sources.map(|(spec, node)| open_source(&environment, store.as_ref(), &wanted, spec, node));
        let sources = sources.collect::<Result<_, _>>()?;
        let resident = Arc::default();
        let states = load_states(store.as_ref(), &wanted, &resident)?;
        let watermarks = open_watermarks(committed.as_ref(), &wanted, environment.clock.now());
        let closed = committed.as_ref().map_or(Watermark::START, |committed| committed.event_time.closed);
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
            failed: false,
        })
    }

    /// Changes a running pipeline between two epochs. On an error it runs on as it was.
    pub fn reconcile(&mut self, wanted: Prepared) -> Result<(), RunError> {
        Kept::of(self.store.as_ref(), self.store.committed()?.as_ref())?.check(&wanted.plan)?;
        let workers = start_workers(&wanted)?;
        let tables = Tables::open(&wanted)?;
        let mut new_sources = self.open_new_sources(&wanted)?;
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
        let running =
            std::mem::take(&mut self.prepared.plan.sources).into_iter().zip(std::mem::take(&mut self.sources));
        let mut running: BTreeMap<PartName, Box<dyn Source>> =
            running.map(|(node, source)| (node.name, source)).collect();
        let sources = wanted.plan.sources.iter();
        let sources = sources.map(|node| new_sources.remove(&node.name).or_else(|| running.remove(&node.name)));
        self.sources = sources.map(|source| source.expect("a source runs already or has just been opened")).collect();
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

    /// Opens the sources that do not run yet as they are wanted. One that runs already is kept, with what it has
    /// received.
    fn open_new_sources(&self, wanted: &Prepared) -> Result<BTreeMap<PartName, Box<dyn Source>>, RunError> {
        let running: Vec<_> = self.prepared.manifest.sources.iter().zip(&self.prepared.plan.sources).collect();
        let (had, has) = (self.prepared.manifest.trigger, wanted.manifest.trigger);
        // These triggers have their own idea of what a source offers.
        let same_trigger = [Trigger::Once, Trigger::AvailableNow].iter().all(|only| (had == *only) == (has == *only));
        let runs = |spec: &SourceSpec, node: &SourceNode| {
            let same = |(s, n): &(&SourceSpec, &SourceNode)| {
                n.name == node.name && s.connector == spec.connector && n.projection == node.projection
            };
            same_trigger && running.iter().any(same)
        };
        let mut opened = BTreeMap::new();
        let new = wanted.manifest.sources.iter().zip(&wanted.plan.sources).filter(|(spec, node)| !runs(spec, node));
        for (spec, node) in new {
            let mut source = open_source(&self.environment, self.store.as_ref(), wanted, spec, node)?;
            if has == Trigger::AvailableNow {
                let frozen = source.freeze(self.environment.clock.now());
                frozen.map_err(|error| RunError::Source { part: node.name.clone(), error })?;
            }
            opened.insert(node.name.clone(), source);
        }
        Ok(opened)
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
                // It stands where the pipeline stands.
                Marker::At(epoch) if Some(epoch) == self.next.previous() => {}
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
    // Spark knows no partitions, so there is nothing to be the same as; and one that is forgotten would hold nobody
    // back.
    let by_partition =
        |part: &PartName| wanted.plan.watermarks.iter().any(|input| input.per.is_some() && input.part == *part);
    let remembered = leads.iter().filter(|(part, _)| settings.remember_leads || by_partition(part));
    let leads: Vec<_> = remembered.cloned().collect();
    tracker(&wanted.plan, *policy, *next, &leads, now)
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

fn open_source(
    environment: &Environment,
    store: &dyn CheckpointStore,
    wanted: &Prepared,
    spec: &SourceSpec,
    node: &SourceNode,
) -> Result<Box<dyn Source>, RunError> {
    let in_source = |error| RunError::Source { part: node.name.clone(), error };
    let spec = match wanted.manifest.trigger {
        Trigger::Once => spec.without_limits(),
        _ => spec.clone(),
    };
    let (clock, wake) = (environment.clock.clone(), environment.control.clone());
    let mut source = source::open(&spec, node.projection.clone(), clock, wake).map_err(in_source)?;
    source.restore(&store.history(&node.name)?).map_err(in_source)?;
    Ok(source)
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

/// Where a sink's rows go, by which a sink in a new place is known for a new one; empty where there is only one place.
pub(super) fn place_of(spec: &SinkSpec) -> String {
    match &spec.connector {
        SinkConnector::Files(files) => {
            path::absolute(&files.path).unwrap_or_else(|_| files.path.clone()).display().to_string()
        }
        SinkConnector::Console(_) | SinkConnector::Memory(_) => String::new(),
    }
}

fn report(changes: &[StateChange]) {
    for change in changes {
        match change {
            StateChange::Rename { from, to } => tracing::info!("`{to}` goes on with what was kept for `{from}`"),
            StateChange::Drop { part } => tracing::info!("what was kept for `{part}` is forgotten"),
        }
    }
}
