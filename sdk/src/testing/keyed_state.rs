//! A keyed state over several epochs: the part of a host that keeps states and timers.

use std::marker::PhantomData;

use serde::Serialize;

use crate::{
    Epoch, Row, Timer, Timestamp,
    bindings::exports::tidemill::plugin::keyed_state::{Outcome, Timers, Work},
    cell::ReadCell,
    function::{PluginFunction, Prepared},
    keyed_state::timers,
    states,
    testing::{
        Scope, Table,
        scope::{batch, batch_for, not_a, states as column_of},
    },
    wire::Failure,
};

/// Calls a keyed state's function epoch by epoch, and keeps its states and timers as a host does.
///
/// ```
/// # use tidemill_sdk::{prelude::*, testing::{KeyedState, json}};
/// #[derive(Row, Clone, PartialEq)]
/// struct User<'a> {
///     user: &'a str,
/// }
///
/// #[derive(Row)]
/// struct Click {}
///
/// #[derive(Row)]
/// struct Clicks {
///     clicks: i64,
/// }
///
/// #[keyed_state]
/// fn count(_user: User, clicks: Option<i64>, new: Rows<Click>, ctx: &mut KeyContext<Clicks>) -> Option<i64> {
///     let clicks = clicks.unwrap_or(0) + new.len() as i64;
///     ctx.emit(Clicks { clicks });
///     Some(clicks)
/// }
///
/// let mut run = KeyedState::<count, User>::new(Default::default());
/// run.epoch([(User { user: "ada" }, Click {}), (User { user: "ada" }, Click {})]).unwrap();
/// let second = run.epoch([(User { user: "ada" }, Click {})]).unwrap();
/// assert_eq!(second.json(), [json!({ "clicks": 3 })]);
/// ```
#[derive(Debug)]
pub struct KeyedState<F, K> {
    scope: Scope,
    epoch: u64,
    batch_time: Timestamp,
    watermark: Option<Timestamp>,
    keys: Vec<Kept<K>>,
    function: PhantomData<F>,
}

/// What is kept for a key.
#[derive(Debug)]
struct Kept<K> {
    key: K,
    state: Option<Vec<u8>>,
    expires: Option<Timestamp>,
    timers: Vec<Timer>,
}

impl<F: PluginFunction, K: Row + Clone + PartialEq> KeyedState<F, K> {
    /// No states yet. Of the scope, config and seed are the same for all epochs; the rest moves on.
    pub fn new(scope: Scope) -> Self {
        KeyedState {
            scope,
            epoch: 0,
            batch_time: Timestamp::default(),
            watermark: None,
            keys: Vec::new(),
            function: PhantomData,
        }
    }

    /// Sets the batch time of the epochs to come.
    pub fn set_batch_time(&mut self, batch_time: Timestamp) {
        self.batch_time = batch_time;
    }

    /// Sets the watermark of the epochs to come.
    pub fn set_watermark(&mut self, watermark: Timestamp) {
        self.watermark = Some(watermark);
    }

    /// Takes over a state that an earlier version has left, through `migrate`.
    pub fn restore(&mut self, key: K, from_version: u32, state: &impl Serialize) -> Result<(), Failure> {
        let (_, prepared) = self.scope.enter::<F>()?;
        let Prepared::KeyedState(_, migrate) = prepared else { not_a("keyed state", &prepared) };
        let old = states::write(vec![Some(state)])?;
        let state = states::read_with(&migrate(from_version, &old)?, |state| Ok(state.to_vec()))?.swap_remove(0);
        let place = self.place(&key);
        self.keys[place].state = state;
        Ok(())
    }

