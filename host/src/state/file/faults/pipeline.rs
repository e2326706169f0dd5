//! The real epoch loop on a simulated disk, and what must be true after each start.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arrow::array::RecordBatch;

use super::{disk::SimDisk, input::Input, witness::Witness};
use crate::{
    manifest::SinkConnector,
    model::{Epoch, PartName, ProcessingTime, Watermark},
    operator::StoredRows,
    ports::{CheckpointError, CheckpointStore, Clock, Range, Sink, StateReader},
    runtime::{Control, Decisions, Environment, Pipeline, Prepared},
    sink::Files,
    state::RedbStore,
};

/// Where the checkpoint lies: none of these folders is there at first.
const CHECKPOINT: &str = "/pipelines/counts";

/// Where the sinks write.
const OUTPUT: [&str; 2] = ["/data/windows", "/data/recent"];

/// How many buckets a stage has.
const BUCKETS: usize = 64;

/// An epoch's output is cut into files of this size, so that many epochs have several.
const PIECE_BYTES: u64 = 200;

/// All files of a sink.
type Output = BTreeMap<String, Vec<u8>>;

/// What a pipeline does when nothing happens to it.
pub(super) struct Undisturbed {
    input: Input,
    /// What stands in the checkpoint after each epoch.
    standings: Vec<Standing>,
    /// By sink; nothing until the undisturbed run is over.
    output: Option<[Output; 2]>,
    /// How many operations on the disk it takes.
    pub(super) operations: u64,
}

/// What stands in a checkpoint, put so that it is the same in every run.
#[derive(Debug, PartialEq)]
struct Standing {
    /// The watermark that closed the last epoch, and the one for the next.
    watermarks: [Watermark; 2],
    history: Vec<Range>,
    state: Vec<(PartName, Option<RecordBatch>)>,
}

impl Undisturbed {
    /// Of an input of so many files. Once they are read, some more epochs close what is open.
    pub(super) fn run(files: u64) -> Self {
        let input = Input::new(files);
        let mut undisturbed = Undisturbed { input, standings: Vec::new(), output: None, operations: 0 };
        let disk = SimDisk::new();
        undisturbed.go_on(&disk, &Witness::default(), true, "undisturbed").expect("the disk is well");
        undisturbed.operations = disk.operations();
        undisturbed.output = Some(OUTPUT.map(|sink| disk.tree(Path::new(sink))));
        undisturbed.watch();
        undisturbed
    }

    /// Runs it once more and notes what stands in the checkpoint after each epoch.
    fn watch(&mut self) {
        let (disk, witness) = (SimDisk::new(), Witness::default());
        let store = RedbStore::open_in(&disk, Path::new(CHECKPOINT)).expect("the disk is well");
        let seen = store.second();
        let mut pipeline = self.start(&disk, &witness, store, true).expect("the disk is well");
        while pipeline.run_epoch().expect("the disk is well").is_some() {
            self.standings.push(Standing::read(&seen).expect("the disk is well"));
        }
    }

    /// How many epochs it takes.
    pub(super) fn epochs(&self) -> u64 {
        self.standings.len() as u64
    }

    /// Starts the pipeline on what a disk holds and runs it to its end, or to the first error. `story` is what happened
    /// to the disk before, and `ahead` says whether epochs may be planned with the commit of the one before.
    pub(super) fn go_on(&self, disk: &SimDisk, witness: &Witness, ahead: bool, story: &str) -> Result<(), String> {
        let store = RedbStore::open_in(disk, Path::new(CHECKPOINT)).map_err(|error| error.to_string())?;
        let next = self.check_checkpoint(&store, witness, story).map_err(|error| error.to_string())?;
        let planned = store.plan().map_err(|error| error.to_string())?.is_some();
        let mut pipeline = self.start(disk, witness, store, ahead)?;
        self.check_start(disk, witness, next.filter(|_| planned), story);
        while pipeline.run_epoch().map_err(|error| error.to_string())?.is_some() {}
        Ok(())
    }

    fn start(&self, disk: &SimDisk, witness: &Witness, store: RedbStore, ahead: bool) -> Result<Pipeline, String> {
        let wanted = self.input.wanted();
        let control = Control::default();
        if !ahead {
            // One that is about to stop plans nothing ahead.
            control.stop();
        }
        let environment = Environment {
            clock: Arc::new(Ticks::default()),
            control: Arc::new(control),
            tables: Arc::default(),
            checkpoint: CHECKPOINT.into(),
        };
        let sinks = sinks(disk, witness, &wanted);
        let store = Box::new(witness.store(store));
        Pipeline::start_with(environment, store, wanted, &Decisions::default(), sinks)
            .map_err(|error| error.to_string())
    }

