//! How much of the disk the file of a checkpoint takes: a pipeline has no end, so it may grow with what is kept, and
//! not with how long the pipeline has run.
//!
//! `TIDEMILL_EPOCHS=10000` runs so many epochs, and prints the sizes on the way.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arrow::array::RecordBatch;
use tidemill::{
    manifest,
    model::{PartName, ProcessingTime},
    operator::StoredRows,
    ports::{CheckpointError, CheckpointStore, Clock, StateReader},
    runtime::{Control, Decisions, Environment, Pipeline, Preparer},
    state::{RedbStore, Saved},
    wasm::Loader,
};

/// In an ordinary run: long enough for each bucket to be written anew several times.
const EPOCHS: u64 = 300;

/// How many times as large as what it keeps a file may be: the logs of the buckets hold up to twice as much, and half
/// of that again may be free.
const MOST: u64 = 3;

/// How many buckets a stage has, and what the log of each may hold before it is worth writing anew.
const BUCKETS: usize = 64;
const LOG: u64 = 16 << 10;

/// What else the file has, however little is kept: its header, its tables, and the notes of its free space.
const FILE: u64 = 4 << 20;

/// Twenty thousand keys with a long name each, some of which change in each epoch.
#[test]
fn running_totals() {
    let stages = r#"
        [transforms.named]
        inputs = ["ticks"]
        select = ["concat(repeat('key ', 50), cast((value * 7919) % 20000 as varchar)) as name", "value"]

        [transforms.totals]
        inputs = ["named"]
        group_by = ["name"]
        aggregates = { rows = "count(*)", sum = "sum(value)" }
    "#;
    Run { name: "totals", ticks: &["ticks"], rows: 1000, stages, sink: "totals", keyed: 1 }.stays_small();
}

/// Windows that the watermark closes: all that is kept is gone after a minute, and other rows are there.
#[test]
fn windows_that_close() {
    let stages = r#"
        [transforms.named]
        inputs = ["ticks"]
        select = ["timestamp", "concat(repeat('key ', 50), cast(value % 3000 as varchar)) as name"]

        [transforms.counts]
        inputs = ["named"]
        group_by = ["name"]
        window = { on = "timestamp", size = "30s" }
        aggregates = { rows = "count(*)" }
    "#;
    Run { name: "windows", ticks: &["ticks"], rows: 1000, stages, sink: "counts", keyed: 1 }.stays_small();
}

/// Rows of two streams that wait for each other for some seconds.
#[test]
fn a_join_of_streams() {
    let stages = r#"
        [transforms.asked]
        inputs = ["left"]
        select = ["timestamp", "value", "repeat('asked ', 50) as text"]

        [transforms.answered]
        inputs = ["right"]
        select = ["timestamp", "value", "repeat('answered ', 30) as text"]

        [transforms.pairs]
        inputs = ["asked", "answered"]
        join = { on = ["value"], within = "20s" }
    "#;
    Run { name: "join", ticks: &["left", "right"], rows: 300, stages, sink: "pairs", keyed: 1 }.stays_small();
}

/// Ten keys in three stages: hardly anything is kept, and what the file holds is the floor.
#[test]
fn little_state() {
    let stages = r#"
        [transforms.totals]
        inputs = ["ticks"]
        group_by = ["value % 10 as key"]
        aggregates = { rows = "count(*)", sum = "sum(value)" }

        [transforms.counts]
        inputs = ["ticks"]
        group_by = ["value % 10 as key"]
        window = { on = "timestamp", size = "10s" }
        aggregates = { rows = "count(*)" }
        [sinks.windows]
        inputs = ["counts"]
        type = "memory"
        max_rows = 10

        [transforms.batches]
        inputs = ["ticks"]
        group_by = ["value % 10 as key"]
        over = { batches = 3 }
        aggregates = { rows = "count(*)" }
        [sinks.recent]
        inputs = ["batches"]
        type = "memory"
        max_rows = 10
    "#;
    Run { name: "little", ticks: &["ticks"], rows: 20, stages, sink: "totals", keyed: 3 }.stays_small();
}

/// A pipeline, an epoch of which is a second.
struct Run<'a> {
    name: &'a str,
    /// Its sources, and how many rows each has in an epoch.
    ticks: &'a [&'a str],
    rows: u64,
    stages: &'a str,
    sink: &'a str,
    /// How many of its stages keep something.
    keyed: usize,
}

