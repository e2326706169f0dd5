//! What state costs: an epoch that changes a part of many keys, opening a checkpoint with many keys, and the room on
//! disk after many small epochs.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use support::{
    bytes_in, empty_folder, now,
    pipeline::{environment, loader, prepare, start},
    print_peak_memory, room_in, scaled,
};
use tempfile::TempDir;
use tidemill::{
    model::ProcessingTime,
    ports::{Clock, PluginLoader},
    runtime::{Pipeline, Progress, SystemClock},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A key and two results of 8 bytes each: the least that a key takes.
const BYTES_PER_KEY: usize = 24;
/// Of each kind of epoch, as many are run, and their median counts.
const EPOCHS: usize = 5;

fn main() {
    let loader = loader();
    println!("state, key and two results of 8 bytes each");
    println!(
        "       keys   loading   live state    on disk   changing 100,000 (commit)   1,000,000 (commit)   opening"
    );
    for keys in [1_000_000, 3_000_000, 10_000_000] {
        many_keys(&loader, scaled(keys));
    }
    print_peak_memory();
    many_epochs(&loader, scaled(1_000_000), scaled(1000), scaled(10_000));
}

fn many_keys(loader: &dyn PluginLoader, keys: usize) {
    let mut total = Total::new(loader, keys);
    let started = now();
    // In pieces, so that no epoch holds more than a million keys beside the state.
    let mut left = keys;
    while left > 0 {
        let some = left.min(scaled(1_000_000));
        total.change(some);
        left -= some;
    }
    let loading = started.elapsed();
    let few = total.median(scaled(100_000));
    let many = total.median(scaled(1_000_000));
    let on_disk = room_in(total.checkpoint.path());
    let opening = total.reopen(loader);
    let epoch = |(epoch, commit): (f64, f64)| format!("{epoch:>6.0} ms ({commit:>5.0} ms)");
    println!(
        "{keys:>11} {:>7.2} s {:>9.0} MB {:>7.0} MB {:>27} {:>20} {:>7.3} s",
        loading.as_secs_f64(),
        megabytes(keys * BYTES_PER_KEY),
        megabytes(on_disk as usize),
        epoch(few),
        epoch(many),
        opening.as_secs_f64()
    );
}

fn many_epochs(loader: &dyn PluginLoader, keys: usize, changed: usize, epochs: usize) {
    let mut total = Total::new(loader, keys);
    total.change(keys);
    let live = megabytes(keys * BYTES_PER_KEY);
    println!("room on disk, {keys} keys ({live:.0} MB), each epoch changes {changed}");
    let (mut most, mut next, started) = (0, 10, now());
    for epoch in 1..=epochs {
        total.change(changed);
        let on_disk = room_in(total.checkpoint.path());
        most = most.max(on_disk);
        if epoch == next || epoch == epochs {
            let (now, most) = (megabytes(on_disk as usize), megabytes(most as usize));
            let each = started.elapsed().as_secs_f64() * 1000.0 / epoch as f64;
            let length = megabytes(bytes_in(total.checkpoint.path()) as usize);
            println!(
                "  after {epoch:>6} epochs {now:>7.0} MB   at most {most:>7.0} MB, {:>5.2} times live state   {length:>7.0} MB long   \
                 {each:>6.2} ms an epoch",
                most / live
            );
            next *= 10;
        }
    }
}

/// A running total of a number of keys, in a checkpoint of its own.
struct Total {
    checkpoint: TempDir,
    clock: Arc<Hand>,
    settings: Vec<String>,
    keys: usize,
    pipeline: Option<Pipeline>,
}

impl Total {
    fn new(loader: &dyn PluginLoader, keys: usize) -> Self {
        let clock = Arc::new(Hand { micros: AtomicI64::new(0), system: SystemClock::start() });
        let group_by = format!("transforms.totals.group_by=['(value * 7919) % {keys} as key']");
        let mut total = Total { checkpoint: empty_folder(), clock, settings: vec![group_by], keys, pipeline: None };
        total.start(loader);
        total
    }

    fn start(&mut self, loader: &dyn PluginLoader) {
        let prepared = prepare(loader, "state", &self.settings);
        let environment = environment(Arc::clone(&self.clock) as Arc<dyn Clock>, self.checkpoint.path());
        self.pipeline = Some(start(environment, prepared));
    }

    /// An epoch that changes as many keys, each a row: the source makes a row each microsecond.
    fn change(&mut self, keys: usize) -> Progress {
        self.clock.micros.fetch_add(keys as i64, Ordering::Relaxed);
        let pipeline = self.pipeline.as_mut().expect("it has been started");
        let progress = pipeline.run_epoch().unwrap_or_else(|error| panic!("{error}")).expect("rows are due");
        assert_eq!(progress.num_input_rows, keys as u64, "rows of an epoch");
        assert_eq!(progress.state_operators[0].num_rows_updated, keys as u64, "keys that an epoch changed");
        progress
    }

    /// How many milliseconds an epoch takes that changes as many keys, and its commit alone.
    fn median(&mut self, keys: usize) -> (f64, f64) {
        let reports: Vec<Progress> = (0..EPOCHS).map(|_| self.change(keys)).collect();
        let median = |millis: fn(&Progress) -> f64| {
            let mut all: Vec<f64> = reports.iter().map(millis).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        (median(|report| report.duration_ms.trigger_execution), median(|report| report.duration_ms.commit_offsets))
    }

    /// How long the pipeline takes to start from its checkpoint.
    fn reopen(&mut self, loader: &dyn PluginLoader) -> Duration {
        self.pipeline = None;
        let started = now();
        self.start(loader);
        let opening = started.elapsed();
        let after = self.change(1);
        assert_eq!(after.state_operators[0].num_rows_total, self.keys as u64, "keys that came back");
        opening
    }
}

/// A clock moved by hand, so that each epoch has as many rows as wanted. Durations are real.
struct Hand {
    micros: AtomicI64,
    system: SystemClock,
}

impl Clock for Hand {
    fn now(&self) -> ProcessingTime {
        ProcessingTime::from_micros(self.micros.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        self.system.elapsed()
    }
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
