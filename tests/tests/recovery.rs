//! A pipeline that is killed again and again must come out as one that never was, and one with many workers as one with a
//! single one.

use std::fmt::Write as _;

use tidemill_tests::Folder;

/// One file an epoch: the rows themselves, and statistics of each epoch, into files; a running total of everything in
/// the state.
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

/// Killed with SIGKILL again and again, each time at another point of another epoch, and started again until all is read:
/// files, statistics and totals are those of a run that nothing disturbed.
#[test]
fn a_killed_pipeline_goes_on_as_if_nothing_had_happened() {
    let undisturbed = folder(FILES);
    last_totals(&undisturbed, &[]);
    assert_eq!(undisturbed.output("rows").len(), FILES * ROWS);
    assert!(!undisturbed.output("statistics").is_empty());
    let killed = folder(FILES);
    let mut kills = 0;
    for round in 0.. {
        let mut running = killed.start(["run", "pipeline.toml"]);
        // Lines of the tables come between the steps of an epoch; another number of them is another instant.
        let lines = 1 + (round * 37) % 61;
        if (0..lines).any(|_| running.stdout_line().is_none()) {
            assert_eq!(running.finish().code, Some(0));
            break;
        }
        drop(running);
        kills += 1;
    }
    assert!(kills >= 5, "the pipeline ended before it was killed often: {kills} times");
    assert_eq!(killed.output("rows"), undisturbed.output("rows"));
    assert_eq!(killed.output("statistics"), undisturbed.output("statistics"));
    // The next epoch shows what the state holds.
    add_file(&undisturbed, FILES);
    add_file(&killed, FILES);
    assert_eq!(last_totals(&killed, &[]), last_totals(&undisturbed, &[]));
}

/// Floating point sums depend on the order of their summands; that order must not depend on how many workers there are, nor
/// on whether they are the same number after a restart.
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
