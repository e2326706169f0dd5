//! Functions with a state per key, and their timers.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Now, Part, Passed,
    flow::Flow,
    pipeline::{Keyed, Update},
    value::{Row, Value, time_of},
};

const SECOND: i64 = 1_000_000;

/// The states of all keys.
pub(super) struct States<'a> {
    update: &'a Update,
    by: usize,
    of: usize,
    /// The event time of a row.
    time: Option<usize>,
    kept: BTreeMap<String, Kept>,
}

/// What is kept for a key.
#[derive(Clone, Default)]
struct Kept {
    sum: i64,
    /// When a sum is over.
    over: i64,
    timers: BTreeSet<Timer>,
    /// When the clock forgets it.
    expires: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Event(i64),
    Clock(i64),
}

impl Timer {
    fn is_due(self, now: Now) -> bool {
        match self {
            Timer::Event(at) => at <= now.over,
            Timer::Clock(at) => at <= now.clock,
        }
    }
}

impl<'a> States<'a> {
    pub(super) fn new(flow: &Flow, update: &'a Update) -> Self {
        States { by: flow.at(&update.by), of: flow.at(&update.of), time: flow.time, update, kept: BTreeMap::new() }
    }

    /// Whether a watermark has work to do here.
    pub(super) fn judges(&self) -> bool {
        self.time.is_some()
    }

    /// Whether epochs without rows count.
    pub(super) fn visits_all(&self) -> bool {
        self.update.visits_all
    }

    /// Whether the clock has work to do here.
    pub(super) fn is_due(&self, clock: i64) -> bool {
        let timers = self.kept.values().flat_map(|kept| &kept.timers);
        let at_clock = timers.filter_map(|timer| if let Timer::Clock(at) = timer { Some(*at) } else { None });
        self.kept.values().filter_map(|kept| kept.expires).chain(at_clock).any(|at| at <= clock)
    }

    pub(super) fn run(&mut self, parts: &[Part], now: Now) -> Passed {
        let mut late_rows = Vec::new();
        let mut numbers: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for row in parts.iter().flatten() {
            if self.time.and_then(|time| time_of(&row[time])).is_some_and(|time| time <= now.late) {
                late_rows.push(row.clone());
                continue;
            }
            let number = if let Value::Number(number) = row[self.of] { number } else { 0 };
            numbers.entry(word(&row[self.by])).or_default().push(number);
        }
        self.kept.retain(|_, kept| kept.expires.is_none_or(|at| at > now.clock));
        let due = self.take_due(now);
        let mut called: BTreeSet<String> = numbers.keys().chain(due.keys()).cloned().collect();
        if self.update.visits_all {
            called.extend(self.kept.keys().cloned());
        }
        let mut rows = Vec::new();
        for word in called {
            let numbers = numbers.get(&word).map_or(&[][..], Vec::as_slice);
            let expired = due.get(&word).map_or(&[][..], Vec::as_slice);
            self.call(&word, numbers, expired, now, &mut rows);
        }
        // Timers that were set for times that are over are heard at once, by one more call.
        for (word, expired) in self.take_due(now) {
            self.call(&word, &[], &expired, now, &mut rows);
        }
        let dropped = late_rows.len() as u64;
        Passed { rows, late_rows, dropped, kept: self.kept.len() as u64 }
    }

    fn take_due(&mut self, now: Now) -> BTreeMap<String, Vec<Timer>> {
        let mut due = BTreeMap::new();
        for (word, kept) in &mut self.kept {
            let timers: Vec<Timer> = kept.timers.extract_if(.., |timer| timer.is_due(now)).collect();
            if !timers.is_empty() {
                due.insert(word.clone(), timers);
            }
        }
        due
    }

    fn call(&mut self, word: &str, numbers: &[i64], expired: &[Timer], now: Now, rows: &mut Vec<Row>) {
        let known = self.kept.remove(word).unwrap_or_default();
        let mut out = |sum: i64| {
            let word = Some(Value::Text(word.to_owned())).filter(|_| self.update.keyed != Keyed::AddUp);
            rows.push(word.into_iter().chain([Value::Number(sum)]).collect());
        };
        // A time to live holds until the next call.
        let known = Kept { expires: None, ..known };
        let kept = match self.update.keyed {
            Keyed::AddUp => add_up(known, numbers, expired, now, &mut out),
            Keyed::SumUntilOver => sum_until_over(known, numbers, now, &mut out),
            Keyed::SumSoFar => sum_so_far(known, numbers, &mut out),
            Keyed::Calls => calls(known, numbers, now, &mut out),
            Keyed::CountByClock => count_by_clock(known, numbers, expired, now, &mut out),
        };
        kept.into_iter().for_each(|kept| drop(self.kept.insert(word.to_owned(), kept)));
    }
}

/// The key of a row; the manifest has a word for none.
fn word(value: &Value) -> String {
    if let Value::Text(text) = value { text.clone() } else { "none".to_owned() }
}

/// Adds up rows, and lets the sum be over a minute of event time later.
fn go_on(known: &mut Kept, numbers: &[i64], now: Now) {
    known.timers.remove(&Timer::Event(known.over));
    known.over = now.over + 60 * SECOND;
    known.timers.insert(Timer::Event(known.over));
    known.sum += numbers.iter().sum::<i64>();
}

fn add_up(mut known: Kept, numbers: &[i64], expired: &[Timer], now: Now, out: &mut impl FnMut(i64)) -> Option<Kept> {
    if !expired.is_empty() {
        out(known.sum);
    }
    if expired.contains(&Timer::Event(known.over)) {
        return None;
    }
    known.expires = Some(now.clock + 24 * 60 * 60 * SECOND);
    if !numbers.is_empty() {
        go_on(&mut known, numbers, now);
        known.timers.insert(Timer::Clock(now.clock + SECOND));
    }
    Some(known)
}

fn sum_until_over(mut known: Kept, numbers: &[i64], now: Now, out: &mut impl FnMut(i64)) -> Option<Kept> {
    if numbers.is_empty() {
        out(known.sum);
        return None;
    }
    go_on(&mut known, numbers, now);
    out(known.sum);
    Some(known)
}

fn sum_so_far(mut known: Kept, numbers: &[i64], out: &mut impl FnMut(i64)) -> Option<Kept> {
    known.sum += numbers.iter().sum::<i64>();
    out(known.sum);
    Some(known)
}

fn calls(mut known: Kept, numbers: &[i64], now: Now, out: &mut impl FnMut(i64)) -> Option<Kept> {
    known.sum += 1;
    out(known.sum);
    if !numbers.is_empty() {
        known.timers.extend([Timer::Clock(now.clock), Timer::Event(0)]);
    }
    Some(known)
}

fn count_by_clock(
    mut known: Kept,
    numbers: &[i64],
    expired: &[Timer],
    now: Now,
    out: &mut impl FnMut(i64),
) -> Option<Kept> {
    known.sum += numbers.len() as i64;
    out(known.sum + 1000 * expired.len() as i64);
    match (numbers.is_empty(), known.sum % 3) {
        (false, 0) => known.expires = Some(now.clock),
        (false, _) => drop(known.timers.insert(Timer::Clock(0))),
        (true, _) => {}
    }
    Some(known)
}
