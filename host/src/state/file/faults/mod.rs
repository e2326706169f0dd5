//! What a power loss, a kill and a failing disk may do to the checkpoint and the files sink, and what must be true
//! afterwards.
//!
//! `disk` is a file system in memory: `content` and `names` know what of it survives. `layers` shows it to the store
//! and the sinks, `pipeline` runs the real epoch loop on both, `witness` stands between and notes what was promised,
//! and the tests are in `power` and `storage`.

mod content;
mod dice;
mod disk;
mod input;
mod layers;
mod names;
mod pipeline;
mod power;
mod storage;
mod witness;

use std::{
    path::Path,
    sync::{Arc, RwLock},
};

use super::{NAME, open_in};
use crate::{
    ports::CheckpointError,
    state::{RedbStore, space::Space},
};

/// Little enough for the file of a short run to be compacted again and again.
const SPARE: u64 = 128 << 10;

impl RedbStore {
    /// Opens the checkpoint in this folder of a simulated disk.
    fn open_in(disk: &disk::SimDisk, dir: &Path) -> Result<Self, CheckpointError> {
        let path = dir.join(NAME);
        match open_in(disk, dir, &path) {
            Ok(database) => {
                let database = Arc::new(RwLock::new(database));
                Ok(RedbStore { database, path, home: Arc::new(disk.clone()), space: Space::new(SPARE) })
            }
            Err(failure) => Err(failure.at(&path)),
        }
    }

    /// Another handle to the same checkpoint.
    fn second(&self) -> Self {
        RedbStore {
            database: Arc::clone(&self.database),
            path: self.path.clone(),
            home: Arc::clone(&self.home),
            space: self.space.clone(),
        }
    }
}

/// How often a test draws its lot: `TIDEMILL_FAULTS=10` makes it ten times as often as in the ordinary run.
fn times(ordinary: usize) -> usize {
    let factor = std::env::var("TIDEMILL_FAULTS")
        .ok()
        .map(|factor| factor.parse::<usize>().expect("TIDEMILL_FAULTS is a number"));
    ordinary * factor.unwrap_or(1)
}

/// Runs the work for each number below `count`, on all cores.
fn each(count: usize, work: impl Fn(usize) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    work(number);
                }
            });
        }
    });
}
