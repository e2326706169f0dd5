//! Whether what a checkpoint keeps for parts is wanted by the parts that a pipeline has: state by key, and what sources
//! have read.

use super::RunError;
use crate::{
    checkpoint::{Committed, StateLayout},
    model::PartName,
    plan::Plan,
    ports::{CheckpointError, CheckpointStore, StateChange},
};

/// What a checkpoint keeps, by part.
#[derive(Clone)]
pub(super) struct Kept {
    /// The layout of the state of each keyed stage.
    layouts: Vec<(PartName, StateLayout)>,
    /// The sources that have been read.
    sources: Vec<PartName>,
}

impl Kept {
    pub(super) fn of(store: &dyn CheckpointStore, committed: Option<&Committed>) -> Result<Self, CheckpointError> {
        let layouts = committed.map(|committed| committed.layouts.clone()).unwrap_or_default();
        Ok(Kept { layouts, sources: store.sources_with_history()? })
    }

    /// What is kept belongs to a part by name, and must mean what it meant.
    pub(super) fn check(&self, plan: &Plan) -> Result<(), RunError> {
        for (part, stored) in &self.layouts {
            let refusal = match layout_of(plan, part) {
                Some(layout) if layout.takes(stored) => continue,
                Some(layout) if layout.version < stored.version => format!(
                    "the checkpoint holds state of `{part}` of version {}, but the plugin is at version {}; put the newer plugin \
                     back, or start with --drop-state {part} to forget that state and let the part begin empty",
                    stored.version, layout.version
                ),
                Some(layout) => format!(
                    "the checkpoint holds state of `{part}` {}, but the manifest now has it {}; put the old definition back, or \
                     start with --drop-state {part} to forget that state and let the part begin empty",
                    in_words(stored, layout),
                    in_words(layout, stored),
                ),
                None => format!(
                    "the checkpoint holds state of `{part}`, but the manifest has no part of this name that keeps any; {}put it \
                     back, or start with --drop-state {part} to forget its state",
                    self.renamed_stage(plan, part, stored)
                ),
            };
            return Err(RunError::State(refusal));
        }
        let gone = self.sources.iter().find(|part| !has_source(plan, part));
        gone.map_or(Ok(()), |part| {
            Err(RunError::State(format!(
                "the checkpoint knows what source `{part}` has read, but the manifest has no source of this name; {}put it back, \
                 or start with --drop-state {part} to forget what it has read",
                self.renamed_source(plan)
            )))
        })
    }

    /// What is still to be done of what was asked for, after a look at whether the plan takes all that is kept as it
    /// would be then. What an earlier start has done is left out, so that a command line may stay as it is.
    pub(super) fn check_changes(&self, plan: &Plan, asked: &[StateChange]) -> Result<Vec<StateChange>, RunError> {
        let mut todo: Vec<StateChange> = Vec::new();
        let mut then = self.clone();
        for change in asked {
            let wanted = match change {
                StateChange::Rename { from, to } => then.check_rename(plan, from, to)?,
                StateChange::Drop { part } => then.check_drop(plan, part)?,
            };
            if wanted {
                then.apply(change);
                todo.push(change.clone());
            }
        }
        then.check(plan)?;
        Ok(todo)
    }

    /// Whether this rename is still to be done.
    fn check_rename(&self, plan: &Plan, from: &PartName, to: &PartName) -> Result<bool, RunError> {
        let refused = |why: String| Err(RunError::State(format!("--rename-state {from}={to}: {why}")));
        match (self.has(from), self.has(to)) {
            (false, true) => return Ok(false),
            (false, false) => {
                return refused(format!("the checkpoint keeps nothing for `{from}`; it has {}", self.parts()));
            }
            (true, true) => {
                return refused(format!("the checkpoint keeps something for `{to}` already, which would be lost"));
            }
            (true, false) => {}
        }
        if self.sources.contains(from) {
            return match has_source(plan, to) {
                true => Ok(true),
                false => refused(format!("`{from}` is a source, and the manifest has no source `{to}`")),
            };
        }
        let stored = self.layout(from).expect("what is kept for a part is the history of a source or state");
        match layout_of(plan, to) {
            Some(layout) if layout.takes(stored) => Ok(true),
            Some(layout) => refused(format!(
                "the state is {}, but `{to}` has it {}",
                in_words(stored, layout),
                in_words(layout, stored)
            )),
            None => refused(format!("the manifest has no part `{to}` that keeps state")),
        }
    }