impl Run<'_> {
    /// The file holds at most so many times what was alive at its largest, and the floor.
    fn stays_small(&self) {
        let epochs = env::var("TIDEMILL_EPOCHS").map_or(EPOCHS, |epochs| epochs.parse().expect("a number"));
        let folder = tempfile::tempdir().expect("there is room for a checkpoint");
        let clock = Arc::new(Seconds(AtomicI64::new(1_800_000_000)));
        let mut pipeline = self.start(folder.path(), &clock);
        let (mut most, mut largest) = (0, 0);
        for epoch in 0..epochs {
            clock.0.fetch_add(1, Ordering::Relaxed);
            let progress = pipeline.run_epoch().expect("the disk is well").expect("there are rows in every second");
            let rows: u64 = progress.state_operators.iter().map(|stage| stage.num_rows_total).sum();
            most = rows.max(most);
            // What is alive can be looked at when nothing runs on the file.
            let ended = epoch + 1 == epochs;
            if (epoch + 1) % (epochs / 10).max(1) == 0 || ended {
                drop(pipeline);
                let file = fs::metadata(folder.path().join("checkpoint.redb")).expect("it is there");
                let (file, length) = (file.blocks() * 512, file.len());
                let live = live(folder.path()).expect("the checkpoint is whole");
                // What was alive at its largest: windows close between two looks.
                largest = largest.max(live * most / rows.max(1));
                let floor = FILE + LOG * (BUCKETS * self.keyed) as u64;
                println!("{}: after {} epochs {file} bytes, {length} long, {largest} alive", self.name, epoch + 1);
                assert!(file <= MOST * largest + floor, "{}: {file} bytes for {largest}", self.name);
                // In a long file most is a hole, which takes nothing, but copies of it may.
                assert!(length <= 2 * MOST * largest + floor, "{}: {length} long for {largest}", self.name);
                pipeline = self.start(folder.path(), &clock);
            }
        }
    }

    fn start(&self, folder: &Path, clock: &Arc<Seconds>) -> Pipeline {
        let mut text = format!("name = \"{}\"\n", self.name);
        for source in self.ticks {
            text += &format!("[sources.{source}]\ntype = \"rate\"\nrows_per_second = {}\n", self.rows);
            text += "watermark = { on = \"timestamp\", delay = \"5s\" }\n";
        }
        text += self.stages;
        text += &format!("[sinks.out]\ninputs = [\"{}\"]\ntype = \"memory\"\nmax_rows = 10\n", self.sink);
        let manifest = manifest::parse(&text, "pipeline.toml", folder).unwrap_or_else(|faults| panic!("{faults}"));
        let loader = Loader::new(None).expect("the engine starts");
        let prepared = Preparer { loader: &loader, report: &mut |_| () }.prepare(manifest);
        let prepared = prepared.unwrap_or_else(|error| panic!("{error}"));
        let environment = Environment {
            clock: Arc::clone(clock) as _,
            control: Arc::new(Control::default()),
            tables: Arc::default(),
            checkpoint: folder.to_owned(),
        };
        let store: Box<dyn CheckpointStore> = Box::new(RedbStore::open(folder).expect("the folder is ours"));
        Pipeline::start(environment, store, prepared, &Decisions::default()).expect("the pipeline fits")
    }
}

/// How many bytes the columns of all rows have that are kept now.
fn live(checkpoint: &Path) -> Result<u64, CheckpointError> {
    let saved = Saved::open(checkpoint)?;
    let committed = saved.committed()?.expect("an epoch is committed");
    let kept: Result<BTreeMap<&PartName, u64>, CheckpointError> = committed
        .layouts
        .iter()
        .map(|(stage, layout)| {
            let mut rows = StoredRows::new(stage, layout, usize::MAX);
            for bucket in saved.buckets(stage)? {
                let mut stored = Vec::new();
                saved.load_state(stage, bucket, &mut |batch| {
                    stored.push(batch);
                    Ok(())
                })?;
                rows.add(&stored).expect("the state fits its layout");
            }
            Ok((stage, rows.finish().expect("the state fits its layout").as_ref().map_or(0, bytes)))
        })
        .collect();
    Ok(kept?.into_values().sum())
}

fn bytes(rows: &RecordBatch) -> u64 {
    let columns = rows.columns().iter();
    columns.map(|column| column.to_data().get_slice_memory_size().expect("the columns are plain") as u64).sum()
}

/// A clock that is set by the second.
struct Seconds(AtomicI64);

impl Clock for Seconds {
    fn now(&self) -> ProcessingTime {
        ProcessingTime::from_micros(self.0.load(Ordering::Relaxed) * 1_000_000)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}
