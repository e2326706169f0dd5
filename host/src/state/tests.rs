//! What the store promises, tried on real files.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arrow::{
    array::{BooleanArray, Int64Array, RecordBatch, StringArray},
    compute::concat_batches,
    datatypes::{DataType, Field, Schema},
};
use redb::{StorageBackend, TableDefinition, backends::FileBackend};
use tempfile::TempDir;

use crate::{
    checkpoint::{EventTimes, StateKind, StateLayout},
    model::{Digest, EventTime, ProcessingTime, Watermark},
    ports::Offset,
    watermark::{EpochWatermarks, Policy},
};

use super::*;

const LINES: &str = "lines";
const COUNTS: &str = "counts";

fn committed_at(epoch: u64) -> Committed {
    Committed {
        sinks: vec![("out".into(), "out".to_owned())],
        epoch: Epoch::new(epoch),
        batch_time: ProcessingTime::from_micros(1_000_000 * epoch as i64),
        event_time: EventTimes {
            closed: Watermark::START,
            next: Watermark::behind(EventTime::from_micros(5_000_000), Duration::from_secs(1)),
            policy: Policy::Min,
            leads: vec![(LINES.into(), BTreeMap::new())],
        },
        manifest: Digest::of(b"manifest"),
        modules: vec![("words".to_owned(), Digest::of(b"words"))],
        layouts: vec![(
            COUNTS.into(),
            StateLayout {
                kind: StateKind::Key,
                keys: 1,
                key: "word: utf8".to_owned(),
                value: "count(*)".to_owned(),
                columns: String::new(),
                version: 0,
            },
        )],
    }
}

fn plan_of(epoch: u64) -> EpochPlan {
    EpochPlan {
        epoch: Epoch::new(epoch),
        ranges: vec![(LINES.into(), range(epoch, b"files"))],
        batch_time: ProcessingTime::from_micros(7),
        watermarks: EpochWatermarks::default(),
        seed: 42,
        manifest: Digest::of(b"manifest"),
        modules: vec![],
        tables: vec![("rates".to_owned(), Digest::of(b"rates"))],
    }
}

fn range(start: u64, detail: &[u8]) -> Range {
    Range {
        start: Offset(start.to_string()),
        end: Offset((start + 1).to_string()),
        cumulative: detail.is_empty(),
        detail: detail.to_vec(),
    }
}

fn words(words: &[&str]) -> RecordBatch {
    let columns = [("word", DataType::Utf8), ("count", DataType::Int64), ("gone", DataType::Boolean)];
    let fields: Vec<Field> = columns.map(|(name, data_type)| Field::new(name, data_type, false)).into();
    let counts: Int64Array = words.iter().map(|word| Some(word.len() as i64)).collect();
    let gone = BooleanArray::from(vec![false; words.len()]);
    let columns = vec![Arc::new(StringArray::from(words.to_vec())) as _, Arc::new(counts) as _, Arc::new(gone) as _];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn chunk(stage: &str, kind: ChunkKind, rows: Vec<RecordBatch>) -> StateChunk {
    StateChunk { stage: stage.into(), bucket: 3, kind, rows }
}

fn state(store: &RedbStore, stage: &str) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    store
        .load_state(&stage.into(), 3, &mut |batch| {
            batches.push(batch);
            Ok(())
        })
        .unwrap();
    batches
}

/// A store with two committed epochs and a plan for the third.
fn filled(dir: &Path) -> RedbStore {
    let mut store = RedbStore::open(dir).unwrap();
    for epoch in 0..2 {
        store.write_plan(&plan_of(epoch)).unwrap();
        let rows = vec![words(&["tide", "mill"]), words(&["epoch"])];
        let ranges = [(LINES.into(), range(epoch, b"files"))];
        store.commit(&committed_at(epoch), &ranges, &[chunk(COUNTS, ChunkKind::Delta, rows)], None).unwrap();
    }
    store.write_plan(&plan_of(2)).unwrap();
    store
}

