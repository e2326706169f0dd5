//! What to do after a start, decided from what was found: no I/O here, so the whole table can be tested.

use crate::{
    model::{Epoch, PartName},
    ports::Marker,
};

/// What a start does first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing was under way: choose the next epoch afresh.
    Fresh {
        /// Its number.
        next: Epoch,
    },
    /// An epoch was planned and perhaps partly done: run it again as planned.
    Rerun {
        /// Its number.
        epoch: Epoch,
        /// What each sink does with its rows, in the order of the markers.
        sinks: Vec<SinkAction>,
    },
}

/// What a sink does with the rows of an epoch that is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkAction {
    /// It has not committed them: write.
    Write,
    /// It has committed them already: suppress.
    Suppress,
}

/// A sink's marker and the checkpoint cannot belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "sink `{sink}` has committed {found}, but the checkpoint stands at {committed}: one of the two was restored or belongs to \
     another pipeline; put back the one that is missing, or start with a new checkpoint and a new place for the sink"
)]
pub struct Unrecoverable {
    /// The sink.
    pub sink: PartName,
    found: String,
    committed: String,
}

/// Decides from the last committed epoch, the plan in flight, and every sink's marker.
pub fn decide(
    committed: Option<Epoch>,
    planned: Option<Epoch>,
    markers: &[(PartName, Marker)],
) -> Result<Recovery, Unrecoverable> {
    let next = committed.map_or(Epoch::FIRST, Epoch::next);
    let in_flight = planned.filter(|&planned| planned == next);
    let mut sinks = Vec::with_capacity(markers.len());
    for (sink, marker) in markers {
        let action = match *marker {
            Marker::Unknown => SinkAction::Write,
            Marker::At(epoch) if Some(epoch) == in_flight => SinkAction::Suppress,
            Marker::At(epoch) if Some(epoch) == committed => SinkAction::Write,
            Marker::Nothing if committed.is_none() => SinkAction::Write,
            Marker::Nothing | Marker::At(_) => return Err(unrecoverable(sink, *marker, committed)),
        };
        sinks.push(action);
    }
    Ok(match in_flight {
        Some(epoch) => Recovery::Rerun { epoch, sinks },
        None => Recovery::Fresh { next },
    })
}

fn unrecoverable(sink: &PartName, marker: Marker, committed: Option<Epoch>) -> Unrecoverable {
    let found = match marker {
        Marker::At(epoch) => format!("epoch {epoch}"),
        Marker::Nothing | Marker::Unknown => "nothing".to_owned(),
    };
    let committed = committed.map_or("no epoch at all".to_owned(), |epoch| format!("epoch {epoch}"));
    Unrecoverable { sink: sink.clone(), found, committed }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: Epoch = Epoch::new(7);

    fn one(committed: Option<Epoch>, planned: Option<Epoch>, marker: Marker) -> Result<Recovery, Unrecoverable> {
        decide(committed, planned, &[(PartName::from("out"), marker)])
    }

    fn rerun(epoch: Epoch, action: SinkAction) -> Result<Recovery, Unrecoverable> {
        Ok(Recovery::Rerun { epoch, sinks: vec![action] })
    }

    /// Every way a crash can leave plan, marker and commit, and what each asks for.
    #[test]
    fn the_decision_table() {
        let previous = N.previous();
        let fresh = |next| Ok(Recovery::Fresh { next });

        // A new pipeline; one that crashed before its first plan, before its first commit, after a sink's first commit.
        assert_eq!(one(None, None, Marker::Nothing), fresh(Epoch::FIRST));
        assert_eq!(one(None, None, Marker::Unknown), fresh(Epoch::FIRST));
        assert_eq!(one(None, Some(Epoch::FIRST), Marker::Nothing), rerun(Epoch::FIRST, SinkAction::Write));
        assert_eq!(one(None, Some(Epoch::FIRST), Marker::At(Epoch::FIRST)), rerun(Epoch::FIRST, SinkAction::Suppress));

        // The same around a later epoch.
        assert_eq!(one(previous, None, Marker::At(N.previous().expect("N > 0"))), fresh(N));
        assert_eq!(one(previous, Some(N), Marker::At(N.previous().expect("N > 0"))), rerun(N, SinkAction::Write));
        assert_eq!(one(previous, Some(N), Marker::At(N)), rerun(N, SinkAction::Suppress));
        assert_eq!(one(previous, Some(N), Marker::Unknown), rerun(N, SinkAction::Write));

        // A plan that its own commit already covers is void.
        assert_eq!(one(Some(N), Some(N), Marker::At(N)), fresh(N.next()));

        // A sink ahead of an epoch that was never planned, far ahead, behind, or emptied: somebody restored something.
        assert!(one(previous, None, Marker::At(N)).is_err());
        assert!(one(previous, Some(N), Marker::At(N.next())).is_err());
        assert!(one(Some(N), None, Marker::At(Epoch::new(3))).is_err());
        assert!(one(Some(N), None, Marker::Nothing).is_err());
        assert!(one(None, None, Marker::At(Epoch::FIRST)).is_err());
    }

    /// Two sinks may stand on either side of the crash; each is treated by its own marker.
    #[test]
    fn sinks_are_decided_one_by_one() {
        let markers = [(PartName::from("a"), Marker::At(N)), (PartName::from("b"), Marker::At(Epoch::new(6)))];
        let decision = decide(N.previous(), Some(N), &markers);
        assert_eq!(decision, Ok(Recovery::Rerun { epoch: N, sinks: vec![SinkAction::Suppress, SinkAction::Write] }));
    }
}
