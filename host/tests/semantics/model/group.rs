//! Groups: all rows of each are kept, and aggregated when they are asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Now, Part, Passed,
    flow::{Closing, Flow},
    pipeline::{Extent, Function, Gap, Group, Keep, Mode},
    value::{Row, Value, time_of},
};

/// The groups of a stage.
pub(super) struct Groups<'a> {
    flow: Flow,
    group: &'a Group,
    mode: Mode,
    closing: Option<Closing>,
    kept: BTreeMap<Row, Vec<Held>>,
    /// With an inverse: the keys that have a value, also for no rows.
    valued: BTreeSet<Row>,
}

/// The rows of a key in one span.
struct Held {
    span: Span,
    rows: Vec<Row>,
    /// Whether rows have come to it in this epoch.
    touched: bool,
}

/// Start and end of a window or session; the number of an epoch, and the next one.
type Span = (i64, i64);

impl<'a> Groups<'a> {
    pub(super) fn new(flow: &Flow, group: &'a Group, mode: Mode) -> Self {
        Groups {
            closing: flow.closing(group),
            flow: flow.clone(),
            group,
            mode,
            kept: BTreeMap::new(),
            valued: BTreeSet::new(),
        }
    }

    /// Whether a watermark closes groups.
    pub(super) fn closes(&self) -> bool {
        self.closing.is_some() && self.mode != Mode::Complete
    }

    /// Whether epochs without rows count.
    pub(super) fn counts_epochs(&self) -> bool {
        matches!(self.group.extent, Extent::Epochs { .. })
    }

    pub(super) fn run(&mut self, parts: &[Part], now: Now) -> Passed {
        self.kept.values_mut().flatten().for_each(|held| held.touched = false);
        let (mut late_rows, mut dropped) = (Vec::new(), 0);
        for part in parts {
            // Late rows of a file are counted group by group.
            let mut late_of_part = BTreeSet::new();
            for row in part {
                let key: Row = self.group.by.iter().map(|name| row[self.flow.at(name)].clone()).collect();
                let spans = self.spans_of(row, now);
                let (late, in_time): (Vec<Span>, Vec<Span>) =
                    spans.into_iter().partition(|span| self.is_over(*span, &key, now.late));
                if in_time.is_empty() && !late.is_empty() {
                    late_rows.push(row.clone());
                }
                late_of_part.extend(late.into_iter().map(|span| (span, key.clone())));
                in_time.into_iter().for_each(|span| self.add(&key, span, row));
            }
            dropped += late_of_part.len() as u64;
        }
        if self.group.is_global() && parts.iter().all(Vec::is_empty) {
            self.add_nothing(now);
        }
        self.merge_sessions();
        let rows = self.results(now);
        self.remove(now);
        let kept = self.kept.values().map(Vec::len).sum::<usize>() + self.valued.len();
        Passed { rows, late_rows, dropped, kept: kept as u64 }
    }

    /// The spans a row belongs to.
    fn spans_of(&self, row: &Row, now: Now) -> Vec<Span> {
        match &self.group.extent {
            Extent::All | Extent::Epoch => vec![(0, 0)],
            Extent::Epochs { .. } => vec![(now.number as i64, now.number as i64 + 1)],
            Extent::Windows { on, size, slide, offset } => match self.time(row, on) {
                Some(time) => windows_of(time, *size, *slide, *offset),
                None => Vec::new(),
            },
            Extent::Sessions { on, gap } => {
                let gap = match gap {
                    Gap::Fixed(gap) => *gap,
                    Gap::Of(column) => match row[self.flow.at(column)] {
                        Value::Number(seconds) => seconds * 1_000_000,
                        _ => 0,
                    },
                };
                let time = self.time(row, on).filter(|_| gap > 0);
                time.map(|time| (time, time + gap)).into_iter().collect()
            }
        }
    }

    fn time(&self, row: &Row, on: &str) -> Option<i64> {
        let time = time_of(&row[self.flow.time_column(on)])?;
        // The end of a window is the first moment that is no longer in it.
        Some(if on == super::WINDOW { time - 1 } else { time })
    }

    /// The time at which a group is complete, if it ever is.
    fn end(&self, span: Span, key: &Row) -> Option<i64> {
        match self.closing? {
            Closing::End(_) => Some(span.1),
            Closing::Key(column) => time_of(&key[column]),
        }
    }

    /// Whether a group takes no more rows.
    fn is_over(&self, span: Span, key: &Row, watermark: i64) -> bool {
        let lateness = if let Some(Closing::End(lateness)) = self.closing { lateness } else { 0 };
        self.mode != Mode::Complete && self.end(span, key).is_some_and(|end| end + lateness <= watermark)
    }

    fn add(&mut self, key: &Row, span: Span, row: &Row) {
        let of_key = self.kept.entry(key.clone()).or_default();
        let merges = matches!(self.group.extent, Extent::Sessions { .. });
        match of_key.iter_mut().find(|held| held.span == span && !merges) {
            Some(held) => {
                held.rows.push(row.clone());
                held.touched = true;
            }
            None => of_key.push(Held { span, rows: vec![row.clone()], touched: true }),
        }
    }

    /// All rows are a group also when there are none.
    fn add_nothing(&mut self, now: Now) {
        let span = self.spans_of(&Row::new(), now)[0];
        let of_key = self.kept.entry(Row::new()).or_default();
        match of_key.iter_mut().find(|held| held.span == span) {
            Some(held) => held.touched = true,
            None => of_key.push(Held { span, rows: Vec::new(), touched: true }),
        }
    }