/// What is kept was a lot and is little: the room is given back, unless somebody reads the file just then.
#[test]
fn what_was_free_is_given_back() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(file::NAME);
    let size = || RealHome.size(&path).unwrap();
    let mut store = RedbStore::open(dir.path()).unwrap();
    let mut epochs = 0..;
    let mut commit = |store: &mut RedbStore, rows: &[&str]| {
        let epoch = epochs.next().unwrap();
        store.write_plan(&plan_of(epoch)).unwrap();
        let chunks = [chunk(COUNTS, ChunkKind::Snapshot, vec![words(rows)])];
        store.commit(&committed_at(epoch), &[], &chunks, None).unwrap();
    };
    let long = "tide".repeat(1 << 20);
    let many: Vec<&str> = vec![&long; 8];
    commit(&mut store, &many);
    assert!(size() > 32 << 20);

    let savepoints = store.savepoints();
    let copying = shared(&savepoints.database);
    commit(&mut store, &["mill"]);
    assert!(size() > 32 << 20, "a file that is being read was compacted");
    drop(copying);
    commit(&mut store, &["mill"]);
    assert!(size() <= SPARE, "{} bytes for one word", size());
    assert_eq!(state(&store, COUNTS), [words(&["mill"])]);

    drop(store);
    drop(savepoints);
    assert_eq!(state(&RedbStore::open(dir.path()).unwrap(), COUNTS), [words(&["mill"])]);
}

fn assert_filled(store: &RedbStore) {
    assert_eq!(store.committed().unwrap(), Some(committed_at(1)));
    assert_eq!(store.plan().unwrap(), Some(plan_of(2)));
    assert_eq!(store.history(&LINES.into()).unwrap(), [range(0, b"files"), range(1, b"files")]);
    assert_eq!(store.sources_with_history().unwrap(), [PartName::from(LINES)]);
    let (first, second) = (words(&["tide", "mill"]), words(&["epoch"]));
    assert_eq!(state(store, COUNTS), [first.clone(), second.clone(), first, second]);
}

fn refusal<T>(result: Result<T, CheckpointError>) -> String {
    result.err().expect("the store should have refused").to_string()
}

/// A new pipeline has no past, and its checkpoint may lie in a folder whose parents are not there yet.
#[test]
fn a_new_checkpoint_is_empty() {
    let dir = TempDir::new().unwrap();
    let store = RedbStore::open(&dir.path().join("a/b/c")).unwrap();
    assert_eq!(store.committed().unwrap(), None);
    assert_eq!(store.plan().unwrap(), None);
    assert_eq!(store.history(&LINES.into()).unwrap(), []);
    assert_eq!(store.sources_with_history().unwrap(), []);
    let files: Vec<_> = fs::read_dir(dir.path().join("a/b/c")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, [file::NAME], "nothing temporary stays behind");
}

/// Whatever was committed is there after a clean stop, and after a crash at the very moment the call returned: a copy
/// of the file made while the store is still open is what a crash leaves.
#[test]
fn what_was_committed_survives() {
    let (dir, crash) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = filled(dir.path());
    assert_filled(&store);
    fs::copy(dir.path().join(file::NAME), crash.path().join(file::NAME)).unwrap();
    drop(store);
    assert_filled(&RedbStore::open(dir.path()).unwrap());
    assert_filled(&RedbStore::open(crash.path()).unwrap());
}

/// An epoch that fails in the middle of its commit leaves nothing: neither rows nor offsets.
#[test]
fn a_failed_commit_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let mut store = filled(dir.path());
    let failed = store.write(|transaction| {
        add_range(transaction, &LINES.into(), &range(2, b"files"))?;
        add_chunk(transaction, &chunk(COUNTS, ChunkKind::Snapshot, vec![words(&["lost"])]), &mut Change::default())?;
        transaction.open_table(tables::PLAN)?.remove(2)?;
        Err(Failure::Encode("made to fail".to_owned()))
    });
    assert!(refusal(failed).ends_with("made to fail"));
    assert_filled(&store);
}

