//! What the benchmarks share. Here: where their files live, how large they are, time, memory, and figures as ratios.
//!
//! `text` and `events` generate input, `pipeline` runs a manifest of `benches/pipelines`, `native` does the same jobs
//! by hand. Input is generated once under the target folder, from a fixed seed, so every run and every machine measures
//! the same bytes.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

pub(crate) mod events;
pub(crate) mod native;
pub(crate) mod pipeline;
pub(crate) mod random;
pub(crate) mod text;

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("host/ stands in the repository").to_owned()
}

/// Where generated input and checkpoints live.
pub(crate) fn scratch() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let folder = target.join("bench-data");
    fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

/// An empty folder, gone when it is dropped.
pub(crate) fn empty_folder() -> TempDir {
    tempfile::tempdir_in(scratch()).expect("the target folder can be written")
}

/// So much of a size, as `TIDEMILL_BENCH_SCALE` says: with 0.01 a benchmark shows in seconds whether it still works.
pub(crate) fn scaled(full: usize) -> usize {
    let scale: f64 = match env::var("TIDEMILL_BENCH_SCALE") {
        Ok(scale) => scale.parse().expect("TIDEMILL_BENCH_SCALE is a number such as 0.01"),
        Err(_) => 1.0,
    };
    ((full as f64 * scale) as usize).max(1)
}

/// A folder of generated files: `make` fills it, and a file beside it says from then on that it is whole.
pub(crate) fn generated(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let folder = scratch().join(name);
    let (files, done) = (folder.join("files"), folder.join("done"));
    if !done.exists() {
        fs::create_dir_all(&files).expect("the target folder can be written");
        make(&files);
        fs::write(done, "").expect("there is room");
    }
    files
}

/// The files of a folder, in the order in which they were generated.
pub(crate) fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a file").path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// The bytes of all files of a folder.
pub(crate) fn bytes_in(folder: &Path) -> u64 {
    files_in(folder).iter().map(|file| file.metadata().expect("a file").len()).sum()
}

/// How much of the disk these files take: less than their bytes where a file has holes.
pub(crate) fn room_in(folder: &Path) -> u64 {
    files_in(folder).iter().map(|file| file.metadata().expect("a file").blocks() * 512).sum()
}

/// The time, for measuring.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Ways to do the same, by name.
pub(crate) type Ways<'a> = [(&'a str, &'a mut dyn FnMut() -> Duration)];

/// Runs several ways to do the same in turn, `rounds` times, after one round of warming up. Returns each way's median.
pub(crate) fn medians(rounds: usize, ways: &mut Ways<'_>) -> Vec<Duration> {
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

/// Measures the ways and prints each beside the first, which is the native one. `rows` where rows are what counts.
pub(crate) fn compare(title: &str, rounds: usize, megabytes: f64, rows: Option<usize>, ways: &mut Ways<'_>) {
    let times = medians(rounds, ways);
    let native = times[0].as_secs_f64();
    println!("{title}");
    for ((name, _), time) in ways.iter().zip(&times) {
        let seconds = time.as_secs_f64();
        let rows = rows.map(|rows| format!("{:>6.2} M rows/s", rows as f64 / seconds / 1e6)).unwrap_or_default();
        let speed = megabytes / seconds;
        println!("  {name:<24} {seconds:>7.3} s {speed:>7.0} MB/s {rows}   {:>5.2} of native", native / seconds);
    }
}

/// The most memory this process has had, in KiB.
pub(crate) fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

/// The same, for people.
pub(crate) fn print_peak_memory() {
    println!("  peak memory of this process: {} MiB", peak_kib() / 1024);
}
