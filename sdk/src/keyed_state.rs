//! Keyed state: a state per key that a function of the plugin carries from epoch to epoch, with timers.

use std::{fmt::Display, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Timestamp,
    bindings::exports::tidemill::plugin::keyed_state::{Outcome, Timers, Work},
    cell::{Capacity, Cell},
    context,
    row::{ReadRow, Row, RowReader, RowWriter, Rows},
    states,
    wire::{Column, Failure},
};

/// When a key wants to be called again, whether or not it has rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// As soon as the watermark has passed this time.
    EventTime(Timestamp),
    /// As soon as an epoch's batch time has passed this time.
    ProcessingTime(Timestamp),
}

/// What a keyed state's function can see and do beside its key, state and rows. `R` is the row it puts out.
pub struct KeyContext<R: Row> {
    group: u32,
    watermark: Option<Timestamp>,
    expired: Vec<Timer>,
    expires: Option<Timestamp>,
    out: RowWriter<R>,
    groups_of_rows: Vec<u32>,
    set: Timers,
    cancel: Timers,
}

impl<R: Row> KeyContext<R> {
    /// Puts a row out.
    pub fn emit(&mut self, row: impl Row<Static = R::Static, Writer = R::Writer>) {
        self.out.push(row, crate::source::Source::ANY);
        self.groups_of_rows.push(self.group);
    }

    /// Up to which event time the input is complete; none before the first row.
    pub fn watermark(&self) -> Option<Timestamp> {
        self.watermark
    }

    /// The timers of this key that have expired.
    pub fn expired(&self) -> &[Timer] {
        &self.expired
    }

    /// Sets a timer for this key. Setting one that stands changes nothing.
    pub fn set(&mut self, timer: Timer) {
        self.cancel.take_back(self.group, timer);
        self.set.push(self.group, timer);
    }

    /// Cancels a timer of this key. It need not stand.
    pub fn cancel(&mut self, timer: Timer) {
        self.set.take_back(self.group, timer);
        self.cancel.push(self.group, timer);
    }

    /// Removes the state this long after the epoch's batch time, unless the function is called for the key before,
    /// which must then say so again.
    pub fn expire_after(&mut self, time_to_live: Duration) {
        self.expires = Some(context::batch_time() + time_to_live);
    }
}

/// Calls a function for each key of an epoch.
pub fn update<'a, K, S, I, O, E>(
    work: &'a Work,
    mut function: impl FnMut(K, Option<S>, Rows<I>, &mut KeyContext<O>) -> Result<Option<S>, E>,
) -> Result<Outcome, Failure>
where
    K: ReadRow<'a>,
    S: Serialize + DeserializeOwned,
    I: ReadRow<'a>,
    O: Row,
    E: Display,
{
    let keys = RowReader::<K>::new(&work.keys)?;
    let input = RowReader::<I>::new(&work.input)?;
    let rows_of = Grouped::new(&work.groups, input.rows(), keys.rows())?;
    let timers_of =
        Grouped::new(&work.expired.groups, work.expired.at.len().min(work.expired.domains.len()), keys.rows())?;
    let old = states::read::<S>(&work.states)?;
    if old.len() != keys.rows() {
        return Err(Failure::of_call(format!("{} states for {} keys", old.len(), keys.rows())));
    }

    let mut context = KeyContext {
        group: 0,
        watermark: work.watermark.map(Timestamp::from_micros),
        expired: Vec::new(),
        expires: None,
        out: RowWriter::with_capacity(Capacity { rows: keys.rows(), bytes: 0 }),
        groups_of_rows: Vec::new(),
        set: timers([]),
        cancel: timers([]),
    };
    let mut new = Vec::with_capacity(old.len());
    let mut expiry = Vec::with_capacity(old.len());
    for (group, state) in old.into_iter().enumerate() {
        context.group = group as u32;
        context.expired = timers_of.of(group).map(|timer| work.expired.timer(timer)).collect();
        let rows = rows_of.of(group).map(|row| input.get(row)).collect();
        let state = function(keys.get(group), state, rows, &mut context)
            .map_err(|error| Failure::of_call(error.to_string()))?;
        expiry.push(context.expires.take().filter(|_| state.is_some()));
        new.push(state);
    }

    Ok(Outcome {
        states: states::write(new)?,
        expiry: expiry_column(expiry),
        rows: context.out.finish(),
        groups: context.groups_of_rows,
        set: context.set,
        cancel: context.cancel,
    })
}