/// A gap between epochs would be rows that nobody read; it must never get into the checkpoint.
#[test]
fn epochs_follow_one_another() {
    let dir = TempDir::new().unwrap();
    let mut store = filled(dir.path());
    assert!(refusal(store.commit(&committed_at(3), &[], &[], None)).contains("expects epoch 2 and was given epoch 3"));
    // The plan written along with a commit is that of the epoch after it, or the commit does not happen.
    let ahead = plan_of(4);
    assert!(
        refusal(store.commit(&committed_at(2), &[], &[], Some(&ahead)))
            .contains("expects epoch 3 and was given epoch 4")
    );
    assert_eq!(store.committed().unwrap(), Some(committed_at(1)));
    assert!(refusal(store.write_plan(&plan_of(1))).contains("expects epoch 2 and was given epoch 1"));
    store.commit(&committed_at(2), &[], &[], None).unwrap();
    assert_eq!(store.plan().unwrap(), None, "a commit removes the plan");
}

/// A snapshot stands for all of a stage's state, and of no other stage's. Without rows it empties the stage.
#[test]
fn a_snapshot_replaces_its_stage() {
    let dir = TempDir::new().unwrap();
    let mut store = filled(dir.path());
    let chunks = [
        chunk(COUNTS, ChunkKind::Snapshot, vec![words(&["all"])]),
        chunk("other", ChunkKind::Delta, vec![words(&["mine"])]),
    ];
    store.commit(&committed_at(2), &[], &chunks, None).unwrap();
    store.commit(&committed_at(3), &[], &[chunk(COUNTS, ChunkKind::Delta, vec![words(&["more"])])], None).unwrap();
    assert_eq!(state(&store, COUNTS), [words(&["all"]), words(&["more"])]);
    assert_eq!(state(&store, "other"), [words(&["mine"])]);

    store.commit(&committed_at(4), &[], &[chunk(COUNTS, ChunkKind::Snapshot, vec![])], None).unwrap();
    assert_eq!(state(&store, COUNTS), []);
    assert_eq!(state(&store, "other"), [words(&["mine"])]);
}

/// Large state is split so that a load never holds more than one value of it; no row may change place or get lost.
#[test]
fn large_state_is_split() {
    let dir = TempDir::new().unwrap();
    let mut store = RedbStore::open(dir.path()).unwrap();
    let long = "x".repeat(100_000);
    let numbered: Vec<String> = (0..250).map(|n| format!("{n}{long}")).collect();
    let rows = words(&numbered.iter().map(String::as_str).collect::<Vec<_>>());
    let given = vec![words(&["first"]), rows, words(&["last"])];
    store.commit(&committed_at(0), &[], &[chunk(COUNTS, ChunkKind::Delta, given.clone())], None).unwrap();

    let schema = given[0].schema();
    let loaded = state(&store, COUNTS);
    assert_eq!(concat_batches(&schema, &loaded).unwrap(), concat_batches(&schema, &given).unwrap());
    store
        .read(|transaction| {
            let table = transaction.open_table(tables::STATE)?;
            let sizes: Vec<usize> = table.iter()?.map(|entry| entry.unwrap().1.value().len()).collect();
            assert!(sizes.len() > 3 && sizes.iter().all(|size| *size < chunk::VALUE_BYTES + (64 << 10)), "{sizes:?}");
            Ok(())
        })
        .unwrap();
}

/// Ranges that are not cumulative are a source's whole memory and are kept in order; of those that are, only the last
/// says anything.
#[test]
fn history_keeps_what_a_source_needs() {
    let dir = TempDir::new().unwrap();
    let mut store = RedbStore::open(dir.path()).unwrap();
    let (files, socket) = (PartName::from("files"), PartName::from("socket"));
    for epoch in 0..12 {
        let ranges = [(files.clone(), range(epoch, b"list")), (socket.clone(), range(epoch, b""))];
        store.commit(&committed_at(epoch), &ranges, &[], None).unwrap();
    }
    assert_eq!(store.history(&files).unwrap(), (0..12).map(|epoch| range(epoch, b"list")).collect::<Vec<_>>());
    assert_eq!(store.history(&socket).unwrap(), [range(11, b"")]);
    assert_eq!(store.history(&"file".into()).unwrap(), [], "a name that begins another is not that other");
}

