//! Stored changes as the rows that are left of them.

use arrow::{
    array::{BinaryBuilder, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray},
    util::pretty::pretty_format_batches,
};

use super::*;

fn layout(kind: StateKind, keys: u32) -> StateLayout {
    let (key, value) = ("word: utf8".to_owned(), "what is kept".to_owned());
    StateLayout { kind, keys, key, value, columns: String::new(), version: 0 }
}

fn times(micros: &[i64]) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros.to_vec()).with_timezone("UTC"))
}

fn text(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn numbers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn chunk(columns: &[(&str, ArrayRef)], gone: &[bool]) -> RecordBatch {
    let gone: ArrayRef = Arc::new(BooleanArray::from(gone.to_vec()));
    RecordBatch::try_from_iter(columns.iter().map(|(name, column)| (*name, Arc::clone(column))).chain([("gone", gone)]))
        .unwrap()
}

fn shown(kind: StateKind, keys: u32, buckets: &[Vec<RecordBatch>], most: usize) -> (u64, Vec<String>) {
    let mut rows = StoredRows::new(&"counts".into(), &layout(kind, keys), most);
    buckets.iter().for_each(|bucket| rows.add(bucket).unwrap());
    let keys = rows.keys();
    let Some(rows) = rows.finish().unwrap() else { return (keys, Vec::new()) };
    let table = pretty_format_batches(&[rows]).unwrap().to_string();
    let line =
        |line: &str| line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" ");
    (keys, table.lines().filter(|line| line.starts_with('|')).map(line).collect())
}

/// A later row replaces an earlier one, one that is gone is gone until it comes again, and the order is that of the
/// keys in whichever bucket they are.
#[test]
fn later_rows_replace_earlier_ones() {
    let words = |words: &[&str], counts: &[i64], gone: &[bool]| {
        chunk(&[("word", text(words)), ("count[0]", numbers(counts))], gone)
    };
    let one = vec![
        words(&["tide", "mill", "tide"], &[1, 1, 2], &[false; 3]),
        words(&["mill", "wheel"], &[0, 0], &[true, false]),
        words(&["wheel", "wheel"], &[0, 7], &[true, false]),
    ];
    let other = vec![words(&["sea", "mast"], &[4, 5], &[false; 2]), words(&["mast"], &[0], &[true])];
    let buckets = [one, Vec::new(), other];
    let all = ["word count[0]", "sea 4", "tide 2", "wheel 7"];
    assert_eq!(shown(StateKind::Key, 1, &buckets, 10), (3, all.map(str::to_owned).into()));
    assert_eq!(shown(StateKind::Key, 1, &buckets, 2), (3, all[..3].iter().map(|line| (*line).to_owned()).collect()));
    assert_eq!(shown(StateKind::Key, 1, &[], 2), (0, Vec::new()));
}

/// The same key lives in each of its windows by itself; a session is known by its start, whatever its end has become.
#[test]
fn spans_are_part_of_the_key() {
    let window = |starts: &[i64], counts: &[i64]| {
        let columns = [("window_start", times(starts)), ("word", text(&["a", "a"])), ("count[0]", numbers(counts))];
        vec![chunk(&columns, &[false, false])]
    };
    let expected = ["word window_start count[0]", "a 1970-01-01T00:00:00Z 2", "a 1970-01-01T00:00:05Z 1"];
    assert_eq!(
        shown(StateKind::Window, 1, &[window(&[5_000_000, 0], &[1, 2])], 9),
        (2, expected.map(str::to_owned).into())
    );

    let session = |end: i64, count: i64| {
        let span = [("window_start", times(&[0])), ("window_end", times(&[end]))];
        chunk(&[&span[..], &[("word", text(&["a"])), ("count[0]", numbers(&[count]))]].concat(), &[false])
    };
    let expected = ["word window_start window_end count[0]", "a 1970-01-01T00:00:00Z 1970-01-01T00:00:09Z 3"];
    let grown = vec![session(4_000_000, 1), session(9_000_000, 3)];
    assert_eq!(shown(StateKind::Session, 1, &[grown], 9), (1, expected.map(str::to_owned).into()));

    // A total over the windows of another part has their columns as its key.
    let total = [("window_start", times(&[0])), ("window_end", times(&[5])), ("count[0]", numbers(&[3]))];
    let (keys, rows) = shown(StateKind::Key, 2, &[vec![chunk(&total, &[false])]], 9);
    assert_eq!((keys, rows[0].as_str()), (1, "window_start window_end count[0]"));
}

