//! Which output modes each transform must produce: those of the sinks below it.

use std::collections::BTreeSet;

use super::{Barrier, Plan, Target};
use crate::manifest::OutputMode;

/// Fills in the modes, from the sinks upwards.
pub(super) fn settle_modes(plan: &mut Plan) {
    for at in (0..plan.nodes.len()).rev() {
        let targets = plan.nodes[at].outputs.iter().flat_map(|output| &output.targets);
        let modes: BTreeSet<OutputMode> = targets.flat_map(|target| wanted_by(plan, *target)).collect();
        plan.nodes[at].modes = modes;
    }
}

/// The modes in which a target wants its rows. A batch handler is called with the rows that changed; a group reads
/// rows that are final.
fn wanted_by(plan: &Plan, target: Target) -> BTreeSet<OutputMode> {
    match target {
        Target::Sink(sink) => BTreeSet::from([plan.sinks[sink].mode]),
        Target::Node(node) => match &plan.nodes[node].barrier {
            Some(Barrier::Handle(_)) => BTreeSet::from([OutputMode::Update]),
            Some(Barrier::Group(_)) => BTreeSet::from([OutputMode::Append]),
            None => plan.nodes[node].modes.clone(),
        },
    }
}
