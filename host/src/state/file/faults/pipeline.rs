//! A small pipeline on store and sink: the steps of the epoch loop, and what must be true after each start.
//!
//! Its rows say how often each word has come so far, so a state that was lost, doubled or from another epoch shows in the
//! output.

use std::{collections::BTreeMap, ops::AddAssign, path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Int64Type, Schema},
};

use super::{dice::mix, disk::SimDisk};
use crate::{
    checkpoint::{Committed, EpochPlan, EventTimes, Recovery, SinkAction, decide},
    manifest::{FilesSink, OutputFormat},
    model::{Digest, Epoch, PartName, ProcessingTime, Watermark},
    ports::{
        CheckpointError, CheckpointStore, ChunkKind, Marker, Offset, Range, Sink, SinkError, StateChunk, StateReader,
    },
    sink::Files,
    state::RedbStore,
    watermark::{EpochWatermarks, Policy},
};

/// Where the checkpoint lies: none of these folders is there at first.
const CHECKPOINT: &str = "/pipelines/counts";

/// Where the output goes.
const OUTPUT: &str = "/data/out";

const SOURCE: &str = "lines";
const STAGE: &str = "counts";
const SINK: &str = "out";

/// An epoch's output is cut into files of this size, so that most epochs have several.
const PIECE_BYTES: u64 = 200;

/// How often each word has come.
type Counts = BTreeMap<String, i64>;

/// What is known of a step: the last epoch whose step has returned, and the last one whose step was begun.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    surely: Option<Epoch>,
    perhaps: Option<Epoch>,
}

impl Known {
    fn allows(self, found: Option<Epoch>) -> bool {
        self.surely <= found && found <= self.perhaps
    }
}

/// What the world outside has been told, which no crash may take back.
#[derive(Debug, Default)]
pub(super) struct Told {
    planned: Known,
    written: Known,
    committed: Known,
    pub(super) starts: Starts,
}

/// How many starts went on in which way: a test that comes to one of them only is no test.
#[derive(Debug, Default)]
pub(super) struct Starts {
    pub(super) fresh: usize,
    pub(super) rerun: usize,
    pub(super) suppressed: usize,
}

impl AddAssign for Starts {
    fn add_assign(&mut self, other: Starts) {
        self.fresh += other.fresh;
        self.rerun += other.rerun;
        self.suppressed += other.suppressed;
    }
}

/// What a pipeline does when nothing happens to it.
pub(super) struct Undisturbed {
    epochs: u64,
    /// The counts after each epoch.
    counts: Vec<Counts>,
    /// All files of the output.
    output: BTreeMap<String, Vec<u8>>,
    /// How many operations on the disk it takes.
    pub(super) operations: u64,
}

impl Undisturbed {
    pub(super) fn run(epochs: u64) -> Self {
        let mut counts = vec![Counts::new()];
        for epoch in 0..epochs {
            let mut next = counts.last().expect("one is there from the start").clone();
            count(&mut next, epoch);
            counts.push(next);
        }
        let mut undisturbed = Undisturbed { epochs, counts, output: BTreeMap::new(), operations: 0 };
        let disk = SimDisk::new();
        undisturbed.go_on(&disk, &mut Told::default(), "undisturbed").expect("the disk is well");
        undisturbed.operations = disk.operations();
        undisturbed.output = disk.tree(Path::new(OUTPUT));
        undisturbed
    }

    fn counts_after(&self, epoch: Option<Epoch>) -> &Counts {
        &self.counts[epoch.map_or(0, |epoch| epoch.number() as usize + 1)]
    }