/// Rewrites states of an older version.
pub fn migrate<S: Serialize>(states: &Column, migrate: impl Fn(&[u8]) -> Result<S, String>) -> Result<Column, Failure> {
    states::write(states::read_with(states, migrate)?)
}

/// The migration of a function that has none.
pub fn no_migration<S>(from_version: u32, _state: &[u8]) -> Result<S, String> {
    Err(format!(
        "there is no way from version {from_version} of the state: write `#[keyed_state(version = ..., migrate = ...)]`"
    ))
}

fn expiry_column(expiry: Vec<Option<Timestamp>>) -> Option<Column> {
    expiry.iter().any(Option::is_some).then(|| {
        let mut column = <Option<Timestamp>>::writer(Capacity { rows: expiry.len(), bytes: 0 });
        expiry.into_iter().for_each(|time| time.write(&mut column, crate::source::Source::ANY));
        <Option<Timestamp>>::finish(column)
    })
}

/// The members of each group, in their order.
struct Grouped {
    /// Where each group's members start in `members`, and where the last one's end.
    starts: Vec<usize>,
    members: Vec<usize>,
}

impl Grouped {
    fn new(groups: &[u32], members: usize, count: usize) -> Result<Self, Failure> {
        if groups.len() != members {
            return Err(Failure::of_call(format!("{} groups for {members} rows or timers", groups.len())));
        }
        let mut starts = vec![0; count + 1];
        for group in groups {
            let end = starts.get_mut(*group as usize + 1).ok_or_else(|| {
                Failure::of_call(format!("a row or timer of group {group}, and there are {count} keys"))
            })?;
            *end += 1;
        }
        for group in 0..count {
            starts[group + 1] += starts[group];
        }
        let mut free = starts.clone();
        let mut ordered = vec![0; members];
        for (member, group) in groups.iter().enumerate() {
            let place = &mut free[*group as usize];
            ordered[*place] = member;
            *place += 1;
        }
        Ok(Grouped { starts, members: ordered })
    }

    fn of(&self, group: usize) -> impl Iterator<Item = usize> {
        self.members[self.starts[group]..self.starts[group + 1]].iter().copied()
    }
}

/// How timers are numbered at the boundary.
const EVENT_TIME: u8 = 0;
const PROCESSING_TIME: u8 = 1;

/// The columns of some timers, each with its group.
pub(crate) fn timers(timers: impl IntoIterator<Item = (u32, Timer)>) -> Timers {
    let mut columns = Timers { groups: Vec::new(), at: Vec::new(), domains: Vec::new() };
    timers.into_iter().for_each(|(group, timer)| columns.push(group, timer));
    columns
}

impl Timers {
    /// The timer with this number.
    pub(crate) fn timer(&self, index: usize) -> Timer {
        let at = Timestamp::from_micros(self.at[index]);
        if self.domains[index] == EVENT_TIME { Timer::EventTime(at) } else { Timer::ProcessingTime(at) }
    }

    fn push(&mut self, group: u32, timer: Timer) {
        let (at, domain) = match timer {
            Timer::EventTime(at) => (at, EVENT_TIME),
            Timer::ProcessingTime(at) => (at, PROCESSING_TIME),
        };
        self.groups.push(group);
        self.at.push(at.micros());
        self.domains.push(domain);
    }

    /// Removes a timer of the last group: what was said first about a timer must not undo what was said last.
    fn take_back(&mut self, group: u32, timer: Timer) {
        let of_group = (0..self.at.len()).rev().take_while(|index| self.groups[*index] == group);
        if let Some(index) = { of_group }.find(|index| self.timer(*index) == timer) {
            self.groups.remove(index);
            self.at.remove(index);
            self.domains.remove(index);
        }
    }
}
