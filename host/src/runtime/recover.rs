//! What a start does about what the process before left unfinished: it observes the checkpoint and every sink, has it
//! decided (`checkpoint::decide`), and sees to it that an epoch that is run again gives the same rows.

use super::{Environment, Prepared, RunError, crash_point::CrashPoint, reconcile::place_of, tables::Tables};
use crate::{
    checkpoint::{Committed, EpochPlan, Recovery, SinkAction, decide},
    model::Epoch,
    ports::{CheckpointStore, Marker, Sink, StateChange},
};

/// What whoever starts a pipeline has decided about what has changed since its checkpoint was made.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    /// What becomes of what is kept for parts that the manifest has no more, or not as they were.
    pub state: Vec<StateChange>,
    /// Whether an epoch is run again although something has changed that may give it other rows, and a sink has it
    /// already.
    pub replay_changed: bool,
}

/// An epoch to run again as it was planned.
pub(super) struct InFlight {
    pub(super) plan: EpochPlan,
    /// What each sink does with its rows.
    pub(super) sinks: Vec<SinkAction>,
}

/// Observes what the checkpoint and the sinks hold, and decides what comes first.
pub(super) fn recover(
    environment: &Environment,
    store: &dyn CheckpointStore,
    committed: Option<&Committed>,
    wanted: &Prepared,
    sinks: &mut [Box<dyn Sink>],
) -> Result<(Epoch, Option<InFlight>), RunError> {
    let mut markers = Vec::with_capacity(sinks.len());
    for ((sink, node), spec) in sinks.iter_mut().zip(&wanted.plan.sinks).zip(&wanted.manifest.sinks) {
        let marker = sink.recover().map_err(|error| RunError::Sink { part: node.name.clone(), error })?;
        let here = (node.name.clone(), place_of(spec));
        let is_new = committed.is_some_and(|committed| !committed.sinks.contains(&here));
        let marker = if is_new && marker == Marker::Nothing { Marker::Unknown } else { marker };
        markers.push((node.name.clone(), marker));
    }
    CrashPoint::RecoveredSinks.reached(committed.map_or(Epoch::FIRST, |committed| committed.epoch.next()));
    let plan = store.plan()?;
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

impl InFlight {
    /// Refuses to run the epoch again where that could lose or double rows.
    ///
    /// Where no sink has it, it may be run with what there is now: whoever mends a plugin that stopped the pipeline
    /// wants just that. Once a sink has it, the others and the state must get what that one got.
    pub(super) fn check(&self, wanted: &Prepared, tables: &Tables, decisions: &Decisions) -> Result<(), RunError> {
        let epoch = self.plan.epoch;
        self.check_sources(wanted, decisions)?;
        let changes = self.changes(wanted, tables);
        if changes.is_empty() {
            return Ok(());
        }
        let changes = changes.join(", ");
        let has_it = self.sinks.iter().position(|&action| action == SinkAction::Suppress);
        match has_it.filter(|_| !decisions.replay_changed) {
            None => {
                tracing::warn!("epoch {epoch} was under way and is run again with what has changed since: {changes}");
                Ok(())
            }
            Some(sink) => Err(RunError::State(format!(
                "epoch {epoch} was under way, and sink `{}` has committed it already; what else it leads to must match, but there \
                 have changed since: {changes}. Start once with what there was, until that epoch is done, and change it then; or \
                 start with --replay-changed, if it does not matter that state and other sinks may not match that sink in this \
                 one epoch",
                wanted.plan.sinks[sink].name
            ))),
        }
    }

    /// The rows it read must be there, under whatever name.
    fn check_sources(&self, wanted: &Prepared, decisions: &Decisions) -> Result<(), RunError> {
        for (part, _) in &self.plan.ranges {
            let renamed = decisions.state.iter().find_map(|change| match change {
                StateChange::Rename { from, to } if from == part => Some(to),
                _ => None,
            });
            let now = renamed.unwrap_or(part);
            if !wanted.plan.sources.iter().any(|source| source.name == *now) {
                return Err(RunError::State(format!(
                    "epoch {} was under way with rows of source `{part}`, which the manifest has no more; put it back until the \
                     epoch is done, or name the source that it is now with --rename-state {part}=NEW",
                    self.plan.epoch
                )));
            }
        }
        Ok(())
    }

    /// What has changed since it was planned that may give it other rows.
    fn changes(&self, wanted: &Prepared, tables: &Tables) -> Vec<String> {
        let manifest = (self.plan.manifest != wanted.manifest.meaning).then(|| "the manifest".to_owned());
        let plugins = wanted.manifest.plugins.iter().zip(&wanted.plugins).filter_map(|(spec, plugin)| {
            let name = &spec.name.value;
            let (_, planned) = self.plan.modules.iter().find(|(known, _)| known == name)?;
            let now = plugin.digest();
            (*planned != now).then(|| format!("plugin `{name}` ({} -> {})", planned.short(), now.short()))
        });
        let tables = tables.changed_since(&self.plan.tables).map(|name| format!("table `{name}`"));
        manifest.into_iter().chain(plugins).chain(tables).collect()
    }
}
