//! The rows of one split, folded by key.
//!
//! Partial results are made split by split and merged in the order of the splits, whatever the number of workers, so
//! that sums of floating point numbers, and anything else that depends on order, come out the same each time. A split's
//! table also fits the processor's caches, which a table of all keys may not.

use std::{collections::HashSet, ops::Range, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray, UInt32Array,
    },
    compute::{filter, filter_record_batch, is_not_null, take},
    datatypes::{DataType, Field, Float64Type, Schema, SchemaRef, TimestampMicrosecondType},
};
use hashbrown::HashMap;

use super::{
    Failure, PluginCalls, Shuffled,
    fold::{Folder, state_fields},
    key_table::KeyTable,
    span_table::{Member, Span, SpanTable},
};
use crate::{
    expr::{AggregateExpr, ScalarExpr},
    model::{EventTime, Watermark, timestamp_type},
    plan::{Closing, Extent, Fold, Gap, Group},
};

/// A partial aggregation under way.
pub(super) struct PartialFold {
    group: Group,
    table: Table,
    folder: Folder,
    groups: Vec<usize>,
}

enum Table {
    Keys(KeyTable),
    Spans(SpanTable),
}

impl PartialFold {
    pub(super) fn new(group: &Group) -> Result<Self, Failure> {
        let keys = KeyTable::new(&group.keys.schema)?;
        let table = match group.extent {
            Extent::Running | Extent::Batch | Extent::Batches(_) => Table::Keys(keys),
            Extent::Windows { .. } | Extent::Sessions { .. } => Table::Spans(SpanTable::new(keys)),
        };
        Ok(PartialFold { table, folder: Folder::new(&group.fold)?, group: group.clone(), groups: Vec::new() })
    }

    /// Folds a batch in.
    pub(super) fn fold(&mut self, calls: &mut PluginCalls, batch: &RecordBatch) -> Result<(), Failure> {
        let keys = &self.group.keys;
        match (&mut self.table, &self.group.extent) {
            (Table::Spans(table), Extent::Windows { time, windows }) => {
                let (batch, times) = with_times(time, batch)?;
                let windows = *windows;
                let mut pane = Span { start: 0, end: 0 };
                let length = windows.pane_length();
                let span_of = |_, time: i64| {
                    if !(pane.start..pane.end).contains(&time) {
                        let start = windows.pane(EventTime::from_micros(time)).micros();
                        pane = Span { start, end: start.saturating_add(length) };
                    }
                    pane
                };
                table.intern(&keys.evaluate(&batch)?, &times, span_of, &mut self.groups)?;
                self.folder.fold(calls, &batch, &self.groups, table.len())
            }
            (Table::Spans(table), Extent::Sessions { time, gap }) => {
                let (batch, times) = with_times(time, batch)?;
                let (batch, times, gaps) = with_gaps(gap, batch, times)?;
                let span_of = |row: usize, start: i64| Span { start, end: start.saturating_add(gaps[row]) };
                table.intern(&keys.evaluate(&batch)?, &times, span_of, &mut self.groups)?;
                self.folder.fold(calls, &batch, &self.groups, table.len())
            }
            (Table::Keys(table), _) => {
                table.intern(&keys.evaluate(batch)?, batch.num_rows(), &mut self.groups)?;
                self.folder.fold(calls, batch, &self.groups, table.len())
            }
            (Table::Spans(_), Extent::Running | Extent::Batch | Extent::Batches(_)) => {
                unreachable!("spans are of windows and sessions")
            }
        }
    }

    /// What has been folded, less what is late; none when there was no row. `late` is no watermark at all where late
    /// rows count.
    pub(super) fn finish(
        mut self,
        calls: &mut PluginCalls,
        late: Option<Watermark>,
    ) -> Result<Option<Shuffled>, Failure> {
        let states = self.folder.take_states()?;
        let (columns, dropped) = match &self.table {
            Table::Keys(table) => {
                let columns = [table.keys(&table.groups())?, states].concat();
                match (self.group.closing, late) {
                    (Some(Closing::Key(column)), Some(late)) => drop_late(columns, column, late)?,
                    _ => (columns, 0),
                }
            }
            Table::Spans(table) => {
                let is_late = |end: i64| match (self.group.closing, late) {
                    (Some(Closing::End(lateness)), Some(late)) => {
                        late.covers(EventTime::from_micros(end).after(lateness))
                    }
                    _ => false,
                };
                let spread = Spread::of(&self.group.extent, table.members(), is_late);
                let states = spread.states(&self.group.fold, calls, states)?;
                let mut columns = span_columns(&spread.members, &self.group.extent);
                columns.extend(table.keys(&spread.members)?);
                columns.extend(states);
                (columns, spread.late)
            }
        };
        shuffle(&self.group, columns, dropped)
    }
}

