//! What a query sees between two commits.

use arrow::{
    array::{AsArray, Int64Array},
    datatypes::{DataType, Field, Int64Type},
};

use super::*;

fn schema(name: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(name, DataType::Int64, false)]))
}

fn rows(values: std::ops::Range<i64>) -> RecordBatch {
    RecordBatch::try_new(schema("n"), vec![Arc::new(Int64Array::from_iter_values(values))]).unwrap()
}

struct Setup {
    tables: MemoryTables,
    sink: Memory,
}

const NAME: &str = "out";

fn open(tables: MemoryTables, mode: OutputMode, max_rows: usize) -> Setup {
    let sink = Memory::new(tables.table(&PartName::from(NAME)), &MemorySink { max_rows }, mode);
    Setup { tables, sink }
}

impl Setup {
    fn epoch(&mut self, epoch: u64, batches: &[RecordBatch]) {
        self.sink.begin(Epoch::new(epoch), &schema("n")).unwrap();
        batches.iter().for_each(|batch| self.sink.write(batch).unwrap());
        self.sink.commit(CommitPermit::new(Epoch::new(epoch))).unwrap();
    }

    fn table(&self) -> Snapshot {
        self.tables.get(&PartName::from(NAME)).unwrap().snapshot()
    }

    fn values(&self) -> Vec<i64> {
        let values = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
        self.table().rows.iter().flat_map(values).collect()
    }
}

/// Append and update add rows; complete replaces them. An epoch without rows counts too.
#[test]
fn modes() {
    for mode in [OutputMode::Append, OutputMode::Update] {
        let mut setup = open(MemoryTables::default(), mode, 100);
        setup.epoch(0, &[rows(0..2), rows(2..3)]);
        setup.epoch(1, &[rows(3..4)]);
        assert_eq!(setup.values(), [0, 1, 2, 3]);
    }
    let mut setup = open(MemoryTables::default(), OutputMode::Complete, 100);
    setup.epoch(0, &[rows(0..2)]);
    setup.epoch(1, &[rows(5..6)]);
    assert_eq!(setup.values(), [5]);
    setup.epoch(2, &[]);
    assert_eq!((setup.values(), setup.table().epoch), (vec![], Some(Epoch::new(2))));
}

/// Until the commit nothing is seen, and of what is given up nothing ever.
#[test]
fn nothing_is_seen_before_the_commit() {
    let mut setup = open(MemoryTables::default(), OutputMode::Append, 100);
    setup.epoch(0, &[rows(0..1)]);
    setup.sink.begin(Epoch::new(1), &schema("n")).unwrap();
    setup.sink.write(&rows(7..9)).unwrap();
    assert_eq!(setup.values(), [0]);
    setup.sink.abort();
    setup.epoch(1, &[rows(1..2)]);
    assert_eq!(setup.values(), [0, 1]);
}

/// A pipeline runs for ever, the table must not grow for ever: the newest rows stay, and it says how many went.
#[test]
fn only_the_newest_rows_are_kept() {
    let mut setup = open(MemoryTables::default(), OutputMode::Append, 5);
    setup.epoch(0, &[rows(0..4)]);
    setup.epoch(1, &[rows(4..7)]);
    assert_eq!((setup.values(), setup.table().dropped), (vec![2, 3, 4, 5, 6], 2));
    setup.epoch(2, &[rows(7..100), rows(100..103)]);
    assert_eq!((setup.values(), setup.table().dropped), (vec![98, 99, 100, 101, 102], 98));

    let mut setup = open(MemoryTables::default(), OutputMode::Complete, 2);
    setup.epoch(0, &[rows(0..9)]);
    setup.epoch(1, &[rows(0..3)]);
    assert_eq!((setup.values(), setup.table().dropped), (vec![1, 2], 1));
}

/// The marker lives as long as the table: unknown after a start, the last epoch after a swap in one process. A swap may
/// also bring other columns; rows of the old ones cannot stay in the table.
#[test]
fn the_marker_and_a_swap() {
    let mut setup = open(MemoryTables::default(), OutputMode::Append, 10);
    assert_eq!(setup.sink.recover().unwrap(), Marker::Unknown);
    setup.epoch(4, &[rows(0..1)]);
    let mut setup = open(setup.tables, OutputMode::Append, 10);
    assert_eq!(setup.sink.recover().unwrap(), Marker::At(Epoch::new(4)));
    assert_eq!(setup.values(), [0]);
    setup.sink.begin(Epoch::new(5), &schema("other")).unwrap();
    setup.sink.commit(CommitPermit::new(Epoch::new(5))).unwrap();
    assert_eq!((setup.values(), setup.table().schema), (vec![], schema("other")));
    assert!(setup.tables.get(&PartName::from("none")).is_none());
}
