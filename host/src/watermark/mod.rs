//! Watermarks: how far event time is complete, from the rows each input has seen.
//!
//! Two of them act in an epoch ([`EpochWatermarks`]): rows are judged late by the one the epoch before ran with,
//! windows are closed by the newer one. So a row that falls between the two is counted, and its window closed, in the
//! same epoch.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::model::{EventTime, ProcessingTime, Watermark};

/// How many values the column of a watermark by partition may have: each is remembered.
pub const MOST_PARTITIONS: usize = 10_000;

/// The two watermarks of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EpochWatermarks {
    /// What it covers is late.
    pub late: Watermark,
    /// What it covers is closed.
    pub closed: Watermark,
}

impl EpochWatermarks {
    /// Those of a stage whose rows are held back for so long.
    pub fn less(self, behind: Duration) -> Self {
        EpochWatermarks { late: self.late.less(behind), closed: self.closed.less(behind) }
    }
}

/// How the watermarks of several inputs become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// The slowest input decides: no row of any is late before its time.
    Min,
    /// The fastest decides.
    Max,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Policy::Min => "min",
            Policy::Max => "max",
        })
    }
}

/// What an epoch saw of one input: the latest event time of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The input, by position.
    pub input: usize,
    /// The partition; empty for an input that has none.
    pub partition: String,
    /// The latest event time.
    pub latest: EventTime,
}

/// The settings of one input's watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lateness {
    /// How late a row may be.
    pub delay: Duration,
    /// After so long without rows an input, or a partition, no longer holds the others back.
    pub idle: Option<Duration>,
}

/// What is remembered of one partition of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    latest: EventTime,
    last_row: ProcessingTime,
}

/// Every partition's lead, input by input.
pub type Leads = Vec<BTreeMap<String, Lead>>;

/// An input has more partitions than can be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyPartitions {
    /// The input, by position.
    pub input: usize,
}

/// Follows the inputs of a pipeline and says how far event time is complete.
#[derive(Debug, Clone)]
pub struct Tracker {
    policy: Policy,
    inputs: Vec<Lateness>,
    leads: Leads,
    started: ProcessingTime,
    current: Watermark,
}

impl Tracker {
    /// Takes up at a watermark. Leads are remembered by those who want that; in Spark a restart forgets them.
    pub fn new(
        policy: Policy,
        inputs: Vec<Lateness>,
        current: Watermark,
        leads: Leads,
        started: ProcessingTime,
    ) -> Self {
        assert_eq!(leads.len(), inputs.len(), "what is remembered is of these inputs");
        Tracker { policy, inputs, leads, started, current }
    }

    /// How inputs become one.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// How far event time is complete.
    pub fn current(&self) -> Watermark {
        self.current
    }

    /// What is remembered of each input.
    pub fn leads(&self) -> &Leads {
        &self.leads
    }

    /// Takes over a watermark that an epoch ran with: one that is run again after a crash may be ahead.
    pub fn raise(&mut self, to: Watermark) {
        self.current = self.current.max(to);
    }

    /// Takes in what an epoch saw; `now` is its batch time.
    pub fn observe(&mut self, observed: &[Observed], now: ProcessingTime) -> Result<(), TooManyPartitions> {
        for Observed { input, partition, latest } in observed {
            let leads = &mut self.leads[*input];
            let latest = leads.get(partition).map_or(*latest, |lead| lead.latest.max(*latest));
            leads.insert(partition.clone(), Lead { latest, last_row: now });
            if leads.len() > MOST_PARTITIONS {
                return Err(TooManyPartitions { input: *input });
            }
        }
        self.current = self.at(now);
        Ok(())
    }

    /// How far event time is complete at a time, when no more rows come until then: inputs may have become idle.
    pub fn at(&self, now: ProcessingTime) -> Watermark {
        let of_inputs = (0..self.inputs.len()).filter_map(|input| self.of_input(input, now));
        let together = match self.policy {
            Policy::Min => of_inputs.min(),
            Policy::Max => of_inputs.max(),
        };
        together.map_or(self.current, |watermark| watermark.max(self.current))
    }

