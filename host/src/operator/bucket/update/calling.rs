//! How the function is called: for some keys at a time, with their states, rows and timers; and what becomes of rows and
//! keys that it cannot take.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use arrow::{
    array::{RecordBatch, UInt32Array},
    compute::take_record_batch,
};

use super::UpdateBucket;
use crate::{
    manifest::BadRows,
    model::Watermark,
    operator::{
        Failure, PluginCalls,
        bucket::{Work, rows::batch},
        calls::Stops,
        fold::binary,
        pieces::pieces,
    },
    ports::{CallError, GroupTimer, KeyedOutcome, KeyedWork, Timer},
};

/// A call is for at most so many keys: enough that calls cost nothing beside their work, few enough that the states
/// which cross the boundary stay far below a plugin's memory.
const KEYS_PER_CALL: usize = 4096;

/// What an epoch brings for the keys of the bucket.
pub(super) struct Brought {
    /// Key columns, then the function's columns.
    pub(super) rows: RecordBatch,
    /// The keys to call the function for, in an order that does not depend on what has been here before.
    pub(super) keys: Vec<usize>,
    /// The timers of each that are due.
    pub(super) due: BTreeMap<usize, Vec<Timer>>,
}

/// Keys to call the function for, and their rows in the order of the keys, each with the place of its key.
struct Piece {
    keys: Range<usize>,
    rows: Vec<(usize, u32)>,
}

impl Piece {
    /// Puts both halves where the next piece is taken from, the first on top; what has one key stays whole.
    fn halve_into(mut self, todo: &mut Vec<Piece>) {
        let middle = self.keys.start + self.keys.len() / 2;
        if middle > self.keys.start {
            let later = self.rows.split_off(self.rows.partition_point(|(place, _)| *place < middle));
            todo.push(Piece { keys: middle..self.keys.end, rows: later });
            self.keys.end = middle;
        }
        todo.push(self);
    }
}

/// Takes the outcome of a call for some keys.
pub(super) type Took<'a> = dyn FnMut(&mut UpdateBucket, &[usize], KeyedOutcome) + 'a;

impl UpdateBucket {
    /// Brings states to the version of the function that runs.
    pub(super) fn migrate(&mut self, calls: &mut PluginCalls, keys: &[usize]) -> Result<(), Failure> {
        let mut older: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for &key in keys.iter().filter(|&&key| self.kept(key).state.is_some()) {
            match self.kept(key).version {
                version if version == self.update.version => {}
                version if version < self.update.version => older.entry(version).or_default().push(key),
                version => {
                    return Err(Failure::BadRow(format!(
                        "{} is at version {} of its state, but the checkpoint holds states of version {version}; put the newer \
                         plugin back",
                        self.update.call.label, self.update.version
                    )));
                }
            }
        }
        for (version, keys) in older {
            let length = |&key: &usize| self.kept(key).state.as_ref().map_or(0, |state| state.len());
            for piece in pieces(keys.iter().map(length)) {
                let keys = &keys[piece];
                let states = binary(keys.iter().map(|&key| &self.kept(key).state));
                let call = &self.update.call;
                let states = calls.instance(call.plugin).migrate(call.used, version, &states)?;
                for (row, &key) in keys.iter().enumerate() {
                    let kept = self.kept[key].as_mut().expect("a key with a state");
                    (kept.state, kept.version) = (Some(states.value(row).into()), self.update.version);
                }
            }
        }
        Ok(())
    }

    /// Calls the function for some keys with their rows and timers.
    fn call(
        &self,
        calls: &mut PluginCalls,
        work: &Work<'_>,
        brought: &Brought,
        piece: &Piece,
    ) -> Result<Result<KeyedOutcome, CallError>, Failure> {
        let keys = &brought.keys[piece.keys.clone()];
        let key_schema = Arc::clone(&self.update.keys.schema);
        let key_rows = batch(&key_schema, self.table.keys(keys)?, keys.len())?;
        let picked: UInt32Array = piece.rows.iter().map(|(_, row)| *row).collect();
        let own: Vec<usize> = (self.key_columns()..brought.rows.num_columns()).collect();
        let input = take_record_batch(&brought.rows.project(&own)?, &picked)?;
        let input = batch(&self.update.call.arguments.schema, input.columns().to_vec(), picked.len())?;
        let groups: Vec<u32> = piece.rows.iter().map(|(place, _)| (place - piece.keys.start) as u32).collect();
        let mut expired = Vec::new();
        for (group, key) in keys.iter().enumerate() {
            let due = brought.due.get(key).into_iter().flatten();
            expired.extend(due.map(|timer| GroupTimer { group: group as u32, timer: *timer }));
        }
        let closed = work.watermarks.closed;
        let keyed = KeyedWork {
            keys: &key_rows,
            states: &binary(keys.iter().map(|&key| &self.kept(key).state)),
            groups: &groups,
            input: &input,
            watermark: (self.update.time.is_some() && closed > Watermark::START).then(|| closed.time()),
            expired: &expired,
        };
        let call = &self.update.call;
        Ok(calls.instance(call.plugin).update(call.used, &keyed))
    }

    /// Calls the function for all keys. A row it refuses is set aside; keys that stop it are found by halving, and
    /// lose their rows of this epoch, not their states.
    pub(super) fn call_all(
        &mut self,
        calls: &mut PluginCalls,
        work: &Work<'_>,
        brought: &Brought,
        rows: Vec<(usize, u32)>,
        took: &mut Took<'_>,
    ) -> Result<(), Failure> {
        let mut todo: Vec<Piece> = Vec::new();
        let mut rows = rows.as_slice();
        for start in (0..brought.keys.len()).step_by(KEYS_PER_CALL) {
            let keys = start..(start + KEYS_PER_CALL).min(brought.keys.len());
            let (own, others) = rows.split_at(rows.partition_point(|(place, _)| *place < keys.end));
            todo.push(Piece { keys, rows: own.to_vec() });
            rows = others;
        }
        todo.reverse();
        let mut stops = Stops::default();
        while let Some(mut piece) = todo.pop() {
            let error = match self.call(calls, work, brought, &piece)? {
                Ok(outcome) => {
                    took(self, &brought.keys[piece.keys.clone()], outcome);
                    continue;
                }
                Err(error) => error,
            };
            let call = self.update.call.clone();
            match error {
                CallError::Row { row, message } if row < piece.rows.len() => {
                    let (_, row) = piece.rows.remove(row);
                    calls.set_aside(&call, &brought.rows, row as usize, message)?;
                    // One that refuses a row may refuse the next; called with all of them each time, many would cost
                    // their square.
                    piece.halve_into(&mut todo);
                }
                CallError::Contract(_) => return Err(error.into()),
                _ if piece.keys.len() > 1 && calls.bad_rows() == BadRows::SetAside => {
                    stops.note(&error)?;
                    piece.halve_into(&mut todo);
                }
                _ if piece.keys.len() == 1 && !piece.rows.is_empty() => {
                    for (_, row) in piece.rows.drain(..) {
                        calls.set_aside(&call, &brought.rows, row as usize, error.to_string())?;
                    }
                    // Its timers have still to be heard.
                    if brought.due.contains_key(&brought.keys[piece.keys.start]) {
                        todo.push(piece);
                    }
                }
                _ => return Err(error.into()),
            }
        }
        Ok(())
    }
}
