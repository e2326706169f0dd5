//! Whether the state in a checkpoint means what the parts of a pipeline will take it for.

use super::RunError;
use crate::{
    checkpoint::{Committed, StateLayout},
    model::PartName,
    plan::Plan,
    ports::StateRename,
};

/// State belongs to a part by name, and must mean what it meant.
pub(super) fn check_layouts(committed: &Committed, plan: &Plan) -> Result<(), RunError> {
    for (part, stored) in &committed.layouts {
        let refusal = match kept_by(plan, part) {
            Some(layout) if layout == stored => continue,
            Some(layout) => format!(
                "the checkpoint holds state of `{part}` by key `{}` for `{}`, but the manifest now has key `{}` for `{}`; put the old \
                 definition back, give the part a new name so that it starts empty, or start anew with another --checkpoint",
                stored.key, stored.value, layout.key, layout.value
            ),
            None => format!(
                "the checkpoint holds state of `{part}`, but the manifest has no part of this name that keeps any; {}put it back, or \
                 start anew with another --checkpoint",
                renamed_hint(committed, plan, part, stored)
            ),
        };
        return Err(RunError::State(refusal));
    }
    Ok(())
}

/// What may have become of a part that is missing: the one new part that keeps the same.
fn renamed_hint(committed: &Committed, plan: &Plan, missing: &PartName, stored: &StateLayout) -> String {
    let is_new = |part: &&PartName| !committed.layouts.iter().any(|(known, _)| known == *part);
    let mut same = keeping(plan).filter(|(_, layout)| *layout == stored).map(|(part, _)| part).filter(is_new);
    match (same.next(), same.next()) {
        (Some(part), None) => format!(
            "`{part}` is new and keeps the same: if it is `{missing}` under another name, start with --rename-state \
             {missing}={part}, otherwise "
        ),
        _ => String::new(),
    }
}

/// The renames that are still to be done, after a look at whether the plan takes all state as it would be then. One that an
/// earlier start has done is left out, so that a command line may stay as it is.
pub fn check_renames(
    committed: Option<&Committed>,
    plan: &Plan,
    renames: &[StateRename],
) -> Result<Vec<StateRename>, RunError> {
    let layouts = committed.map_or(&[][..], |committed| &committed.layouts);
    let stored = |part: &PartName| layouts.iter().find(|(known, _)| known == part).map(|(_, layout)| layout);
    let mut todo: Vec<StateRename> = Vec::new();
    for rename in renames {
        let StateRename { from, to } = rename;
        let refused = |why: String| Err(RunError::State(format!("--rename-state {from}={to}: {why}")));
        let twice = |other: &StateRename| other.from == *from || other.to == *to;
        let state = match (stored(from), stored(to)) {
            _ if todo.iter().any(twice) => {
                return refused("one of the two is in another --rename-state as well".to_owned());
            }
            (None, Some(_)) => continue,
            (None, None) => {
                let known: Vec<String> = layouts.iter().map(|(part, _)| format!("`{part}`")).collect();
                let known = if known.is_empty() { "of no part".to_owned() } else { format!("of {}", known.join(", ")) };
                return refused(format!("the checkpoint has no state of `{from}`; it has state {known}"));
            }
            (Some(_), Some(_)) => {
                return refused(format!("`{to}` has state of its own in the checkpoint, which would be lost"));
            }
            (Some(state), None) => state,
        };
        match kept_by(plan, to) {
            Some(layout) if layout == state => todo.push(rename.clone()),
            Some(layout) => {
                return refused(format!(
                    "the state is by key `{}` for `{}`, but `{to}` has key `{}` for `{}`",
                    state.key, state.value, layout.key, layout.value
                ));
            }
            None => return refused(format!("the manifest has no part `{to}` that keeps state")),
        }
    }
    if let Some(committed) = committed {
        let mut then = committed.clone();
        for (part, _) in &mut then.layouts {
            let renamed = todo.iter().find(|rename| rename.from == *part);
            renamed.into_iter().for_each(|rename| part.clone_from(&rename.to));
        }
        check_layouts(&then, plan)?;
    }
    Ok(todo)
}

fn kept_by<'a>(plan: &'a Plan, part: &PartName) -> Option<&'a StateLayout> {
    keeping(plan).find(|(name, _)| *name == part).map(|(_, layout)| layout)
}

/// The parts that keep state from epoch to epoch.
fn keeping(plan: &Plan) -> impl Iterator<Item = (&PartName, &StateLayout)> {
    plan.nodes.iter().filter_map(|node| Some((&node.name, node.barrier.as_ref()?.layout()?)))
}
