//! What the benchmarks share: generated input, a pipeline run from a manifest, and figures as ratios.
//!
//! Input is generated once under the target folder, from a fixed seed, so every run and every machine measures the same bytes.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::{
    fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tidemill::{
    manifest,
    model::Epoch,
    ports::PluginLoader,
    runtime::{Control, Environment, Observer, Pipeline, Prepared, Preparer, Progress, RunError, SystemClock, drive},
    sink::MemoryTables,
    state::RedbStore,
    wasm::Loader,
};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("host/ stands in the repository").to_owned()
}

/// Where generated input and checkpoints live.
pub(crate) fn scratch() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("bench-data")
}

/// SplitMix64: the same numbers everywhere.
pub(crate) struct Random(u64);

impl Random {
    /// Numbers from a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }
}

/// Text of words with English-like lengths, the frequent ones frequent as in Zipf's law: `files` files of `file_bytes` in
/// a folder, lines of about 80 characters.
pub(crate) fn text(name: &str, files: usize, file_bytes: usize, distinct: usize) -> PathBuf {
    let folder = scratch().join(format!("{name}-{files}x{file_bytes}-{distinct}"));
    if folder.join("done").exists() {
        return folder.join("text");
    }
    fs::create_dir_all(folder.join("text")).expect("the target folder can be written");
    let mut random = Random::new(42);
    let words: Vec<String> = (0..distinct).map(|rank| word(&mut random, rank)).collect();
    for file in 0..files {
        let path = folder.join("text").join(format!("part-{file:03}.txt"));
        let mut out = BufWriter::new(fs::File::create(path).expect("the folder is there"));
        let (mut written, mut column) = (0, 0);
        while written < file_bytes {
            let word = &words[zipf(&mut random, distinct)];
            let end = if column + word.len() > 80 { b'\n' } else { b' ' };
            out.write_all(word.as_bytes()).and_then(|()| out.write_all(&[end])).expect("there is room");
            written += word.len() + 1;
            column = if end == b'\n' { 0 } else { column + word.len() + 1 };
        }
        out.write_all(b"\n").expect("there is room");
    }
    fs::write(folder.join("done"), "").expect("there is room");
    folder.join("text")
}

fn word(random: &mut Random, rank: usize) -> String {
    // Frequent words are short: 2 to 5 letters among the first hundred, up to 12 later.
    let longest = if rank < 100 { 4 } else { 10 };
    let letters = 2 + random.below(longest);
    let mut word: String = (0..letters).map(|_| (b'a' + random.below(26) as u8) as char).collect();
    word.push_str(&format!("{:x}", rank % 16));
    word
}

/// A rank by the inverse of Zipf's distribution with exponent 1, approximately.
fn zipf(random: &mut Random, n: usize) -> usize {
    let unit = (random.next() >> 11) as f64 / (1u64 << 53) as f64;
    ((n as f64).powf(unit) - 1.0) as usize
}

/// The bytes of all files of a folder.
pub(crate) fn bytes_in(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).expect("the folder is there");
    files.map(|file| file.and_then(|file| file.metadata()).expect("a file").len()).sum()
}

struct Silent {
    rows: u64,
    failed: Option<String>,
}

impl Observer for Silent {
    fn progress(&mut self, progress: &Progress) {
        self.rows += progress.num_input_rows;
        if std::env::var_os("TIDEMILL_BENCH_VERBOSE").is_some() {
            eprintln!("{}", serde_json::to_string(progress).expect("a report is plain data"));
        }
    }

    fn swapped(&mut self, _: &Prepared, _: Epoch) {}

    fn refused(&mut self, error: &RunError, _: Epoch) {
        self.failed = Some(error.to_string());
    }
}

/// A loader with a warm cache of compiled code.
pub(crate) fn loader() -> Loader {
    Loader::new(Some(scratch().join("compiled"))).expect("the engine starts")
}

/// Runs a pipeline from an empty checkpoint to its end. Returns how long it took from start to last commit, and its tables.
pub(crate) fn run(loader: &dyn PluginLoader, manifest: &str) -> (Duration, Arc<MemoryTables>) {
    let manifest = manifest::parse(manifest, "bench.toml", &root()).unwrap_or_else(|faults| panic!("{faults}"));
    let mut report = |line: &str| eprintln!("{line}");
    let prepared = Preparer { loader, report: &mut report }.prepare(manifest).unwrap_or_else(|error| panic!("{error}"));
    let checkpoint = tempfile::tempdir_in(scratch()).expect("the target folder can be written");
    let tables = Arc::new(MemoryTables::default());
    let environment = Environment {
        clock: Arc::new(SystemClock::start()),
        control: Arc::new(Control::default()),
        tables: Arc::clone(&tables),
        checkpoint: checkpoint.path().to_owned(),
    };
    let started = now();
    let store = RedbStore::open(checkpoint.path()).expect("a new checkpoint");
    let mut pipeline =
        Pipeline::start(environment, Box::new(store), prepared).unwrap_or_else(|error| panic!("{error}"));
    drive(&mut pipeline, &mut Silent { rows: 0, failed: None }).unwrap_or_else(|error| panic!("{error}"));
    (started.elapsed(), tables)
}

/// The time, for measuring.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Runs several ways to do the same in turn, `rounds` times, after one round of warming up. Returns each way's median.
pub(crate) fn medians(rounds: usize, ways: &mut [(&str, &mut dyn FnMut() -> Duration)]) -> Vec<Duration> {
    let mut times = vec![Vec::with_capacity(rounds); ways.len()];
    for round in 0..=rounds {
        for (at, (_, way)) in ways.iter_mut().enumerate() {
            let time = way();
            if round > 0 {
                times[at].push(time);
            }
        }
    }
    for of_way in &mut times {
        of_way.sort();
    }
    times.iter().map(|of_way| of_way[of_way.len() / 2]).collect()
}

/// The most memory this process has had, in MiB.
pub(crate) fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