/// What no rows at all come to: nothing, but where all rows are one group.
pub(super) fn of_nothing(group: &Group) -> Result<Option<Shuffled>, Failure> {
    match &group.fold {
        Fold::Sql(aggregates) if group.is_global() => {
            let states = aggregates.iter().map(AggregateExpr::state_of_nothing).collect::<Result<Vec<_>, _>>()?;
            shuffle(group, states.concat(), 0)
        }
        _ => Ok(None),
    }
}

fn shuffle(group: &Group, columns: Vec<ArrayRef>, late: usize) -> Result<Option<Shuffled>, Failure> {
    let rows = columns.first().map_or(0, |column| column.len());
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let mut rows = RecordBatch::try_new_with_options(shuffled_schema(group), columns, &options)?;
    // A group whose rows were all set aside has no state, and is no group.
    if let (Fold::Reduce(..), Some(state)) = (&group.fold, rows.columns().last()) {
        rows = filter_record_batch(&rows, &is_not_null(state)?)?;
    }
    if rows.num_rows() == 0 && late == 0 {
        return Ok(None);
    }
    Ok(Some(Shuffled::new(&rows, hashed_columns(group), late)?))
}

/// The groups into which the spans of rows go: panes into each of their windows, sessions into themselves.
struct Spread {
    /// The new groups.
    members: Vec<Member>,
    /// Which old group goes into which new one.
    from: Vec<u32>,
    into: Vec<usize>,
    /// How many groups are late and left out.
    late: usize,
}

impl Spread {
    fn of(extent: &Extent, folded: &[Member], is_late: impl Fn(i64) -> bool) -> Self {
        let mut spread = Spread { members: Vec::new(), from: Vec::new(), into: Vec::new(), late: 0 };
        let Extent::Windows { windows, .. } = extent else {
            for (at, member) in folded.iter().enumerate() {
                match is_late(member.span.end) {
                    true => spread.late += 1,
                    false => spread.add(at, *member),
                }
            }
            return spread;
        };
        if windows.are_tumbling() {
            for (at, member) in folded.iter().enumerate() {
                match is_late(windows.end(EventTime::from_micros(member.span.start)).micros()) {
                    true => spread.late += 1,
                    false => spread.add(at, *member),
                }
            }
            return spread;
        }
        let mut known: HashMap<(i64, u32), usize> = HashMap::new();
        let mut late = HashSet::new();
        for (at, member) in folded.iter().enumerate() {
            for start in windows.starts(EventTime::from_micros(member.span.start)) {
                let span = Span { start: start.micros(), end: windows.end(start).micros() };
                if is_late(span.end) {
                    late.insert((span.start, member.key));
                    continue;
                }
                let next = spread.members.len();
                let into = *known.entry((span.start, member.key)).or_insert(next);
                if into == next {
                    spread.members.push(Member { span, key: member.key });
                }
                spread.from.push(at as u32);
                spread.into.push(into);
            }
        }
        spread.late = late.len();
        spread
    }

    fn add(&mut self, from: usize, member: Member) {
        self.from.push(from as u32);
        self.into.push(self.members.len());
        self.members.push(member);
    }

    fn states(&self, fold: &Fold, calls: &mut PluginCalls, states: Vec<ArrayRef>) -> Result<Vec<ArrayRef>, Failure> {
        let unchanged = self.from.len() == states[0].len() && self.members.len() == self.from.len();
        if unchanged && self.from.iter().zip(&self.into).all(|(&from, &into)| from as usize == into) {
            return Ok(states);
        }
        let from = UInt32Array::from(self.from.clone());
        let states = states.iter().map(|column| take(column, &from, None)).collect::<Result<Vec<_>, _>>()?;
        if self.members.len() == self.from.len() {
            return Ok(states);
        }
        let mut folder = Folder::new(fold)?;
        folder.merge(calls, &states, &self.into, self.members.len())?;
        folder.take_states()
    }
}

/// The rows that have an event time, and their times: a row without one belongs to no window.
fn with_times(time: &ScalarExpr, batch: &RecordBatch) -> Result<(RecordBatch, TimestampMicrosecondArray), Failure> {
    let times = time.evaluate(batch)?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    if times.null_count() == 0 {
        return Ok((batch.clone(), times.clone()));
    }
    let there = is_not_null(times)?;
    let kept = filter(times, &there)?;
    Ok((filter_record_batch(batch, &there)?, kept.as_primitive::<TimestampMicrosecondType>().clone()))
}

