//! Sessions: for each key the spans of event time in which its rows follow each other closely, each with a state. Spans
//! that touch become one.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch, new_null_array},
    datatypes::{SchemaRef, TimestampMicrosecondType},
};

use super::{
    Bucket, Done, Work,
    closing::Closings,
    parts::{Part, Parts},
    rows::{batch, pick},
};
use crate::{
    manifest::OutputMode,
    model::{EventTime, Watermark},
    operator::{
        Failure, PluginCalls,
        fold::{Folder, evaluate},
        partial::timestamps,
    },
    plan::{Barrier, Closing, Group},
};

/// Start and end stand before the key columns in stored rows.
const SPAN: usize = 2;

/// A session: its key, its start, and its end.
type Session = Part<i64>;

/// The sessions of one bucket.
pub(super) struct SessionBucket {
    group: Group,
    stored: SchemaRef,
    key_columns: usize,
    sessions: Parts<i64>,
    closings: Closings,
}

/// A session, or a part of one, on its way into a merge.
#[derive(Clone, Copy)]
struct Piece {
    session: Session,
    /// Where its state is: batch and row.
    state: (usize, usize),
    /// The slot, of one that was known.
    slot: Option<u32>,
}

impl SessionBucket {
    pub(super) fn new(group: &Group, stored: &SchemaRef) -> Result<Self, Failure> {
        let key_columns = group.keys.schema.fields().len();
        let keys: Vec<usize> = (SPAN..SPAN + key_columns).collect();
        Ok(SessionBucket {
            sessions: Parts::new(stored.project(&keys)?, stored.fields()[SPAN + key_columns..].iter())?,
            key_columns,
            closings: Closings::default(),
            group: group.clone(),
            stored: Arc::clone(stored),
        })
    }

    /// The sessions in rows, their keys numbered.
    fn read(&mut self, rows: &RecordBatch) -> Result<Vec<Session>, Failure> {
        let keys = self.sessions.intern(&rows.columns()[SPAN..SPAN + self.key_columns], rows.num_rows())?;
        let times = |column: usize| rows.column(column).as_primitive::<TimestampMicrosecondType>().values();
        let spans = times(0).iter().zip(times(1));
        Ok(keys.into_iter().zip(spans).map(|(key, (&number, &note))| Part { key, number, note }).collect())
    }

    /// Merges partial results in. Returns the slots that are new or changed, and the sessions they replace.
    fn merge(&mut self, calls: &mut PluginCalls, input: &[RecordBatch]) -> Result<(Vec<u32>, Vec<Session>), Failure> {
        let mut pieces: Vec<Piece> = Vec::new();
        for (at, rows) in input.iter().enumerate() {
            let sessions = self.read(rows)?;
            let piece = |(row, session)| Piece { session, state: (at + 1, row), slot: None };
            pieces.extend(sessions.into_iter().enumerate().map(piece));
        }
        // What was known of these keys goes in before anything new with the same start.
        let mut keys: Vec<usize> = pieces.iter().map(|piece| piece.session.key).collect();
        keys.sort_unstable();
        keys.dedup();
        let known: Vec<u32> = keys.iter().flat_map(|&key| self.sessions.of_key(key).values().copied()).collect();
        let piece = |(row, &slot): (usize, &u32)| Piece {
            session: self.sessions.part(slot),
            state: (0, row),
            slot: Some(slot),
        };
        pieces.extend(known.iter().enumerate().map(piece));
        pieces.sort_by_key(|piece| (piece.session.key, piece.session.number, piece.session.note, piece.state));

        let mut merged: Vec<(Session, Vec<Piece>)> = Vec::new();
        for piece in pieces {
            match merged.last_mut() {
                Some((last, parts)) if last.key == piece.session.key && piece.session.number <= last.note => {
                    last.note = last.note.max(piece.session.note);
                    parts.push(piece);
                }
                _ => merged.push((piece.session, vec![piece])),
            }
        }
        // A known session that nothing has come to stays as it is.
        merged.retain(|(_, parts)| parts.len() > 1 || parts[0].slot.is_none());

        let states = self.merge_states(calls, input, &known, &merged)?;
        let replaced: Vec<u32> =
            merged.iter().flat_map(|(_, parts)| parts.iter().filter_map(|part| part.slot)).collect();
        let replaced = replaced.into_iter().map(|slot| self.remove(slot)).collect();
        let sessions: Vec<Session> = merged.iter().map(|(session, _)| *session).collect();
        Ok((self.put(&sessions, &states)?, replaced))
    }

    fn merge_states(
        &self,
        calls: &mut PluginCalls,
        input: &[RecordBatch],
        known: &[u32],
        merged: &[(Session, Vec<Piece>)],
    ) -> Result<Vec<ArrayRef>, Failure> {
        let known = self.sessions.gather(known)?;
        let batches: Vec<&[ArrayRef]> = std::iter::once(known.as_slice())
            .chain(input.iter().map(|rows| &rows.columns()[SPAN + self.key_columns..]))
            .collect();
        let (mut picks, mut into) = (Vec::new(), Vec::new());
        for (at, (_, parts)) in merged.iter().enumerate() {
            picks.extend(parts.iter().map(|part| part.state));
            into.extend(parts.iter().map(|_| at));
        }
        let mut folder = Folder::new(&self.group.fold)?;
        folder.merge(calls, &pick(&batches, &picks)?, &into, merged.len())?;
        folder.take_states()
    }