    /// Whether what is kept for this part is to be forgotten: what fits the manifest is not, or a command line that
    /// stays as it is would forget it again at each start.
    fn check_drop(&self, plan: &Plan, part: &PartName) -> Result<bool, RunError> {
        if let Some(stored) = self.layout(part) {
            return Ok(!layout_of(plan, part).is_some_and(|layout| layout.takes(stored)));
        }
        Ok(self.sources.contains(part) && !has_source(plan, part))
    }

    fn apply(&mut self, change: &StateChange) {
        match change {
            StateChange::Rename { from, to } => {
                let layouts = self.layouts.iter_mut().map(|(part, _)| part);
                let same = layouts.chain(&mut self.sources).filter(|part| *part == from);
                same.for_each(|part| part.clone_from(to));
            }
            StateChange::Drop { part } => {
                self.layouts.retain(|(known, _)| known != part);
                self.sources.retain(|known| known != part);
            }
        }
    }

    /// What may have become of a stage that is missing: the one new part that keeps the same.
    fn renamed_stage(&self, plan: &Plan, missing: &PartName, stored: &StateLayout) -> String {
        let same = keeping(plan).filter(|(part, layout)| layout.takes(stored) && !self.has(part)).map(|(part, _)| part);
        match only(same) {
            Some(part) => format!(
                "`{part}` is new and keeps the same: if it is `{missing}` under another name, start with --rename-state \
                 {missing}={part}, otherwise "
            ),
            None => String::new(),
        }
    }

    /// What may have become of a source that is missing: the one that is new, when only one is missing.
    fn renamed_source(&self, plan: &Plan) -> String {
        let missing = only(self.sources.iter().filter(|part| !has_source(plan, part)));
        let new = only(plan.sources.iter().map(|source| &source.name).filter(|part| !self.has(part)));
        match missing.zip(new) {
            Some((missing, new)) => format!(
                "`{new}` is new: if it is `{missing}` under another name, start with --rename-state {missing}={new}, so that it \
                 goes on where `{missing}` stood, otherwise "
            ),
            None => String::new(),
        }
    }

    fn layout(&self, part: &PartName) -> Option<&StateLayout> {
        self.layouts.iter().find(|(known, _)| known == part).map(|(_, layout)| layout)
    }

    fn has(&self, part: &PartName) -> bool {
        self.layout(part).is_some() || self.sources.contains(part)
    }

    fn parts(&self) -> String {
        let parts = self.layouts.iter().map(|(part, _)| part).chain(&self.sources);
        let parts: Vec<String> = parts.map(|part| format!("`{part}`")).collect();
        if parts.is_empty() { "nothing at all".to_owned() } else { format!("something for {}", parts.join(", ")) }
    }
}

/// A layout, beside another that it differs from.
fn in_words(layout: &StateLayout, other: &StateLayout) -> String {
    let words = format!("by key `{}` for `{}`", layout.key, layout.value);
    match layout.key == other.key && layout.value == other.value {
        true => format!("{words} in columns `{}`", layout.columns),
        false => words,
    }
}

fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

fn has_source(plan: &Plan, part: &PartName) -> bool {
    plan.sources.iter().any(|source| source.name == *part)
}

fn layout_of<'a>(plan: &'a Plan, part: &PartName) -> Option<&'a StateLayout> {
    keeping(plan).find(|(name, _)| *name == part).map(|(_, layout)| layout)
}

/// The parts that keep state from epoch to epoch.
fn keeping(plan: &Plan) -> impl Iterator<Item = (&PartName, &StateLayout)> {
    plan.nodes.iter().filter_map(|node| Some((&node.name, node.barrier.as_ref()?.layout()?)))
}