/// A byte that flipped on the disk is reported with its table and key, whichever value it is in.
#[test]
fn a_flipped_byte_is_found() {
    let dir = TempDir::new().unwrap();
    let mut store = filled(dir.path());
    let flip = |value: &[u8]| {
        let mut value = value.to_vec();
        *value.last_mut().unwrap() ^= 1;
        value
    };
    store
        .write(|transaction| {
            let mut plans = transaction.open_table(tables::PLAN)?;
            let value = flip(plans.get(2)?.unwrap().value());
            plans.insert(2, value.as_slice())?;
            let mut ranges = transaction.open_table(tables::RANGES)?;
            let value = flip(ranges.get((LINES, 1))?.unwrap().value());
            ranges.insert((LINES, 1), value.as_slice())?;
            let mut state = transaction.open_table(tables::STATE)?;
            let value = flip(state.get((COUNTS, 3, 0))?.unwrap().value());
            state.insert((COUNTS, 3, 0), value.as_slice())?;
            Ok(())
        })
        .unwrap();
    assert!(refusal(store.plan()).contains("value `2` of table `plan`: its checksum does not match"));
    assert!(refusal(store.history(&LINES.into())).contains("value `lines/1` of table `ranges`"));
    let error = refusal(store.load_state(&COUNTS.into(), 3, &mut |_| Ok(())));
    assert!(error.contains("is damaged: value `counts/3/0` of table `state`: its checksum does not match"), "{error}");
    assert!(error.ends_with("restore a savepoint, or start anew with another --checkpoint"), "{error}");

    store
        .write(|transaction| {
            transaction.open_table(tables::COMMITTED)?.insert((), b"abc".as_slice())?;
            Ok(())
        })
        .unwrap();
    assert!(refusal(store.committed()).contains("of table `committed`: 3 bytes are too few"));
}

/// Rows that wait are planned with the commit before: after it the next plan is there, and the old one is not.
#[test]
fn a_plan_can_come_with_the_commit_before() {
    let dir = TempDir::new().unwrap();
    let mut store = filled(dir.path());
    store.commit(&committed_at(2), &[], &[], Some(&plan_of(3))).unwrap();
    drop(store);
    let store = RedbStore::open(dir.path()).unwrap();
    assert_eq!((store.committed().unwrap(), store.plan().unwrap()), (Some(committed_at(2)), Some(plan_of(3))));
}

/// A value or a file of a later version must be refused, not misread.
#[test]
fn later_versions_are_refused() {
    let dir = TempDir::new().unwrap();
    let mut store = filled(dir.path());
    let mut value = envelope::encode(&committed_at(1)).unwrap();
    value[4] = 9;
    envelope::seal(&mut value);
    store
        .write(|transaction| {
            transaction.open_table(tables::COMMITTED)?.insert((), value.as_slice())?;
            transaction.open_table(tables::META)?.insert(tables::FORMAT_KEY, tables::FORMAT + 1)?;
            Ok(())
        })
        .unwrap();
    assert!(refusal(store.committed()).contains("its encoding has version 9"));
    drop(store);
    let expected = format!("has format {}, and this tidemill reads format {}", tables::FORMAT + 1, tables::FORMAT);
    assert!(refusal(RedbStore::open(dir.path())).contains(&expected));
}

/// A process that is killed while it makes a checkpoint leaves one without a name, as large as the state may be. The
/// next one that holds the folder clears it away, and nothing else.
#[test]
fn what_a_killed_process_has_left_is_cleared_away() {
    let dir = TempDir::new().unwrap();
    drop(filled(dir.path()));
    fs::write(dir.path().join(".checkpoint-x7"), "half of one").unwrap();
    fs::write(dir.path().join("notes"), "somebody's").unwrap();
    assert_filled(&RedbStore::open(dir.path()).unwrap());
    let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort_unstable();
    assert_eq!(names, [file::NAME, "notes"]);
}