/// Batches of a key, and rows of a join, have a number; a join's columns say whose they are.
#[test]
fn parts_of_a_key_are_told_apart() {
    let batch = |batch: i64, count: i64, gone: bool| {
        chunk(&[("batch", numbers(&[batch])), ("word", text(&["a"])), ("count[0]", numbers(&[count]))], &[gone])
    };
    let stored = vec![batch(0, 1, false), batch(1, 2, false), batch(0, 0, true), batch(1, 3, false)];
    assert_eq!(
        shown(StateKind::Batch, 1, &[stored], 9),
        (1, ["word batch count[0]", "a 1 3"].map(str::to_owned).into())
    );

    let flag = |flag: bool| -> ArrayRef { Arc::new(BooleanArray::from(vec![flag])) };
    let row = |right: bool, number: i64, matched: bool| {
        let own =
            [("right", flag(right)), ("number", numbers(&[number])), ("time", times(&[0])), ("matched", flag(matched))];
        let columns = [("user", text(&["u"])), ("0 user", text(&["u"])), ("1 price", numbers(&[9]))];
        chunk(&[&own[..], &columns].concat(), &[false])
    };
    let mut rows = StoredRows::new(&"joined".into(), &layout(StateKind::Side, 1), 9);
    rows.add(&[row(false, 7, false), row(true, 7, true), row(false, 7, true), row(false, 8, false)]).unwrap();
    let rows = rows.finish().unwrap().unwrap();
    assert_eq!(rows.num_rows(), 3);
    let names: Vec<_> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["user", "right", "number", "time", "matched", "left.user", "right.price"]);
}

/// All rows together are a group without a key.
#[test]
fn a_group_without_a_key_is_one_row() {
    let count = |count: i64| chunk(&[("count[0]", numbers(&[count]))], &[false]);
    assert_eq!(
        shown(StateKind::Key, 0, &[vec![count(1), count(5)]], 9),
        (1, vec!["count[0]".to_owned(), "5".to_owned()])
    );
}

/// A function's state is bytes, but when it goes and what it waits for is there to be read.
#[test]
fn timers_are_readable() {
    // Two timers as they are stored: event time 1 s, processing time 2 s.
    let stored = [vec![2, 0], vec![128, 137, 122], vec![1], vec![128, 146, 244, 1]].concat();
    let mut timers = BinaryBuilder::new();
    timers.append_value(stored);
    timers.append_null();
    let columns = [
        ("state", text(&["b", "a"])),
        ("state", Arc::new(BinaryArray::from(vec![&[1_u8, 255][..], &[]])) as ArrayRef),
        ("version", Arc::new(Int32Array::from(vec![1, 2]))),
        ("expires", times(&[3_000_000, 4_000_000])),
        ("timers", Arc::new(timers.finish())),
    ];
    let expected = [
        "key.state state version expires timers",
        "a 2 1970-01-01T00:00:04Z []",
        "b 01ff 1 1970-01-01T00:00:03Z [{clock: event time, at: 1970-01-01T00:00:01Z}, {clock: processing time, at: \
         1970-01-01T00:00:02Z}]",
    ];
    let rows = vec![chunk(&columns, &[false, false])];
    assert_eq!(shown(StateKind::Function, 1, &[rows], 9), (2, expected.map(str::to_owned).into()));
}

/// Fewer columns than the layout says are refused rather than shown as something else.
#[test]
fn foreign_columns_are_refused() {
    let mut rows = StoredRows::new(&"counts".into(), &layout(StateKind::Window, 1), 9);
    let error = rows.add(&[chunk(&[("name", text(&["a"]))], &[false])]).unwrap_err();
    assert!(error.to_string().contains("do not fit the key `word: utf8`"), "{error}");
}