    /// Runs an epoch with these rows, each with its key, and gives back the rows put out.
    pub fn epoch<R: Row>(&mut self, rows: impl IntoIterator<Item = (K, R)>) -> Result<Table, Failure> {
        let scope = self.scope.clone().epoch(Epoch::new(self.epoch)).batch_time(self.batch_time);
        let (definition, prepared) = scope.enter::<F>()?;
        let Prepared::KeyedState(update, _) = prepared else { not_a("keyed state", &prepared) };

        for kept in self.keys.iter_mut().filter(|kept| kept.expires.is_some_and(|time| time <= self.batch_time)) {
            (kept.state, kept.expires) = (None, None);
        }
        let (places, rows): (Vec<usize>, Vec<_>) = rows.into_iter().map(|(key, row)| (self.place(&key), row)).unzip();
        let expired: Vec<(usize, Timer)> = self.take_expired();
        let mut touched: Vec<usize> = places.iter().copied().chain(expired.iter().map(|(place, _)| *place)).collect();
        touched.sort_unstable();
        touched.dedup();
        let group_of = |place: &usize| touched.binary_search(place).expect("it has just been put there") as u32;

        let outcome = update(&Work {
            keys: batch(touched.iter().map(|place| self.keys[*place].key.clone())),
            states: column_of(touched.iter().map(|place| self.keys[*place].state.clone())),
            groups: places.iter().map(group_of).collect(),
            input: batch_for(&definition, rows),
            watermark: self.watermark.map(Timestamp::micros),
            expired: timers(expired.iter().map(|(place, timer)| (group_of(place), *timer))),
        })?;
        self.apply(&touched, &outcome)?;
        self.epoch += 1;
        Ok(Table::new(definition.output(), vec![outcome.rows]))
    }

    /// The keys that have a state.
    pub fn keys(&self) -> Vec<K> {
        self.keys.iter().filter(|kept| kept.state.is_some()).map(|kept| kept.key.clone()).collect()
    }

    /// Where a key is kept.
    fn place(&mut self, key: &K) -> usize {
        self.keys.iter().position(|kept| kept.key == *key).unwrap_or_else(|| {
            self.keys.push(Kept { key: key.clone(), state: None, expires: None, timers: Vec::new() });
            self.keys.len() - 1
        })
    }

    fn take_expired(&mut self) -> Vec<(usize, Timer)> {
        let (watermark, batch_time) = (self.watermark, self.batch_time);
        let due = |timer: &mut Timer| match *timer {
            Timer::EventTime(at) => watermark.is_some_and(|watermark| at <= watermark),
            Timer::ProcessingTime(at) => at <= batch_time,
        };
        let keys = self.keys.iter_mut().enumerate();
        keys.flat_map(|(place, kept)| kept.timers.extract_if(.., due).map(move |timer| (place, timer))).collect()
    }

    fn apply(&mut self, touched: &[usize], outcome: &Outcome) -> Result<(), Failure> {
        let states = states::read_with(&outcome.states, |state| Ok(state.to_vec()))?;
        let expiry =
            outcome.expiry.as_ref().map(|column| <Option<Timestamp>>::reader(column, touched.len())).transpose()?;
        for (group, (place, state)) in touched.iter().zip(states).enumerate() {
            let kept = &mut self.keys[*place];
            kept.expires = expiry.as_ref().and_then(|expiry| <Option<Timestamp>>::read(expiry, group));
            kept.state = state;
        }
        for (group, timer) in listed(&outcome.cancel) {
            self.keys[touched[group]].timers.retain(|standing| *standing != timer);
        }
        for (group, timer) in listed(&outcome.set) {
            let standing = &mut self.keys[touched[group]].timers;
            if !standing.contains(&timer) {
                standing.push(timer);
            }
        }
        for kept in self.keys.iter_mut().filter(|kept| kept.state.is_none()) {
            (kept.expires, kept.timers) = (None, Vec::new());
        }
        Ok(())
    }
}

fn listed(timers: &Timers) -> impl Iterator<Item = (usize, Timer)> {
    (0..timers.at.len()).map(|index| (timers.groups[index] as usize, timers.timer(index)))
}