    /// Starts the pipeline on what a disk holds and runs it to its end, or to the first error. `story` is what happened
    /// to the disk before.
    pub(super) fn go_on(&self, disk: &SimDisk, told: &mut Told, story: &str) -> Result<(), String> {
        let said = |error: CheckpointError| error.to_string();
        let mut store = RedbStore::open_in(disk, Path::new(CHECKPOINT)).map_err(said)?;
        let committed = store.committed().map_err(said)?.map(|committed| committed.epoch);
        assert!(told.committed.allows(committed), "{story}: committed is {committed:?}, and told was {told:?}");
        let plan = store.plan().map_err(said)?;
        let next = committed.map_or(Epoch::FIRST, Epoch::next);
        assert!(told.planned.surely < Some(next) || plan.is_some(), "{story}: the plan of epoch {next} is gone");
        assert!(plan.iter().all(|plan| *plan == plan_of(next)), "{story}: {plan:?} is not what was planned");
        let mut counts = load(&store).map_err(said)?;
        assert_eq!(&counts, self.counts_after(committed), "{story}: state after {committed:?}");
        let history = store.history(&SOURCE.into()).map_err(said)?;
        let expected: Vec<Range> = (0..next.number()).map(range_of).collect();
        assert_eq!(history, expected, "{story}: history after {committed:?}");
        // What a start has found is acted upon, so it must not be taken back either.
        told.committed = Known { surely: committed, perhaps: committed };

        let settings = FilesSink { path: OUTPUT.into(), format: OutputFormat::Text };
        let mut sink = Files::on(Arc::new(disk.clone()), &settings);
        sink.set_piece_bytes(PIECE_BYTES);
        let marker = sink.recover().map_err(|error| error.to_string())?;
        let written = match marker {
            Marker::At(epoch) => Some(epoch),
            _ => None,
        };
        assert!(told.written.allows(written), "{story}: the sink is at {written:?}, and told was {told:?}");
        told.written = Known { surely: written, perhaps: written };
        self.check_output(disk, written, story);

        let recovery = decide(committed, plan.map(|plan| plan.epoch), &[(SINK.into(), marker)]);
        let (mut epoch, mut action) = match recovery.unwrap_or_else(|error| panic!("{story}: {error}")) {
            Recovery::Fresh { next } => (next, None),
            Recovery::Rerun { epoch, sinks } => (epoch, Some(sinks[0])),
        };
        match action {
            None => told.starts.fresh += 1,
            Some(SinkAction::Write) => told.starts.rerun += 1,
            Some(SinkAction::Suppress) => told.starts.suppressed += 1,
        }
        while epoch.number() < self.epochs {
            let plan = plan_of(epoch);
            if action.is_none() {
                told.planned.perhaps = Some(epoch);
                store.write_plan(&plan).map_err(said)?;
                told.planned.surely = Some(epoch);
            }
            let touched = count(&mut counts, epoch.number());
            if action != Some(SinkAction::Suppress) {
                let written = write(&mut sink, epoch, &touched);
                told.written.perhaps = Some(epoch);
                written.and_then(|()| sink.commit(plan.permit())).map_err(|error| {
                    sink.abort();
                    error.to_string()
                })?;
                told.written.surely = Some(epoch);
            }
            told.committed.perhaps = Some(epoch);
            let ranges = [(PartName::from(SOURCE), range_of(epoch.number()))];
            store.commit(&committed_at(&plan), &ranges, &[change(epoch, &touched, &counts)], None).map_err(said)?;
            told.committed.surely = Some(epoch);
            action = None;
            epoch = epoch.next();
        }
        Ok(())
    }

    /// What a reader of the output finds after a start: all of what is committed and nothing else.
    fn check_output(&self, disk: &SimDisk, written: Option<Epoch>, story: &str) {
        let mut found = disk.tree(Path::new(OUTPUT));
        found.remove("_tidemill/lock");
        let of_epoch = |name: &str| {
            let name = name.rsplit('/').next().expect("a path has a last part");
            let number = name.trim_start_matches("part-").split(['-', '.']).next().expect("a name has a first part");
            number.parse().ok().map(Epoch::new)
        };
        let expected = self.output.iter().filter(|(name, _)| {
            let epoch = of_epoch(name);
            epoch.is_some() && epoch <= written
        });
        let expected: BTreeMap<_, _> = expected.map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
        // The undisturbed run itself has nothing to compare with until its end.
        if !self.output.is_empty() {
            assert_eq!(names(&found), names(&expected), "{story}: output up to {written:?}");
            assert!(found == expected, "{story}: a file of the output up to {written:?} holds something else");
        }
    }

    /// What must be there in the end: the same bytes, also if the power goes now.
    pub(super) fn check_end(&self, disk: &SimDisk, seed: u64, story: &str) {
        let last = Some(Epoch::new(self.epochs - 1));
        self.check_output(disk, last, story);
        self.check_output(&disk.after_power_loss(seed), last, story);
    }
}

fn names(files: &BTreeMap<String, Vec<u8>>) -> Vec<&String> {
    files.keys().collect()
}

