//! The first row of each key.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{
    Now, Part, Passed,
    flow::Flow,
    value::{Row, Value, time_of},
};

/// The keys that have been seen.
pub(super) struct Firsts {
    by: Vec<usize>,
    /// The event time of a row.
    time: Option<usize>,
    forget: Option<Forget>,
    /// With the time at which each is forgotten.
    seen: BTreeMap<Vec<Value>, Option<i64>>,
}

/// When a key is forgotten.
enum Forget {
    /// When the event time that is among its columns is complete.
    Key(usize),
    /// So long after the event time of its first row.
    After(i64),
}

impl Firsts {
    pub(super) fn new(flow: &Flow, by: &[String], within_watermark: bool) -> Self {
        let all: Vec<usize> = (0..flow.columns.len()).collect();
        let by = if by.is_empty() { all } else { by.iter().map(|name| flow.at(name)).collect() };
        let forget = match within_watermark {
            true => Some(Forget::After(flow.delay)),
            false => flow.time.filter(|time| by.contains(time)).map(Forget::Key),
        };
        Firsts { by, time: flow.time, forget, seen: BTreeMap::new() }
    }

    /// Whether a watermark says which rows are late.
    pub(super) fn judges(&self) -> bool {
        self.time.is_some()
    }

    pub(super) fn run(&mut self, parts: &[Part], now: Now) -> Passed {
        let (mut rows, mut late_rows) = (Vec::new(), Vec::new());
        for row in parts.iter().flatten() {
            let time = self.time.and_then(|time| time_of(&row[time]));
            if time.is_some_and(|time| time <= now.late) {
                late_rows.push(row.clone());
                continue;
            }
            let until = match self.forget {
                None => None,
                Some(Forget::Key(column)) => time_of(&row[column]),
                // Without a time it could never be forgotten.
                Some(Forget::After(_)) if time.is_none() => continue,
                Some(Forget::After(delay)) => time.map(|time| time + delay),
            };
            let key: Row = self.by.iter().map(|&column| row[column].clone()).collect();
            if let Entry::Vacant(first) = self.seen.entry(key) {
                first.insert(until);
                rows.push(row.clone());
            }
        }
        self.seen.retain(|_, until| until.is_none_or(|until| until > now.over));
        let dropped = late_rows.len() as u64;
        Passed { rows, late_rows, dropped, kept: self.seen.len() as u64 }
    }
}
