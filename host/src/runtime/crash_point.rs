//! Points of an epoch at which the process kills itself: for tests of recovery, and of no use to anyone else.
//!
//! With `TIDEMILL_CRASH_AT=sink-committed:7` in its environment a process ends by SIGKILL as soon as epoch 7 comes to
//! that point: nothing is flushed, given back or said. Who kills from outside comes to a certain point only by luck.
//! Without the variable a point is one comparison, a handful of times an epoch.

use std::{env, sync::OnceLock};

use rustix::process::{Signal, getpid, kill_process};

use crate::model::Epoch;

/// `POINT:EPOCH`.
const VARIABLE: &str = "TIDEMILL_CRASH_AT";

/// A point of an epoch, in the order in which an epoch comes to them. Each is named for what has just been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrashPoint {
    /// A start has shut out earlier writers and read every marker. Belongs to the epoch after the committed one.
    RecoveredSinks,
    /// A start has found an epoch under way and is going to run it again.
    RerunPlanned,
    /// The plan of the epoch is durable (T1).
    EpochPlanned,
    /// All rows are read; those for sinks that need no other rows are written.
    RowsRead,
    /// All rows are with their sinks, and no sink has been told to commit.
    BeforeSinkCommit,
    /// One sink has committed and the next has not; only in a pipeline with several.
    BetweenSinkCommits,
    /// Every sink has committed.
    SinkCommitted,
    /// State and offsets are committed (T2).
    StateCommitted,
    /// The sources know.
    Acknowledged,
}

const POINTS: [(&str, CrashPoint); 9] = [
    ("recovered-sinks", CrashPoint::RecoveredSinks),
    ("rerun-planned", CrashPoint::RerunPlanned),
    ("epoch-planned", CrashPoint::EpochPlanned),
    ("rows-read", CrashPoint::RowsRead),
    ("before-sink-commit", CrashPoint::BeforeSinkCommit),
    ("between-sink-commits", CrashPoint::BetweenSinkCommits),
    ("sink-committed", CrashPoint::SinkCommitted),
    ("state-committed", CrashPoint::StateCommitted),
    ("acknowledged", CrashPoint::Acknowledged),
];

impl CrashPoint {
    /// Ends the process here if that is wanted of this epoch.
    pub(super) fn reached(self, epoch: Epoch) {
        static WANTED: OnceLock<Option<(CrashPoint, Epoch)>> = OnceLock::new();
        let wanted = WANTED.get_or_init(|| Some(parse(&env::var(VARIABLE).ok()?)));
        if *wanted == Some((self, epoch)) {
            kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
        }
    }
}

/// A slip must not pass for a test that has seen no crash.
fn parse(text: &str) -> (CrashPoint, Epoch) {
    let wanted = text.split_once(':').and_then(|(wanted, epoch)| {
        let (_, point) = POINTS.iter().find(|(name, _)| *name == wanted)?;
        Some((*point, Epoch::new(epoch.parse().ok()?)))
    });
    wanted.unwrap_or_else(|| {
        let names = POINTS.map(|(name, _)| name).join(", ");
        panic!("{VARIABLE} is `{text}`, which is no POINT:EPOCH; the points are {names}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The crash suite names points by these words and would see no crash at one that has another name.
    #[test]
    fn a_point_and_an_epoch() {
        assert_eq!(parse("sink-committed:7"), (CrashPoint::SinkCommitted, Epoch::new(7)));
        assert_eq!(parse("recovered-sinks:0"), (CrashPoint::RecoveredSinks, Epoch::FIRST));
    }

    /// A slip is said, with what would have been right.
    #[test]
    #[should_panic(expected = "`sink-commited:7`, which is no POINT:EPOCH; the points are recovered-sinks, ")]
    fn a_slip() {
        parse("sink-commited:7");
    }
}
