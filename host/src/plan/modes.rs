//! Output modes: which one each sink and batch handler takes, and which ones each transform must produce for them.

use std::collections::BTreeSet;

use super::{
    Plan, Target,
    scope::{Finality, Rows, Scope},
};
use crate::manifest::{Diagnostic, Diagnostics, Manifest, OutputMode, Spanned};

/// The mode that was asked for, if the rows can be had in it, or else the one that fits. `taker` is how messages name
/// who wants it.
pub(super) fn settle_mode(
    scope: &mut Scope<'_>,
    taker: &str,
    wanted: Option<&Spanned<OutputMode>>,
    rows: &Rows,
) -> Option<OutputMode> {
    let Some(Spanned { value: mode, span }) = wanted else {
        return Some(match rows.finality {
            Finality::Final | Finality::Closing | Finality::Sessions { closing: true } => OutputMode::Append,
            Finality::Changing => OutputMode::Update,
            Finality::Sessions { closing: false } => OutputMode::Complete,
        });
    };
    let fault = match (mode, rows.finality) {
        (OutputMode::Append, Finality::Changing | Finality::Sessions { closing: false }) => Diagnostic::error(format!(
            "{taker} cannot have mode `append`: its rows come from a running total, and no row of it is ever final"
        ))
        .help(
            "take mode \"update\" for the rows that changed or \"complete\" for all rows; or make rows final: group with \
             over = \"batch\", or by a window of the event time of a watermark",
        ),
        (OutputMode::Update, Finality::Sessions { .. }) => Diagnostic::error(format!(
            "{taker} cannot have mode `update`: its rows come from sessions, which merge, so a row would replace several"
        ))
        .help("take mode \"append\" for sessions that are over, which needs a watermark, or \"complete\" for all of them"),
        (OutputMode::Complete, Finality::Final) => Diagnostic::error(format!(
            "{taker} cannot have mode `complete`: there is no running total above it, so all rows so far are not kept anywhere"
        ))
        .help("take mode \"append\""),
        _ => return Some(*mode),
    };
    scope.faults.push(fault.at(span.clone(), "").also(rows.place.clone(), "its rows come from here"));
    None
}

/// Groups that a watermark closes are kept for ever in mode complete, and dropped in the others: one of them cannot do
/// both.
pub(super) fn check_modes(manifest: &Manifest, plan: &Plan, faults: &mut Diagnostics) {
    for (node, spec) in plan.nodes.iter().zip(&manifest.transforms) {
        if node.drops_late_rows() && node.modes.len() > 1 && node.modes.contains(&OutputMode::Complete) {
            let others: Vec<String> = node.modes.iter().map(OutputMode::to_string).collect();
            faults.push(
                Diagnostic::error(format!(
                    "the rows of `{}` are wanted in the modes {} at once, but `complete` keeps every group and the others drop \
                     those that are over",
                    node.name,
                    others.join(" and ")
                ))
                .at(spec.name.span.clone(), "")
                .help("take one of the two for all sinks below, or make two transforms of it"),
            );
        }
    }
}

/// Fills in the modes, from the sinks upwards.
pub(super) fn settle_modes(plan: &mut Plan) {
    for at in (0..plan.nodes.len()).rev() {
        // Late rows are no result.
        let results = plan.nodes[at].outputs.iter().take(1);
        let targets = results.flat_map(|output| &output.targets);
        let modes: BTreeSet<OutputMode> = targets.flat_map(|target| wanted_by(plan, *target)).collect();
        plan.nodes[at].modes = modes;
    }
}

/// The modes in which a target wants its rows. A group reads rows that are final.
fn wanted_by(plan: &Plan, target: Target) -> BTreeSet<OutputMode> {
    match target {
        Target::Sink(sink) => BTreeSet::from([plan.sinks[sink].mode]),
        Target::Node { node, .. } => match &plan.nodes[node].barrier {
            Some(_) => BTreeSet::from([plan.nodes[node].takes]),
            None => plan.nodes[node].modes.clone(),
        },
    }
}
