//! Bits flipped at random, everywhere: what a disk may do to a file without a word.

use std::{fs, path::Path, sync::Arc};

use arrow::{
    array::{BooleanArray, Int64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use tempfile::TempDir;

use super::*;
use crate::{
    checkpoint::{EventTimes, StateKind, StateLayout},
    model::{Digest, ProcessingTime, Watermark},
    ports::{CheckpointStore, ChunkKind, Offset, Range, StateChunk, StateReader},
    state::RedbStore,
    watermark::{EpochWatermarks, Policy},
};

const STAGES: [&str; 2] = ["counts", "visits"];
const BUCKETS: usize = 3;

/// redb's header: what it knows of the file, and of two commits.
const HEADER_BITS: usize = 8 * 320;

fn committed_at(epoch: u64) -> Committed {
    let layout = StateLayout {
        kind: StateKind::Key,
        keys: 1,
        key: "word: utf8".to_owned(),
        value: "count = count(*)".to_owned(),
        columns: String::new(),
        version: 0,
    };
    Committed {
        epoch: Epoch::new(epoch),
        batch_time: ProcessingTime::from_micros(1_000_000 * epoch as i64),
        event_time: EventTimes {
            closed: Watermark::START,
            next: Watermark::START,
            policy: Policy::Min,
            leads: Vec::new(),
        },
        manifest: Digest::of(b"manifest"),
        modules: Vec::new(),
        sinks: vec![("out".into(), String::new())],
        layouts: STAGES.map(|stage| (stage.into(), layout.clone())).into(),
    }
}

fn plan_of(epoch: u64) -> EpochPlan {
    EpochPlan {
        epoch: Epoch::new(epoch),
        ranges: vec![("lines".into(), range(epoch))],
        batch_time: ProcessingTime::from_micros(5),
        watermarks: EpochWatermarks::default(),
        seed: epoch,
        manifest: Digest::of(b"manifest"),
        modules: Vec::new(),
        tables: Vec::new(),
    }
}

fn range(epoch: u64) -> Range {
    let offset = |number: u64| Offset(number.to_string());
    Range { start: offset(epoch), end: offset(epoch + 1), cumulative: false, detail: vec![7; 300] }
}

fn words(seed: u64, rows: usize) -> RecordBatch {
    let fields = [("word", DataType::Utf8), ("count[0]", DataType::Int64), ("gone", DataType::Boolean)];
    let fields: Vec<Field> = fields.map(|(name, data_type)| Field::new(name, data_type, true)).into();
    let words: StringArray = (0..rows).map(|row| Some(format!("word {seed} {row}"))).collect();
    let counts: Int64Array = (0..rows as i64).map(Some).collect();
    let gone = BooleanArray::from(vec![false; rows]);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::new(words), Arc::new(counts), Arc::new(gone)])
        .unwrap()
}

/// A checkpoint of some epochs with small and large values, and a plan; its free pages hold what was there before.
fn filled(dir: &Path) -> RedbStore {
    let mut store = RedbStore::open(dir).unwrap();
    for epoch in 0..6 {
        store.write_plan(&plan_of(epoch)).unwrap();
        let chunks = STAGES.iter().flat_map(|stage| {
            (0..BUCKETS).map(move |bucket| StateChunk {
                stage: (*stage).into(),
                bucket,
                kind: if epoch == 3 { ChunkKind::Snapshot } else { ChunkKind::Delta },
                rows: vec![words(epoch + bucket as u64, 20 + 400 * bucket)],
            })
        });
        let ranges = [("lines".into(), range(epoch))];
        store.commit(&committed_at(epoch), &ranges, &chunks.collect::<Vec<_>>(), None).unwrap();
    }
    store.write_plan(&plan_of(6)).unwrap();
    store
}

/// Everything a start would read.
#[derive(Debug, PartialEq)]
struct Content {
    committed: Option<Committed>,
    plan: Option<EpochPlan>,
    history: Vec<Range>,
    state: Vec<RecordBatch>,
}

fn content(dir: &Path) -> Content {
    let saved = Saved::open(dir).unwrap_or_else(|error| panic!("{error}"));
    let mut state = Vec::new();
    for stage in STAGES {
        assert_eq!(saved.buckets(&stage.into()).unwrap(), (0..BUCKETS).collect::<Vec<_>>());
        for bucket in 0..BUCKETS {
            let mut take = |batch| {
                state.push(batch);
                Ok(())
            };
            saved.load_state(&stage.into(), bucket, &mut take).unwrap();
        }
    }
    Content {
        committed: saved.committed().unwrap(),
        plan: saved.plan().unwrap(),
        history: saved.store.history(&"lines".into()).unwrap(),
        state,
    }
}

fn verdict(dir: &Path) -> Verdict {
    Saved::verify(dir).unwrap_or_else(|error| panic!("{error}"))
}

fn flip(path: &Path, whole: &[u8], bit: usize) {
    let mut flipped = whole.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    fs::write(path, flipped).unwrap();
}

/// Flips one bit after the other, and returns how many were noticed. What is not noticed is not there for a reader
/// either.
fn flip_all(dir: &Path, bits: impl Iterator<Item = usize>) -> usize {
    let path = dir.join(file::NAME);
    let whole = fs::read(&path).unwrap();
    let before = content(dir);
    let mut noticed = 0;
    for bit in bits {
        flip(&path, &whole, bit);
        let verdict = Saved::verify(dir);
        let is_in_order = verdict.as_ref().is_ok_and(|verdict| verdict.damage.is_empty());
        match is_in_order {
            true => assert_eq!(content(dir), before, "bit {} of byte {} went unnoticed", bit % 8, bit / 8),
            false => noticed += 1,
        }
    }
    fs::write(&path, whole).unwrap();
    noticed
}