/// Counts the words of an epoch, and says which they were. Some epochs have none.
fn count(counts: &mut Counts, epoch: u64) -> Vec<(String, i64)> {
    let words = if epoch % 6 == 4 { 0 } else { 3 + mix(epoch) % 12 };
    let words = (0..words).map(|row| format!("word-{}", mix(epoch * 100 + row) % 40));
    let mut words: Vec<String> = words.inspect(|word| *counts.entry(word.clone()).or_default() += 1).collect();
    words.sort();
    words.dedup();
    words.into_iter().map(|word| (word.clone(), counts[&word])).collect()
}

/// Writes an epoch's rows in two batches.
fn write(sink: &mut Files, epoch: Epoch, rows: &[(String, i64)]) -> Result<(), SinkError> {
    let schema = Arc::new(Schema::new(vec![Field::new("value", DataType::Utf8, false)]));
    sink.begin(epoch, &schema)?;
    for rows in rows.chunks(rows.len() / 2 + 1) {
        let rows = StringArray::from_iter_values(rows.iter().map(|(word, count)| format!("{epoch} {word} {count}")));
        sink.write(&RecordBatch::try_new(schema.clone(), vec![Arc::new(rows)]).expect("one column of text"))?;
    }
    Ok(())
}

fn range_of(epoch: u64) -> Range {
    let offset = |epoch: u64| Offset(epoch.to_string());
    Range { start: offset(epoch), end: offset(epoch + 1), cumulative: false, detail: vec![epoch as u8; 40] }
}

fn plan_of(epoch: Epoch) -> EpochPlan {
    EpochPlan {
        epoch,
        ranges: vec![(SOURCE.into(), range_of(epoch.number()))],
        batch_time: ProcessingTime::from_micros(mix(epoch.number()) as i64 >> 20),
        watermarks: EpochWatermarks::default(),
        seed: mix(epoch.number()),
        manifest: Digest::of(b"manifest"),
        modules: Vec::new(),
        tables: Vec::new(),
    }
}

fn committed_at(plan: &EpochPlan) -> Committed {
    Committed {
        epoch: plan.epoch,
        batch_time: plan.batch_time,
        event_time: EventTimes {
            closed: Watermark::START,
            next: Watermark::START,
            policy: Policy::Min,
            leads: Vec::new(),
        },
        manifest: plan.manifest,
        modules: Vec::new(),
        sinks: vec![(SINK.into(), String::new())],
        layouts: Vec::new(),
    }
}

/// An epoch's change of the state: the keys it touched, or from time to time all of them.
fn change(epoch: Epoch, touched: &[(String, i64)], counts: &Counts) -> StateChunk {
    let all = epoch.number() % 5 == 3;
    let rows = if all { counts.clone().into_iter().collect() } else { touched.to_vec() };
    let kind = if all { ChunkKind::Snapshot } else { ChunkKind::Delta };
    StateChunk { stage: STAGE.into(), bucket: 0, kind, rows: vec![state_rows(&rows)] }
}

fn state_rows(rows: &[(String, i64)]) -> RecordBatch {
    let words = StringArray::from_iter_values(rows.iter().map(|(word, _)| word));
    let notes = StringArray::from_iter_values(rows.iter().map(|(word, _)| note_on(word)));
    let counts = Int64Array::from_iter_values(rows.iter().map(|(_, count)| *count));
    let gone = BooleanArray::from(vec![false; rows.len()]);
    let columns: [(&str, ArrayRef); 4] =
        [("word", Arc::new(words)), ("note", Arc::new(notes)), ("count", Arc::new(counts)), ("gone", Arc::new(gone))];
    RecordBatch::try_from_iter(columns).expect("the columns are of one length")
}

/// What makes the state of some words many pages long.
fn note_on(word: &str) -> String {
    let length = if word.ends_with('7') { 9000 } else { word.len() };
    word.chars().cycle().take(length).collect()
}

fn load(store: &RedbStore) -> Result<Counts, CheckpointError> {
    let mut counts = Counts::new();
    store.load_state(&STAGE.into(), 0, &mut |rows| {
        let (words, notes) = (rows.column(0).as_string::<i32>(), rows.column(1).as_string::<i32>());
        for row in 0..rows.num_rows() {
            assert_eq!(notes.value(row), note_on(words.value(row)));
            counts.insert(words.value(row).to_owned(), rows.column(2).as_primitive::<Int64Type>().value(row));
        }
        Ok(())
    })?;
    Ok(counts)
}