    /// What a start finds in the checkpoint: the last epoch that was acknowledged or the one in flight, whole, and its
    /// plan if that was acknowledged. Returns the next epoch.
    fn check_checkpoint(
        &self,
        store: &RedbStore,
        witness: &Witness,
        story: &str,
    ) -> Result<Option<Epoch>, CheckpointError> {
        let mut told = witness.told();
        let committed = store.committed()?.map(|committed| committed.epoch);
        assert!(told.committed.allows(committed), "{story}: committed is {committed:?}, and told was {told:?}");
        let plan = store.plan()?;
        let next = committed.map_or(Epoch::FIRST, Epoch::next);
        assert!(told.planned.surely < Some(next) || plan.is_some(), "{story}: the plan of epoch {next} is gone");
        if let Some(plan) = plan {
            let (planned, with_commit) = &told.plans[&next];
            assert_eq!(plan, *planned, "{story}: this is not what was planned");
            told.starts.ahead += usize::from(*with_commit);
            told.planned.surely = Some(next);
        }
        if let Some(committed) = committed.filter(|_| self.output.is_some()) {
            let expected = &self.standings[committed.number() as usize];
            assert_eq!(Standing::read(store)?, *expected, "{story}: what stands in the checkpoint after {committed}");
        }
        told.committed.found(committed);
        Ok(Some(next))
    }

    /// What a reader of the output finds after a start; and how the start goes on.
    fn check_start(&self, disk: &SimDisk, witness: &Witness, planned: Option<Epoch>, story: &str) {
        let mut told = witness.told();
        let written = told.written.map(|known| known.surely);
        (0..OUTPUT.len()).for_each(|sink| self.check_output(disk, sink, written[sink], story));
        let have_it = written.iter().filter(|&&written| planned.is_some() && written == planned).count();
        match (planned, have_it) {
            (None, _) => told.starts.fresh += 1,
            (Some(_), 0) => told.starts.rerun += 1,
            (Some(_), 1) => told.starts.half += 1,
            (Some(_), _) => told.starts.suppressed += 1,
        }
    }

    /// All that is committed is there, and nothing else.
    fn check_output(&self, disk: &SimDisk, sink: usize, written: Option<Epoch>, story: &str) {
        // The undisturbed run itself has nothing to compare with until its end.
        let Some(output) = &self.output else { return };
        let mut found = disk.tree(Path::new(OUTPUT[sink]));
        found.remove("_tidemill/lock");
        let of_epoch = |name: &str| {
            let name = name.rsplit('/').next().expect("a path has a last part");
            let number = name.trim_start_matches("part-").split(['-', '.']).next().expect("a name has a first part");
            number.parse().ok().map(Epoch::new)
        };
        let expected = output[sink].iter().filter(|(name, _)| {
            let epoch = of_epoch(name);
            epoch.is_some() && epoch <= written
        });
        let expected: Output = expected.map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
        let place = OUTPUT[sink];
        assert_eq!(names(&found), names(&expected), "{story}: {place} up to {written:?}");
        assert!(found == expected, "{story}: a file of {place} up to {written:?} holds something else");
    }

    /// What must be there in the end: the same bytes, also if the power goes now.
    pub(super) fn check_end(&self, disk: &SimDisk, seed: u64, story: &str) {
        let last = Some(Epoch::new(self.epochs() - 1));
        for sink in 0..OUTPUT.len() {
            self.check_output(disk, sink, last, story);
            self.check_output(&disk.after_power_loss(seed), sink, last, story);
        }
    }
}

impl Standing {
    fn read(store: &RedbStore) -> Result<Self, CheckpointError> {
        let committed = store.committed()?.expect("an epoch is committed");
        let state = committed.layouts.iter().map(|(part, layout)| {
            let mut rows = StoredRows::new(part, layout, usize::MAX);
            for bucket in 0..BUCKETS {
                let mut stored = Vec::new();
                store.load_state(part, bucket, &mut |batch| {
                    stored.push(batch);
                    Ok(())
                })?;
                rows.add(&stored).expect("the state fits its layout");
            }
            Ok((part.clone(), rows.finish().expect("the state fits its layout")))
        });
        Ok(Standing {
            watermarks: [committed.event_time.closed, committed.event_time.next],
            history: store.history(&"lines".into())?,
            state: state.collect::<Result<_, CheckpointError>>()?,
        })
    }
}

/// The sinks of the pipeline on this disk.
fn sinks(disk: &SimDisk, witness: &Witness, wanted: &Prepared) -> Vec<Box<dyn Sink>> {
    let open = |(at, connector): (usize, &SinkConnector)| {
        let SinkConnector::Files(settings) = connector else { panic!("all sinks of the pipeline write files") };
        let mut sink = Files::on(Arc::new(disk.clone()), settings);
        sink.set_piece_bytes(PIECE_BYTES);
        witness.sink(at, sink)
    };
    wanted.manifest.sinks.iter().map(|spec| &spec.connector).enumerate().map(open).collect()
}

fn names(files: &Output) -> Vec<&String> {
    files.keys().collect()
}

/// A clock that is another one at each look: nothing that comes out may depend on it.
#[derive(Default)]
struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> ProcessingTime {
        ProcessingTime::from_micros(1_900_000_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}
