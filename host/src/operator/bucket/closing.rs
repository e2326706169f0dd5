//! Which groups of a bucket are over at which event time.

use std::collections::BTreeMap;

use crate::model::{EventTime, Watermark};

/// Groups by the event time at which they are over.
#[derive(Default)]
pub(super) struct Closings {
    by_end: BTreeMap<EventTime, Vec<u32>>,
}

impl Closings {
    /// Notes when a new group is over.
    pub(super) fn add(&mut self, group: usize, end: EventTime) {
        self.by_end.entry(end).or_default().push(group as u32);
    }

    /// Takes a group out again.
    pub(super) fn remove(&mut self, group: usize, end: EventTime) {
        if let Some(groups) = self.by_end.get_mut(&end) {
            groups.retain(|&known| known != group as u32);
            if groups.is_empty() {
                self.by_end.remove(&end);
            }
        }
    }

    /// The groups that are over after `late` and by `closed`.
    pub(super) fn between(&self, late: Watermark, closed: Watermark) -> impl Iterator<Item = usize> {
        let over = self.by_end.range(..=closed.time()).filter(move |(end, _)| !late.covers(**end));
        over.flat_map(|(_, groups)| groups.iter().map(|&group| group as usize))
    }

    /// Takes out all groups that are over by a watermark.
    pub(super) fn take(&mut self, closed: Watermark) -> Vec<usize> {
        let mut taken = Vec::new();
        while let Some(first) = self.by_end.first_entry().filter(|first| closed.covers(*first.key())) {
            taken.extend(first.remove().into_iter().map(|group| group as usize));
        }
        taken
    }

    /// When the next group is over.
    pub(super) fn next(&self) -> Option<EventTime> {
        self.by_end.first_key_value().map(|(end, _)| *end)
    }
}
