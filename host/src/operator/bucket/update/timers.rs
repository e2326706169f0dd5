//! The timers of a key as they are stored.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    model::{EventTime, ProcessingTime},
    ports::Timer,
};

/// A timer as it is stored.
#[derive(Serialize, Deserialize)]
enum StoredTimer {
    Event(EventTime),
    Processing(ProcessingTime),
}

/// The timers for a stored row; none when there are none.
pub(super) fn encode_timers(timers: &BTreeSet<Timer>) -> Option<Box<[u8]>> {
    let stored = timers.iter().map(|timer| match *timer {
        Timer::EventTime(at) => StoredTimer::Event(at),
        Timer::ProcessingTime(at) => StoredTimer::Processing(at),
    });
    let stored: Vec<StoredTimer> = stored.collect();
    (!stored.is_empty()).then(|| postcard::to_stdvec(&stored).expect("numbers can be encoded").into())
}

/// The timers in a stored row.
pub(in crate::operator) fn decode_timers(stored: &[u8]) -> Result<Vec<Timer>, postcard::Error> {
    let stored: Vec<StoredTimer> = postcard::from_bytes(stored)?;
    let timer = |timer| match timer {
        StoredTimer::Event(at) => Timer::EventTime(at),
        StoredTimer::Processing(at) => Timer::ProcessingTime(at),
    };
    Ok(stored.into_iter().map(timer).collect())
}