    fn put(&mut self, sessions: &[Session], states: &[ArrayRef]) -> Result<Vec<u32>, Failure> {
        let slots = self.sessions.put(sessions, states)?;
        if self.group.closing.is_some() {
            let ends = slots.iter().zip(sessions);
            ends.for_each(|(&slot, session)| self.closings.add(slot as usize, EventTime::from_micros(session.note)));
        }
        Ok(slots)
    }

    fn remove(&mut self, slot: u32) -> Session {
        let session = self.sessions.remove(slot);
        self.closings.remove(slot as usize, EventTime::from_micros(session.note));
        session
    }

    fn span_and_key(&self, sessions: &[Session]) -> Result<Vec<ArrayRef>, Failure> {
        let starts = timestamps(sessions.iter().map(|session| session.number));
        let ends = timestamps(sessions.iter().map(|session| session.note));
        Ok([vec![starts, ends], self.sessions.keys(sessions)?].concat())
    }

    fn sessions_in(&self, slots: &[u32]) -> Vec<Session> {
        slots.iter().map(|&slot| self.sessions.part(slot)).collect()
    }

    fn stored_rows(&self, slots: &[u32]) -> Result<RecordBatch, Failure> {
        let columns = [self.span_and_key(&self.sessions_in(slots))?, self.sessions.gather(slots)?].concat();
        Ok(batch(&self.stored, columns, slots.len())?)
    }

    fn gone_rows(&self, sessions: &[Session]) -> Result<RecordBatch, Failure> {
        let mut columns = self.span_and_key(sessions)?;
        let states = self.stored.fields()[SPAN + self.key_columns..].iter();
        columns.extend(states.map(|field| new_null_array(field.data_type(), sessions.len())));
        Ok(batch(&self.stored, columns, sessions.len())?)
    }

    fn results(&self, calls: &mut PluginCalls, slots: &[u32]) -> Result<RecordBatch, Failure> {
        let mut columns = self.span_and_key(&self.sessions_in(slots))?;
        columns.extend(evaluate(&self.group.fold, calls, &self.sessions.gather(slots)?)?);
        Ok(batch(&self.group.schema, columns, slots.len())?)
    }

    /// The sessions that come out in mode append: those that have just come to their end, and those that are over
    /// already and have changed once more.
    fn ended(&self, late: Watermark, closed: Watermark, touched: &[u32]) -> Vec<u32> {
        let mut ended: Vec<u32> = self.closings.between(late, closed).map(|slot| slot as u32).collect();
        let is_over = |slot: &u32| late.covers(EventTime::from_micros(self.sessions.part(*slot).note));
        ended.extend(touched.iter().copied().filter(is_over));
        self.sessions.in_order(ended)
    }
}

impl Bucket for SessionBucket {
    fn adopt(&mut self, barrier: &Barrier) {
        if let Barrier::Group(group) = barrier {
            self.group = Group::clone(group);
        }
    }

    fn restore(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let sessions = self.read(rows)?;
        let replaced = sessions.iter().filter_map(|s| self.sessions.of_key(s.key).get(&s.number).copied());
        for slot in replaced.collect::<Vec<_>>() {
            self.remove(slot);
        }
        self.put(&sessions, &rows.columns()[SPAN + self.key_columns..])?;
        Ok(())
    }

    fn forget(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let sessions = self.read(rows)?;
        let slots = sessions.iter().filter_map(|s| self.sessions.of_key(s.key).get(&s.number).copied());
        for slot in slots.collect::<Vec<_>>() {
            self.remove(slot);
        }
        self.sessions.forget_empty(sessions.iter().map(|session| session.key));
        Ok(())
    }

    fn run(&mut self, calls: &mut PluginCalls, work: &Work<'_>) -> Result<Done, Failure> {
        let (mut touched, replaced) = match work.input {
            [] => (Vec::new(), Vec::new()),
            input => self.merge(calls, input)?,
        };
        let (late, closed) = (work.watermarks.late, work.watermarks.closed);
        let mut done = Done { updated: touched.len(), ..Done::default() };
        for &mode in work.modes {
            let slots = match mode {
                OutputMode::Complete => self.sessions.in_order(self.sessions.live()),
                OutputMode::Append => self.ended(late, closed, &touched),
                OutputMode::Update => unreachable!("sessions are refused in mode update"),
            };
            done.results.push((Some(mode), self.results(calls, &slots)?));
        }
        let over: Vec<usize> = match self.group.closing {
            Some(Closing::End(lateness)) if !work.modes.contains(&OutputMode::Complete) => {
                self.closings.take(closed.less(lateness))
            }
            _ => Vec::new(),
        };
        done.removed = over.len();
        // A session that was replaced by one with the same start is not gone.
        let is_gone = |session: &Session| !self.sessions.of_key(session.key).contains_key(&session.number);
        let mut gone: Vec<Session> = replaced.into_iter().filter(is_gone).collect();
        gone.extend(over.into_iter().map(|slot| self.sessions.remove(slot as u32)));
        if !gone.is_empty() {
            done.gone = Some(self.gone_rows(&gone)?);
        }
        touched.retain(|&slot| self.sessions.is_live(slot));
        done.changed = (!touched.is_empty()).then(|| self.stored_rows(&touched)).transpose()?;
        self.sessions.forget_empty(gone.iter().map(|session| session.key));
        Ok(done)
    }

    fn all(&self) -> Result<RecordBatch, Failure> {
        self.stored_rows(&self.sessions.in_order(self.sessions.live()))
    }

    fn len(&self) -> usize {
        self.sessions.len()
    }

    fn bytes(&self) -> usize {
        self.sessions.bytes()
    }

    fn next_closing(&self) -> Option<EventTime> {
        self.closings.next()
    }
}
