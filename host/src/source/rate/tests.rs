//! Rows made by a clock must be the same whenever they are made.

use arrow::{
    array::AsArray,
    datatypes::{Int64Type, TimestampMicrosecondType},
};

use super::*;
use crate::source::testing::{Collected, read};

const START: ProcessingTime = ProcessingTime::from_micros(1_000_000_000);

fn after(micros: i64) -> ProcessingTime {
    ProcessingTime::from_micros(START.micros() + micros)
}

fn rate(rows_per_second: u64, rows: Option<u64>) -> Rate {
    Rate::open(&RateSource { rows_per_second, rows }, schema(), START)
}

fn rows(collected: &Collected) -> Vec<(i64, i64)> {
    let pairs = collected.batches.iter().flat_map(|batch| {
        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>().values().to_vec();
        let values = batch.column(1).as_primitive::<Int64Type>().values().to_vec();
        times.into_iter().zip(values)
    });
    pairs.collect()
}

/// The offset is the number of rows so far, values count, and times are spread evenly over the second.
#[test]
fn rows_are_due_evenly() {
    let mut source = rate(4, None);
    assert_eq!(source.next_range(after(249_999)).unwrap(), None);
    let range = source.next_range(after(600_000)).unwrap().unwrap();
    assert_eq!((range.start.0.as_str(), range.end.0.as_str()), ("0", "2"));
    let first = START.micros();
    assert_eq!(rows(&read(&mut source, &range).unwrap()), [(first, 0), (first + 250_000, 1)]);
    assert_eq!(source.next_range(after(0)).unwrap(), None, "a clock that goes back makes no row twice");
}

/// `rows` ends the stream, and available-now sees nothing that becomes due later.
#[test]
fn it_ends_where_it_should() {
    let mut source = rate(1000, Some(5));
    assert_eq!(source.next_range(after(1_000_000)).unwrap().unwrap().end.0, "5");
    assert_eq!(source.next_range(after(2_000_000)).unwrap(), None);

    let mut source = rate(1000, None);
    source.freeze(after(7_000)).unwrap();
    assert_eq!(source.next_range(after(2_000_000)).unwrap().unwrap().end.0, "7");
    assert_eq!(source.next_range(after(3_000_000)).unwrap(), None);
}

/// After a crash another process reads the planned range: same rows, same times, though it started later. Rows go on
/// from there without a gap, also at another pace.
#[test]
fn a_restart_makes_the_same_rows_and_goes_on() {
    let mut before = rate(10, None);
    let committed = before.next_range(after(1_000_000)).unwrap().unwrap();
    let planned = before.next_range(after(2_000_000)).unwrap().unwrap();
    let expected = rows(&read(&mut before, &planned).unwrap());

    for rows_per_second in [10, 100, 1] {
        let mut source = Rate::open(&RateSource { rows_per_second, rows: None }, schema(), after(9_000_000));
        source.restore(std::slice::from_ref(&committed)).unwrap();
        assert_eq!(rows(&read(&mut source, &planned).unwrap()), expected);
        let next = source.next_range(after(4_000_000)).unwrap().unwrap();
        assert_eq!((next.start, next.end), (planned.end.clone(), count::to_offset(20 + 2 * rows_per_second)));
    }
}

/// A burst is made in batches and split for workers, and a receiver that has enough is not given more.
#[test]
fn a_burst_is_cut_up() {
    let mut source = rate(200_000, None);
    let range = source.next_range(after(1_000_000)).unwrap().unwrap();
    let splits = source.read(&range).unwrap();
    assert_eq!(splits.len(), 4);
    let mut collected = Collected { enough: Some(2), ..Collected::default() };
    splits.into_iter().next().unwrap().read(&mut collected).unwrap();
    assert_eq!(collected.batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [BATCH_ROWS, BATCH_ROWS]);
    let all = rows(&read(&mut source, &range).unwrap());
    assert!(all.iter().map(|(_, value)| *value).eq(0..200_000));
}
