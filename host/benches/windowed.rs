//! Five million events through event-time windows, checkpoint on, against native programs on one thread: errors counted
//! by minute and written to files, and temperatures over sliding windows into a table.

mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use arrow::{
    array::{AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Float64Type, TimeUnit, TimestampMillisecondType},
};
use support::{
    bytes_in, compare, empty_folder, events, files_in,
    native::{self, Temperatures},
    now,
    pipeline::{loader, run},
    print_peak_memory,
};
use tidemill::{ports::PluginLoader, sink::MemoryTables};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;

fn main() {
    let loader = loader();
    let events = events::events();
    let megabytes = bytes_in(&events.folder) as f64 / 1e6;
    println!("{} events, {megabytes:.0} MB of JSON, checkpoint on", events.rows);
    let rows = Some(events.rows);

    check_errors(&loader, &events.folder);
    let mut ways: [(&str, &mut dyn FnMut() -> Duration); 3] = [
        ("native, one thread", &mut || native_errors(&events.folder, empty_folder().path())),
        ("tidemill, one worker", &mut || errors(&loader, &events.folder, 1, empty_folder().path())),
        ("tidemill, two workers", &mut || errors(&loader, &events.folder, 2, empty_folder().path())),
    ];
    compare("errors of each sensor and minute, append, files", ROUNDS, megabytes, rows, &mut ways);

    let settings = |workers: usize| from(&events.folder, workers);
    check_temperatures(&run(&loader, "sliding", &settings(2)).tables, &native::sliding(&events.folder));
    let mut ways: [(&str, &mut dyn FnMut() -> Duration); 3] = [
        ("native, one thread", &mut || {
            let started = now();
            std::hint::black_box(native::sliding(&events.folder));
            started.elapsed()
        }),
        ("tidemill, one worker", &mut || run(&loader, "sliding", &settings(1)).time),
        ("tidemill, two workers", &mut || run(&loader, "sliding", &settings(2)).time),
    ];
    compare("average, min and max over 10 minutes, every 5, update, table", ROUNDS, megabytes, rows, &mut ways);
    print_peak_memory();
}

fn from(events: &Path, workers: usize) -> Vec<String> {
    vec![format!("sources.events.path={}", events.display()), format!("workers={workers}")]
}

fn errors(loader: &dyn PluginLoader, events: &Path, workers: usize, output: &Path) -> Duration {
    let mut settings = from(events, workers);
    settings.push(format!("sinks.out.path={}", output.display()));
    run(loader, "error-count", &settings).time
}

fn native_errors(events: &Path, output: &Path) -> Duration {
    let started = now();
    native::error_count(events, &output.join("errors.csv"));
    started.elapsed()
}

/// Both write the same rows, or the figures mean nothing.
fn check_errors(loader: &dyn PluginLoader, events: &Path) {
    let (ours, natives) = (empty_folder(), empty_folder());
    errors(loader, events, 2, ours.path());
    native_errors(events, natives.path());
    let (ours, natives) = (rows_of_csv(ours.path()), rows_of_csv(natives.path()));
    assert!(!natives.is_empty(), "the watermark has passed no window: TIDEMILL_BENCH_SCALE is too small");
    for (row, times) in &natives {
        assert_eq!(ours.get(row), Some(times), "how often the row {row} was written");
    }
    assert_eq!(ours.len(), natives.len(), "rows");
}

/// The rows of all files of a folder, each with how often it is there.
fn rows_of_csv(folder: &Path) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    let is_csv = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "csv");
    for file in files_in(folder).into_iter().filter(is_csv) {
        let text = fs::read_to_string(file).expect("it was just written");
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("window_start,window_end,sensor,count"));
        lines.for_each(|line| *rows.entry(line.to_owned()).or_default() += 1);
    }
    rows
}

/// The last row of each window and sensor is as the native program has it. Sums of floating-point numbers depend on
/// their order, so averages may differ in the last digits.
fn check_temperatures(tables: &MemoryTables, expected: &Temperatures) {
    let snapshot = tables.get(&"out".into()).expect("the sink has run").snapshot();
    assert_eq!(snapshot.dropped, 0, "the table holds all rows");
    let mut found = Temperatures::new();
    snapshot.rows.iter().for_each(|batch| take_temperatures(batch, &mut found));
    for (key, &[avg, min, max]) in expected {
        let &[found_avg, found_min, found_max] = found.get(key).unwrap_or_else(|| panic!("no row for {key:?}"));
        assert!((found_avg - avg).abs() <= avg.abs() * 1e-9, "{key:?}: average {found_avg}, not {avg}");
        assert_eq!((found_min, found_max), (min, max), "lowest and highest of {key:?}");
    }
    assert_eq!(found.len(), expected.len(), "windows and sensors");
}

fn take_temperatures(batch: &RecordBatch, found: &mut Temperatures) {
    let column = |name: &str| batch.column_by_name(name).unwrap_or_else(|| panic!("the rows have no column {name}"));
    let starts = cast(column("window_start"), &DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())));
    let starts = starts.expect("a timestamp is a timestamp");
    let starts = starts.as_primitive::<TimestampMillisecondType>();
    let sensors = column("sensor").as_string::<i32>();
    let [avg, min, max] = ["avg", "min", "max"].map(|name| column(name).as_primitive::<Float64Type>());
    for row in 0..batch.num_rows() {
        let key = (starts.value(row), sensors.value(row).to_owned());
        found.insert(key, [avg.value(row), min.value(row), max.value(row)]);
    }
}