/// Two processes on one checkpoint would both believe to be the pipeline.
#[test]
fn one_process_at_a_time() {
    let dir = TempDir::new().unwrap();
    let store = RedbStore::open(dir.path()).unwrap();
    assert!(refusal(RedbStore::open(dir.path())).contains("is in use by another process"));
    drop(store);
    RedbStore::open(dir.path()).unwrap();
}

/// Files that are no checkpoint are refused by name and left as they are.
#[test]
fn foreign_files_are_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(file::NAME);
    for content in [b"".as_slice(), b"redb", b"not a database at all, but rather longer than a header"] {
        fs::write(&path, content).unwrap();
        let error = refusal(RedbStore::open(dir.path()));
        assert!(error.contains(path.to_str().unwrap()) && error.contains("another --checkpoint"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }

    fs::remove_file(&path).unwrap();
    let foreign = Database::create(&path).unwrap();
    write(&foreign, |transaction| {
        transaction.open_table(TableDefinition::<u64, u64>::new("meta"))?.insert(1, 1)?;
        Ok(())
    })
    .unwrap();
    drop(foreign);
    assert!(refusal(RedbStore::open(dir.path())).contains("is a redb file, but not a checkpoint of tidemill"));
}

/// A disk that ran full, a copy that stopped half-way, a sector gone bad: every one an error, none a panic, and never
/// a store that opens with something missing.
#[test]
fn damaged_files_are_refused() {
    let dir = TempDir::new().unwrap();
    drop(filled(dir.path()));
    let path = dir.path().join(file::NAME);
    let whole = fs::read(&path).unwrap();
    let refused = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        let opened = RedbStore::open(dir.path());
        match &opened {
            Ok(store) => assert_filled(store),
            Err(error) => assert!(error.to_string().contains("is damaged"), "{error}"),
        }
        opened.is_err()
    };
    for length in (0..whole.len()).step_by(1000) {
        assert!(refused(&whole[..length]), "cut to {length} of {} bytes", whole.len());
    }
    // A page that is not in use may hold anything.
    let pages = whole.len() / 4096;
    let noticed = (0..pages).filter(|page| {
        let mut content = whole.clone();
        content[page * 4096..][..4096].fill(255);
        refused(&content)
    });
    assert!(noticed.count() > 5, "of {pages} pages");
}

/// A disk that fails in mid-commit: the error says so, nothing goes on as if nothing had happened, and a new start
/// finds the last committed epoch.
#[test]
fn a_failing_disk_stops_the_store_until_it_is_opened_again() {
    #[derive(Debug)]
    struct Failing(FileBackend, Arc<AtomicBool>);

    impl Failing {
        fn check(&self) -> Result<(), std::io::Error> {
            if self.1.load(Ordering::SeqCst) { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    impl StorageBackend for Failing {
        fn len(&self) -> Result<u64, std::io::Error> {
            self.0.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
            self.0.read(offset, out)
        }
        fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
            self.check()?;
            self.0.set_len(len)
        }
        fn sync_data(&self) -> Result<(), std::io::Error> {
            self.check()?;
            self.0.sync_data()
        }
        fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
            self.check()?;
            self.0.write(offset, data)
        }
    }

    let dir = TempDir::new().unwrap();
    drop(filled(dir.path()));
    let path = dir.path().join(file::NAME);
    let full = Arc::new(AtomicBool::new(false));
    let disk = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let backend = Failing(FileBackend::new(disk).unwrap(), full.clone());
    let mut store = RedbStore::of(Database::builder().create_with_backend(backend).unwrap(), path);

    full.store(true, Ordering::SeqCst);
    let lost = [chunk(COUNTS, ChunkKind::Snapshot, vec![words(&["lost"])])];
    let error = refusal(store.commit(&committed_at(2), &[], &lost, None));
    assert!(error.contains("cannot be read or written") && error.contains("start the pipeline again"), "{error}");
    full.store(false, Ordering::SeqCst);
    let error = refusal(store.commit(&committed_at(2), &[], &[], None));
    assert!(error.contains("an earlier read or write failed"), "{error}");
    drop(store);
    assert_filled(&RedbStore::open(dir.path()).unwrap());
}