/// A checkpoint that nobody has touched is in order, whether its process ended well or was killed, and is as it was
/// afterwards.
#[test]
fn what_was_written_is_in_order() {
    let (dir, killed) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = filled(dir.path());
    // A copy made while the file is open is what a kill leaves.
    fs::copy(dir.path().join(file::NAME), killed.path().join(file::NAME)).unwrap();
    let error = Saved::verify(dir.path()).unwrap_err();
    assert!(matches!(&error, Unopened::InUse(_)), "{error}");
    drop(store);
    for dir in [dir.path(), killed.path()] {
        let before = fs::read(dir.join(file::NAME)).unwrap();
        let verdict = verdict(dir);
        assert_eq!(verdict.damage, []);
        assert_eq!((verdict.committed, verdict.planned), (Some(committed_at(5)), Some(Epoch::new(6))));
        assert_eq!(verdict.sources, [("lines".into(), 6)]);
        let rows: Vec<(u64, u64)> = verdict.stages.iter().map(|stage| (stage.values, stage.rows)).collect();
        assert_eq!(rows, [(12, 3 * (20 + 420 + 820)); 2]);
        content(dir);
        assert!(fs::read(dir.join(file::NAME)).unwrap() == before, "looking at it has changed it");
    }
}

/// The header has the most to lose, so every bit of it gets its turn.
#[test]
fn a_flipped_bit_of_the_header_is_found() {
    let (dir, killed) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = filled(dir.path());
    fs::copy(dir.path().join(file::NAME), killed.path().join(file::NAME)).unwrap();
    drop(store);
    assert!(flip_all(dir.path(), 0..HEADER_BITS) > 800);
    // This one says which of two commits is the newer. redb ends a file with two that hold the same, but after a kill
    // the other one is as whole, and one step older: nobody can know that it is not where the process was killed.
    let which_commit = 8 * 9;
    assert!(flip_all(killed.path(), (0..HEADER_BITS).filter(|bit| *bit != which_commit)) > 800);
}

/// Wherever a bit flips, either it is found or nobody reads it.
#[test]
fn a_flipped_bit_is_found() {
    let (dir, killed) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = filled(dir.path());
    fs::copy(dir.path().join(file::NAME), killed.path().join(file::NAME)).unwrap();
    drop(store);
    let bits = 8 * fs::metadata(dir.path().join(file::NAME)).unwrap().len() as usize;
    let lots = (1..=300_u64).map(|lot| (lot.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize % bits);
    assert!(flip_all(dir.path(), lots.clone()) > 30);
    assert!(flip_all(killed.path(), lots) > 30);
}

/// What a savepoint says of itself is checked too: no bit of it can flip without a word.
#[test]
fn a_flipped_bit_of_the_description_is_found() {
    let (dir, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    drop(filled(dir.path()));
    let to = place.path().join("kept");
    let made_at = ProcessingTime::from_micros(1_800_000_000_000_000);
    let description = Saved::open(dir.path()).unwrap().savepoint("counts", made_at, &to).unwrap();
    assert_eq!(Description::read(&to).unwrap(), Some(description));
    assert_eq!(verdict(&to).damage, []);
    let path = to.join("savepoint.json");
    let whole = fs::read(&path).unwrap();
    for bit in 0..8 * whole.len() {
        flip(&path, &whole, bit);
        assert!(Description::read(&to).is_err(), "bit {} of byte {} went unnoticed", bit % 8, bit / 8);
    }
    let places: Vec<String> = verdict(&to).damage.into_iter().map(|damage| damage.place).collect();
    assert_eq!(places, ["the description"]);
}

/// Each damaged value is named, and the others are still counted.
#[test]
fn damage_is_named() {
    let dir = TempDir::new().unwrap();
    drop(filled(dir.path()));
    let path = dir.path().join(file::NAME);
    let mut damaged = fs::read(&path).unwrap();
    let needle = b"word 7 800";
    let places: Vec<usize> =
        damaged.windows(needle.len()).enumerate().filter(|(_, at)| at == needle).map(|(at, _)| at).collect();
    assert!(places.len() >= 2, "{places:?}");
    places.iter().for_each(|place| damaged[*place] ^= 4);
    fs::write(&path, damaged).unwrap();
    let verdict = verdict(dir.path());
    let places: Vec<&str> = verdict.damage.iter().map(|damage| damage.place.as_str()).collect();
    let expected = ["the pages", "value `counts/2/11` of table `state`", "value `visits/2/11` of table `state`"];
    assert_eq!(places, expected, "{:?}", verdict.damage);
    assert_eq!(verdict.damage[1].reason, "its checksum does not match");
    assert!(matches!(Saved::open(dir.path()), Err(Unopened::Damaged(_))));
}

/// What is no checkpoint is told apart from one that is damaged.
#[test]
fn no_checkpoint_is_no_damage() {
    let dir = TempDir::new().unwrap();
    let error = Saved::verify(dir.path()).unwrap_err();
    assert!(
        matches!(&error, Unopened::Refused(_)) && error.to_string().contains("there is no checkpoint in"),
        "{error}"
    );
    fs::write(dir.path().join(file::NAME), "not a database, but rather longer than its header would be").unwrap();
    assert_eq!(verdict(dir.path()).damage.len(), 1);
    fs::write(dir.path().join(file::NAME), "").unwrap();
    assert!(matches!(Saved::verify(dir.path()), Err(Unopened::Damaged(_))));
}