/// The gap behind each row in microseconds. A row whose gap is nothing, or less, opens no session.
fn with_gaps(
    gap: &Gap,
    batch: RecordBatch,
    times: TimestampMicrosecondArray,
) -> Result<(RecordBatch, TimestampMicrosecondArray, Vec<i64>), Failure> {
    let seconds = match gap {
        Gap::Fixed(gap) => {
            let micros = i64::try_from(gap.as_micros()).unwrap_or(i64::MAX);
            let gaps = vec![micros; times.len()];
            return Ok((batch, times, gaps));
        }
        Gap::PerRow(seconds) => seconds.evaluate(&batch)?,
    };
    let seconds = seconds.as_primitive::<Float64Type>();
    let micros: Vec<i64> = seconds.iter().map(|seconds| (seconds.unwrap_or(0.0) * 1_000_000.0) as i64).collect();
    if micros.iter().all(|&gap| gap > 0) {
        return Ok((batch, times, micros));
    }
    let opens: BooleanArray = micros.iter().map(|&gap| Some(gap > 0)).collect();
    let kept = filter(&times, &opens)?;
    let batch = filter_record_batch(&batch, &opens)?;
    let micros = micros.into_iter().filter(|&gap| gap > 0).collect();
    Ok((batch, kept.as_primitive::<TimestampMicrosecondType>().clone(), micros))
}

fn drop_late(columns: Vec<ArrayRef>, key: usize, late: Watermark) -> Result<(Vec<ArrayRef>, usize), Failure> {
    let times = columns[key].as_primitive::<TimestampMicrosecondType>();
    // A group without a time is never over.
    let stays: BooleanArray =
        times.iter().map(|time| Some(time.is_none_or(|time| !late.covers(EventTime::from_micros(time))))).collect();
    let dropped = stays.len() - stays.true_count();
    if dropped == 0 {
        return Ok((columns, 0));
    }
    let columns = columns.iter().map(|column| filter(column, &stays)).collect::<Result<Vec<_>, _>>()?;
    Ok((columns, dropped))
}

/// The spans as the columns in which they are stored: the start of a window, start and end of a session.
fn span_columns(members: &[Member], extent: &Extent) -> Vec<ArrayRef> {
    let column = |of: fn(&Span) -> i64| timestamps(members.iter().map(|member| of(&member.span)));
    match extent {
        Extent::Sessions { .. } => vec![column(|span| span.start), column(|span| span.end)],
        _ => vec![column(|span| span.start)],
    }
}

/// A column of event times.
pub(super) fn timestamps(micros: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

/// The columns in which a group's state is stored: those in which it travels, behind the number of the batch if it has
/// one.
pub(super) fn stored_schema(group: &Group) -> SchemaRef {
    let travels = shuffled_schema(group);
    match group.extent {
        Extent::Batches(_) => {
            let batch = Field::new("batch", DataType::Int64, true);
            let rest = travels.fields().iter().map(|field| field.as_ref().clone());
            Arc::new(Schema::new(std::iter::once(batch).chain(rest).collect::<Vec<_>>()))
        }
        _ => travels,
    }
}

/// The columns in which a group's state travels: its span, its key, and what is kept for it.
fn shuffled_schema(group: &Group) -> SchemaRef {
    let spans = ["window_start", "window_end"].into_iter().take(span_count(group));
    let spans = spans.map(|name| Field::new(name, timestamp_type(), true));
    let keys = group.keys.schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let states = state_fields(&group.fold).into_iter().map(|field| field.with_nullable(true));
    Arc::new(Schema::new(spans.chain(keys).chain(states).collect::<Vec<_>>()))
}

/// How many columns the span of a group takes.
pub(super) fn span_count(group: &Group) -> usize {
    match group.extent {
        Extent::Running | Extent::Batch | Extent::Batches(_) => 0,
        Extent::Windows { .. } => 1,
        Extent::Sessions { .. } => 2,
    }
}

/// The columns by whose hash groups are spread: all sessions of a key must be in one bucket, as they may merge.
pub(super) fn hashed_columns(group: &Group) -> Range<usize> {
    let (spans, keys) = (span_count(group), group.keys.schema.fields().len());
    match group.extent {
        Extent::Sessions { .. } => spans..spans + keys,
        _ => 0..spans + keys,
    }
}
