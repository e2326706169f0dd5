//! Rows that come too late for every window they belong to.

use arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch},
    compute::filter_record_batch,
    datatypes::{Float64Type, TimestampMicrosecondType},
};

use super::Failure;
use crate::{
    model::{EventTime, Watermark},
    plan::{Barrier, Closing, Extent, Gap},
};

/// The rows of a batch that are late for this barrier.
pub(super) fn late_rows(barrier: &Barrier, batch: &RecordBatch, late: Watermark) -> Result<RecordBatch, Failure> {
    let mask = match barrier {
        Barrier::Handle(_) => BooleanArray::from(vec![false; batch.num_rows()]),
        Barrier::Distinct(distinct) => {
            let time = distinct.time.expect("rows are late by an event time");
            of_times(batch.column(time).as_ref(), |_, time| late.covers(time))
        }
        Barrier::Join(_) => {
            unreachable!("the sides of a join have columns of their own, so it has no outlet for late rows")
        }
        Barrier::Update(update) => {
            let time = update.time.expect("rows are late by an event time");
            of_times(batch.column(time).as_ref(), |_, time| late.covers(time))
        }
        Barrier::Group(group) => match (&group.extent, group.closing) {
            (Extent::Windows { time, windows }, Some(Closing::End(lateness))) => {
                // Of the windows that hold a row, the one that starts last ends last.
                of_times(time.evaluate(batch)?.as_ref(), |_, time| {
                    windows.starts(time).next().is_none_or(|start| late.covers(windows.end(start).after(lateness)))
                })
            }
            (Extent::Sessions { time, gap }, Some(Closing::End(lateness))) => {
                let gaps = match gap {
                    Gap::Fixed(_) => None,
                    Gap::PerRow(seconds) => Some(seconds.evaluate(batch)?),
                };
                of_times(time.evaluate(batch)?.as_ref(), |row, time| {
                    let gap = match (gap, &gaps) {
                        (Gap::Fixed(gap), _) => gap.as_micros() as i64,
                        (_, Some(gaps)) => (gaps.as_primitive::<Float64Type>().value(row) * 1_000_000.0) as i64,
                        (Gap::PerRow(_), None) => 0,
                    };
                    let end = EventTime::from_micros(time.micros().saturating_add(gap));
                    gap > 0 && late.covers(end.after(lateness))
                })
            }
            (_, Some(Closing::Key(key))) => {
                of_times(group.keys.expressions[key].evaluate(batch)?.as_ref(), |_, time| late.covers(time))
            }
            _ => BooleanArray::from(vec![false; batch.num_rows()]),
        },
    };
    Ok(filter_record_batch(batch, &mask)?)
}

/// For which rows a test of their event time holds; a row without one is never late.
fn of_times(times: &dyn Array, test: impl Fn(usize, EventTime) -> bool) -> BooleanArray {
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let of_row = |(row, time): (usize, Option<i64>)| Some(time.is_some_and(|t| test(row, EventTime::from_micros(t))));
    times.iter().enumerate().map(of_row).collect()
}