    /// One input's watermark; none when it is idle.
    fn of_input(&self, input: usize, now: ProcessingTime) -> Option<Watermark> {
        let Lateness { delay, idle } = self.inputs[input];
        let is_idle = |last: ProcessingTime| idle.is_some_and(|idle| now.since(last) >= idle);
        let leads = &self.leads[input];
        if leads.is_empty() {
            return (!is_idle(self.started)).then_some(Watermark::START);
        }
        let active = leads.values().filter(|lead| !is_idle(lead.last_row));
        active.map(|lead| Watermark::behind(lead.latest, delay)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> ProcessingTime {
        ProcessingTime::from_micros(second * 1_000_000)
    }

    fn tracker(policy: Policy, delays: &[u64], idle: Option<u64>) -> Tracker {
        let input = |&delay| Lateness { delay: Duration::from_secs(delay), idle: idle.map(Duration::from_secs) };
        let leads = vec![BTreeMap::new(); delays.len()];
        Tracker::new(policy, delays.iter().map(input).collect(), Watermark::START, leads, at(0))
    }

    fn saw(input: usize, partition: &str, second: i64) -> Observed {
        Observed { input, partition: partition.to_owned(), latest: EventTime::from_micros(second * 1_000_000) }
    }

    fn seconds(tracker: &Tracker) -> i64 {
        tracker.current().time().micros() / 1_000_000
    }

    /// The slowest input decides, an input without rows stands at 1970, and nothing ever goes back.
    #[test]
    fn the_slowest_input_decides() {
        let mut both = tracker(Policy::Min, &[10, 5], None);
        for (observed, expected) in [(saw(0, "", 11), 0), (saw(1, "", 6), 1), (saw(0, "", 21), 1), (saw(1, "", 39), 11)]
        {
            both.observe(&[observed], at(1)).expect("two partitions");
            assert_eq!(seconds(&both), expected);
        }
        both.observe(&[saw(0, "", 5), saw(1, "", 5)], at(2)).expect("two partitions");
        assert_eq!(seconds(&both), 11);

        let mut fastest = tracker(Policy::Max, &[10, 5], None);
        fastest.observe(&[saw(0, "", 30)], at(1)).expect("one partition");
        assert_eq!(seconds(&fastest), 20);
    }

    /// An input that has gone quiet holds the others back until its time is over, and again once it has rows.
    #[test]
    fn an_idle_input_is_not_waited_for() {
        let mut both = tracker(Policy::Min, &[0, 0], Some(30));
        both.observe(&[saw(0, "", 100), saw(1, "", 50)], at(10)).expect("two partitions");
        both.observe(&[saw(0, "", 200)], at(39)).expect("two partitions");
        assert_eq!(seconds(&both), 50);
        assert_eq!(both.at(at(40)).time(), EventTime::from_micros(200_000_000));
        both.observe(&[saw(1, "", 60)], at(41)).expect("two partitions");
        both.observe(&[saw(0, "", 300)], at(42)).expect("two partitions");
        assert_eq!(seconds(&both), 60);

        // All of them quiet: there is nobody left to say that time has passed.
        assert_eq!(both.at(at(1000)), both.current());
        // One that never had a row counts from the start.
        let never = tracker(Policy::Min, &[0], Some(30));
        assert_eq!(never.at(at(29)), Watermark::START);
    }

    /// Partitions of one input are merged like inputs: the slowest decides.
    #[test]
    fn partitions_are_merged_by_the_slowest() {
        let mut one = tracker(Policy::Max, &[1], None);
        one.observe(&[saw(0, "a", 10), saw(0, "b", 7)], at(1)).expect("two partitions");
        assert_eq!(seconds(&one), 6);
        let many = (0..=MOST_PARTITIONS).map(|partition| saw(0, &partition.to_string(), 1)).collect::<Vec<_>>();
        assert_eq!(one.observe(&many, at(1)), Err(TooManyPartitions { input: 0 }));
    }
}
