//! Joins: all rows of both sides are kept by key, until nothing can match them any more.

use std::collections::BTreeMap;

use super::{
    Now, Part, Passed,
    flow::Flow,
    pipeline::{Bound, Join},
    value::{Row, Value, time_of},
};

/// The two sides of a join.
pub(super) struct Sides<'a> {
    join: &'a Join,
    flows: [Flow; 2],
    columns_of_right: Vec<usize>,
    /// Which key is an event time.
    key_time: Option<usize>,
    /// By key, the rows of the left and of the right.
    kept: BTreeMap<Row, [Vec<Held>; 2]>,
}

/// A row of a side.
struct Held {
    row: Row,
    time: Option<i64>,
    /// With which watermark nothing can match it any more; none for ever.
    end: Option<i64>,
    /// Whether it has come in this epoch.
    is_new: bool,
    matched: bool,
}

impl<'a> Sides<'a> {
    pub(super) fn new(left: &Flow, right: &Flow, join: &'a Join) -> Self {
        let columns_of_right = join.columns_of_right(right);
        let key_time = join.key_time(left, right);
        Sides { join, flows: [left.clone(), right.clone()], columns_of_right, key_time, kept: BTreeMap::new() }
    }

    /// Whether a watermark closes what is kept.
    pub(super) fn closes(&self) -> bool {
        self.join.within.is_some() || self.key_time.is_some()
    }

    /// Whether a key says when a row is over, and not how far apart rows may be.
    pub(super) fn ends_by_key(&self) -> bool {
        self.key_time.is_some()
    }

    pub(super) fn run(&mut self, left: &[Part], right: &[Part], now: Now) -> Passed {
        self.kept.values_mut().flatten().flatten().for_each(|held| held.is_new = false);
        let dropped = self.take_in(0, left, now) + self.take_in(1, right, now);
        let mut rows = self.pairs();
        rows.extend(self.remove(now));
        self.kept.retain(|_, sides| sides.iter().any(|side| !side.is_empty()));
        let kept = self.kept.values().flatten().map(Vec::len).sum::<usize>() as u64;
        Passed { rows, late_rows: Vec::new(), dropped, kept }
    }

    /// Keeps the rows of a side, and tells how many were late.
    fn take_in(&mut self, side: usize, parts: &[Part], now: Now) -> u64 {
        let mut dropped = 0;
        for row in parts.iter().flatten() {
            let time = self.flows[side].time.and_then(|time| time_of(&row[time]));
            if time.is_some_and(|time| time <= now.late) {
                dropped += 1;
                continue;
            }
            let name = |(left, right): &'a (String, String)| if side == 0 { left } else { right };
            let key: Row = self.join.on.iter().map(|on| row[self.flows[side].at(name(on))].clone()).collect();
            let comes_out_alone = side == 0 && self.join.outer;
            // Without the time that says when it is over a row would never be over.
            let never_over = (time.is_none() && self.join.within.is_some())
                || self.key_time.is_some_and(|at| key[at] == Value::Null);
            if !never_over && (!is_missing(&key) || comes_out_alone) {
                let end = match self.key_time {
                    Some(at) => time_of(&key[at]),
                    None => time.and_then(|time| Some(time + self.join.waits(side)?)),
                };
                let held = Held { row: row.clone(), time, end, is_new: true, matched: false };
                self.kept.entry(key).or_default()[side].push(held);
            }
        }
        dropped
    }

    /// What the rows of this epoch match.
    fn pairs(&mut self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (key, [lefts, rights]) in &mut self.kept {
            if is_missing(key) {
                continue;
            }
            for left in lefts {
                for right in rights.iter().filter(|right| left.is_new || right.is_new) {
                    if are_close(self.join, left, right) {
                        let of_right = self.columns_of_right.iter().map(|&at| right.row[at].clone());
                        rows.push(left.row.iter().cloned().chain(of_right).collect());
                        left.matched = true;
                    }
                }
            }
        }
        rows
    }

    /// Removes what nothing can match any more, and returns those of the left that come out alone.
    fn remove(&mut self, now: Now) -> Vec<Row> {
        let mut alone = Vec::new();
        for sides in self.kept.values_mut() {
            for (side, held) in sides.iter_mut().enumerate() {
                for held in held.extract_if(.., |held| held.end.is_some_and(|end| end <= now.over)) {
                    if side == 0 && self.join.outer && !held.matched {
                        let of_right = self.columns_of_right.iter().map(|_| Value::Null);
                        alone.push(held.row.into_iter().chain(of_right).collect());
                    }
                }
            }
        }
        alone
    }
}

fn is_missing(key: &Row) -> bool {
    key.contains(&Value::Null)
}

/// Whether the right is no earlier and no later than it may be.
fn are_close(join: &Join, left: &Held, right: &Held) -> bool {
    let Some(within) = join.within else { return true };
    let (Some(left), Some(right)) = (left.time, right.time) else { return false };
    let allows = |(bound, further): (Option<Bound>, i64)| {
        bound.is_none_or(|bound| if bound.strict { further < bound.distance } else { further <= bound.distance })
    };
    within.into_iter().zip([left - right, right - left]).all(allows)
}