    /// Sessions that overlap or touch are one.
    fn merge_sessions(&mut self) {
        if !matches!(self.group.extent, Extent::Sessions { .. }) {
            return;
        }
        for of_key in self.kept.values_mut() {
            of_key.sort_by_key(|held| held.span);
            let mut merged: Vec<Held> = Vec::new();
            for held in of_key.drain(..) {
                match merged.last_mut() {
                    Some(last) if held.span.0 <= last.span.1 => {
                        last.span.1 = last.span.1.max(held.span.1);
                        last.rows.extend(held.rows);
                        last.touched |= held.touched;
                    }
                    _ => merged.push(held),
                }
            }
            *of_key = merged;
        }
    }

    fn results(&mut self, now: Now) -> Vec<Row> {
        if let Extent::Epochs { size, slide, inverse, keep } = &self.group.extent {
            return match (now.number + 1).is_multiple_of(*slide) {
                true => self.last_epochs(now, *size, *inverse, keep.as_ref()),
                false => Vec::new(),
            };
        }
        let comes_out = |key: &Row, held: &Held| match self.mode {
            _ if self.group.extent == Extent::Epoch => true,
            Mode::Complete => true,
            Mode::Update => held.touched,
            Mode::Append => {
                // When it ends, and again for each late row that is still allowed.
                let end = self.end(held.span, key);
                end.is_some_and(|end| end <= now.over && (end > now.late || held.touched))
            }
        };
        let mut rows = Vec::new();
        for (key, of_key) in &self.kept {
            let of_key = of_key.iter().filter(|held| comes_out(key, held));
            rows.extend(of_key.map(|held| self.result(key, held.span, &held.rows)));
        }
        rows
    }

    fn last_epochs(&mut self, now: Now, size: u64, inverse: bool, keep: Option<&Keep>) -> Vec<Row> {
        let first = now.number as i64 + 1 - size as i64;
        let mut results = Vec::new();
        let keys: BTreeSet<Row> = self.kept.keys().chain(&self.valued).cloned().collect();
        for key in keys {
            let held = self.kept.get(&key).into_iter().flatten().filter(|held| held.span.0 >= first);
            let held: Vec<&Held> = held.collect();
            if held.is_empty() && !self.valued.contains(&key) {
                continue;
            }
            let rows: Vec<Row> = held.iter().flat_map(|held| held.rows.clone()).collect();
            let result = self.result(&key, (0, 0), &rows);
            if keep.is_some_and(|keep| !self.stays(keep, &result)) {
                self.kept.remove(&key);
                self.valued.remove(&key);
                continue;
            }
            results.push(result);
            if inverse {
                self.valued.insert(key);
            }
        }
        results
    }

    fn stays(&self, keep: &Keep, result: &Row) -> bool {
        let column = self.group.aggregates.iter().position(|aggregate| aggregate.name == keep.column);
        let column = self.group.by.len() + column.expect("a condition on a result");
        matches!(result[column], Value::Number(number) if number > keep.above)
    }

    fn result(&self, key: &Row, span: Span, rows: &[Row]) -> Row {
        let window = [span.0, span.1].into_iter().filter(|_| self.group.is_windowed()).map(Value::Time);
        let results = self.group.aggregates.iter().map(|aggregate| {
            let column = aggregate.column.as_ref().map(|name| self.flow.at(name));
            aggregated(aggregate.function, column, rows)
        });
        window.chain(key.iter().cloned()).chain(results).collect()
    }

    /// Removes what takes no more rows.
    fn remove(&mut self, now: Now) {
        let mut kept = std::mem::take(&mut self.kept);
        for (key, of_key) in &mut kept {
            of_key.retain(|held| match self.group.extent {
                Extent::Epoch => false,
                Extent::Epochs { size, slide, inverse, .. } => {
                    let ends = (now.number + 1).is_multiple_of(slide);
                    // What the next window reads; with an inverse, what leaves this one.
                    let next = if inverse { 0 } else { slide as i64 };
                    !ends || held.span.0 > now.number as i64 - size as i64 + next
                }
                _ => !self.is_over(held.span, key, now.over),
            });
        }
        kept.retain(|_, of_key| !of_key.is_empty());
        self.kept = kept;
    }
}

/// All windows that hold a time.
fn windows_of(time: i64, size: i64, slide: i64, offset: i64) -> Vec<Span> {
    let last = time - (time - offset).rem_euclid(slide);
    let starts = (0..).map(|back| last - back * slide).take_while(|start| time < start + size);
    starts.map(|start| (start, start + size)).collect()
}

fn aggregated(function: Function, column: Option<usize>, rows: &[Row]) -> Value {
    let values: Vec<&Value> = match column {
        Some(column) => rows.iter().map(|row| &row[column]).filter(|value| **value != Value::Null).collect(),
        None => return Value::Number(rows.len() as i64),
    };
    let result = match function {
        Function::Count => Some(Value::Number(values.len() as i64)),
        Function::Add if values.is_empty() => Some(Value::Number(0)),
        Function::Min => values.into_iter().min().cloned(),
        Function::Max => values.into_iter().max().cloned(),
        Function::Sum | Function::Add => values.into_iter().cloned().reduce(|sum, value| match (sum, value) {
            (Value::Number(sum), Value::Number(value)) => Value::Number(sum + value),
            (sum, value) => panic!("sums are of numbers, not of {sum} and {value}"),
        }),
    };
    result.unwrap_or(Value::Null)
}
