//! A pipeline with many workers must come out as one with a single one.

use std::fmt::Write as _;

use tidemill_tests::Folder;

/// The rows themselves, and statistics of each epoch, into files; a running total of everything in the state.
const PIPELINE: &str = r#"
name = "readings"
trigger = "available-now"

[sources.readings]
type = "files"
path = "in"
format = "json"
schema = { sensor = "utf8", value = "float64" }
max_files_per_trigger = 1

[transforms.batch]
inputs = ["readings"]
group_by = ["sensor"]
aggregates = { sum = "sum(value)", mean = "avg(value)", deviation = "stddev(value)" }
over = "batch"

[transforms.total]
inputs = ["readings"]
group_by = ["sensor"]
aggregates = { rows = "count(*)", sum = "sum(value)" }

[sinks.rows]
inputs = ["readings"]
type = "files"
path = "rows"
format = "json"

[sinks.statistics]
inputs = ["batch"]
type = "files"
path = "statistics"
format = "csv"

[sinks.totals]
inputs = ["total"]
type = "console"
mode = "complete"
rows = 1000
"#;

const FILES: usize = 40;

/// Of each file.
const ROWS: usize = 50;

/// A folder with this many files of readings. Their values are such that sums depend on the order of the summands.
fn folder(files: usize) -> Folder {
    let folder = Folder::with(PIPELINE);
    (0..files).for_each(|file| add_file(&folder, file));
    folder
}

fn add_file(folder: &Folder, file: usize) {
    let mut text = String::new();
    for row in 0..ROWS {
        let value = 1.0 / (1 + (file * 7919 + row * 104_729) % 9973) as f64;
        writeln!(text, r#"{{"sensor":"s{}","value":{value}}}"#, row % 7).expect("text grows");
    }
    folder.write(&format!("in/{file:03}.jsonl"), &text);
}

/// Runs what is left, and returns the last table of totals.
fn last_totals(folder: &Folder, arguments: &[&str]) -> Vec<String> {
    let finished = folder.call([&["run", "pipeline.toml"], arguments].concat());
    assert_eq!(finished.code, Some(0), "{}", finished.stderr());
    let last = finished.stdout.iter().rposition(|line| line.starts_with("Batch: ")).expect("there was an epoch");
    finished.stdout[last + 1..].to_vec()
}

/// Floating point sums depend on the order of their summands; that order must not depend on how many workers there are,
/// nor on whether they are the same number after a restart.
#[test]
fn any_number_of_workers_gives_the_same_bytes() {
    let all_at_once = ["--set", "trigger=once"];
    let run = |first: &str, second: &str| {
        let folder = folder(FILES);
        last_totals(&folder, &[&all_at_once[..], &["--workers", first]].concat());
        (FILES..FILES + 5).for_each(|file| add_file(&folder, file));
        let totals = last_totals(&folder, &[&all_at_once[..], &["--workers", second]].concat());
        (totals, folder.output("rows"), folder.output("statistics"))
    };
    let one = run("1", "1");
    assert!(one.1.len() == (FILES + 5) * ROWS && !one.2.is_empty());
    assert_eq!(run("2", "2"), one);
    assert_eq!(run("5", "3"), one);
}
