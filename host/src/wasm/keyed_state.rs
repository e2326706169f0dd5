//! A keyed state's work on its way into a guest, and the outcome on its way out, after all of it has been checked.

use arrow::{
    array::{Array, AsArray},
    datatypes::{Field, SchemaRef, TimestampMicrosecondType},
};

use super::{
    bindings::exports::tidemill::plugin::keyed_state::{Outcome, TimersParam, TimersResult, Work},
    lift,
    lower::Lowered,
};
use crate::{
    model::{EventTime, ProcessingTime, timestamp_type},
    ports::{GroupTimer, KeyedOutcome, KeyedWork, Timer},
};

/// How the clocks of timers are numbered at the boundary.
const EVENT_TIME: u8 = 0;
const PROCESSING_TIME: u8 = 1;

/// Work whose buffers are ready to be lent.
pub(super) struct LoweredWork {
    keys: Lowered,
    states: Lowered,
    input: Lowered,
    timers: LoweredTimers,
}

struct LoweredTimers {
    groups: Vec<u32>,
    at: Vec<i64>,
    domains: Vec<u8>,
}

impl LoweredWork {
    pub(super) fn new(work: &KeyedWork<'_>) -> Self {
        let count = work.keys.num_rows();
        debug_assert_eq!(work.states.len(), count, "a state for each key");
        debug_assert_eq!(work.groups.len(), work.input.num_rows(), "a group for each row");
        debug_assert!(work.groups.iter().all(|&group| (group as usize) < count), "every row has a key");
        debug_assert!(work.expired.iter().all(|timer| (timer.group as usize) < count), "every timer has a key");
        LoweredWork {
            keys: Lowered::batch(work.keys),
            states: Lowered::states(work.states),
            input: Lowered::batch(work.input),
            timers: LoweredTimers::new(work.expired),
        }
    }

    /// Lends the work to a call.
    pub(super) fn lend<T>(&self, work: &KeyedWork<'_>, call: impl FnOnce(Work<'_>) -> T) -> T {
        let (keys, input) = (self.keys.lend_columns(), self.input.lend_columns());
        call(Work {
            keys: self.keys.lend(&keys),
            states: self.states.lend_states(),
            groups: work.groups,
            input: self.input.lend(&input),
            watermark: work.watermark.map(EventTime::micros),
            expired: self.timers.lend(),
        })
    }
}

impl LoweredTimers {
    fn new(timers: &[GroupTimer]) -> Self {
        let columns = timers.iter().map(|GroupTimer { group, timer }| match timer {
            Timer::EventTime(at) => (*group, (at.micros(), EVENT_TIME)),
            Timer::ProcessingTime(at) => (*group, (at.micros(), PROCESSING_TIME)),
        });
        let (groups, (at, domains)) = columns.unzip();
        LoweredTimers { groups, at, domains }
    }

    fn lend(&self) -> TimersParam<'_> {
        TimersParam { groups: &self.groups, at: &self.at, domains: &self.domains }
    }
}

/// Takes an outcome over, for so many keys and rows of this schema.
pub(super) fn outcome(outcome: Outcome, keys: usize, output: &SchemaRef) -> Result<KeyedOutcome, String> {
    let states = lift::states(outcome.states, keys)?;
    let expiry = outcome.expiry.map(|expiry| {
        let field = Field::new("expiry", timestamp_type(), true);
        Ok::<_, String>(lift::column(expiry, &field, keys)?.as_primitive::<TimestampMicrosecondType>().clone())
    });
    let rows = lift::batch(outcome.rows, output)?;
    lift::origins(&outcome.groups, rows.num_rows(), "group", keys, format_args!("{keys} keys"))?;
    Ok(KeyedOutcome {
        states,
        expiry: expiry.transpose()?,
        rows,
        groups: outcome.groups,
        set: timers(outcome.set, keys).map_err(|error| format!("returned timers to set {error}"))?,
        cancel: timers(outcome.cancel, keys).map_err(|error| format!("returned timers to cancel {error}"))?,
    })
}

fn timers(timers: TimersResult, keys: usize) -> Result<Vec<GroupTimer>, String> {
    let TimersResult { groups, at, domains } = timers;
    if groups.len() != at.len() || groups.len() != domains.len() {
        return Err(format!(
            "as {} groups, {} times and {} clocks; there must be one of each for every timer",
            groups.len(),
            at.len(),
            domains.len()
        ));
    }
    let columns = groups.into_iter().zip(at).zip(domains).enumerate();
    columns
        .map(|(place, ((group, at), domain))| {
            if group as usize >= keys {
                return Err(format!("of which timer {place} is of the group {group}; there are {keys} keys"));
            }
            let timer = match domain {
                EVENT_TIME => Timer::EventTime(EventTime::from_micros(at)),
                PROCESSING_TIME => Timer::ProcessingTime(ProcessingTime::from_micros(at)),
                other => {
                    return Err(format!(
                        "of which timer {place} is on the clock {other}; 0 is event time, 1 is processing time"
                    ));
                }
            };
            Ok(GroupTimer { group, timer })
        })
        .collect()
}
