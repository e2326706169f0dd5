//! Checkpoints in the hands of people: savepoints, what is in them, whether they are whole, and state under a new name.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;
use tidemill_tests::{Finished, Folder, Running};

/// One file an epoch, and one more that closes what is over: a running total, windows, and the rows themselves.
const READINGS: &str = r#"
name = "readings"
trigger = "available-now"

[sources.readings]
type = "files"
path = "in"
format = "json"
schema = { at = "timestamp", sensor = "utf8", value = "int64" }
max_files_per_trigger = 1
watermark = { on = "at", delay = "10s" }

[transforms.total]
inputs = ["readings"]
group_by = ["sensor"]
aggregates = { rows = "count(*)", mean = "avg(value)" }

[transforms.minutes]
inputs = ["readings"]
group_by = ["sensor"]
window = { on = "at", size = "1m" }
aggregates = { most = "max(value)" }

[sinks.rows]
inputs = ["readings"]
type = "files"
path = "rows"
format = "json"

[sinks.minutes_out]
inputs = ["minutes"]
type = "files"
path = "minutes"
format = "json"

[sinks.totals]
inputs = ["total"]
type = "console"
mode = "complete"
"#;

/// An epoch every few milliseconds, for as long as it is let run.
const TICKS: &str = r#"
name = "ticks"
trigger = { every = "5ms" }

[sources.ticks]
type = "rate"
rows_per_second = 10000

[transforms.total]
inputs = ["ticks"]
group_by = ["value % 100 as part"]
aggregates = { rows = "count(*)" }

[sinks.out]
inputs = ["total"]
type = "memory"
mode = "update"
"#;

const CHECKPOINT: &str = ".tidemill/readings";

fn add_file(folder: &Folder, file: usize) {
    let mut text = String::new();
    for row in 0..50 {
        let (sensor, value) = (row % 3, file * 100 + row);
        writeln!(text, r#"{{"at":"2026-01-31T08:{file:02}:{row:02}Z","sensor":"s{sensor}","value":{value}}}"#)
            .expect("text grows");
    }
    folder.write(&format!("in/{file:03}.jsonl"), &text);
}

/// The pipeline in a folder, which has run these files.
fn readings(files: usize) -> Folder {
    let folder = Folder::with(READINGS);
    (0..files).for_each(|file| add_file(&folder, file));
    folder.run(&[]).fine();
    folder
}

/// The manifest with other places for the sinks.
fn elsewhere(folder: &Folder) {
    let manifest = READINGS.replace(r#"path = "rows""#, r#"path = "rows2""#);
    folder.write("pipeline.toml", manifest.replace(r#"path = "minutes""#, r#"path = "minutes2""#));
}

fn state(folder: &Folder, place: &str) -> Value {
    let shown = folder.call(["state", place, "--format", "json"]).fine();
    serde_json::from_str(&shown.stdout()).expect("it is JSON")
}

/// What is kept, without where and when: two checkpoints with the same are the same to their pipelines.
fn kept(folder: &Folder, place: &str) -> Value {
    state(folder, place)["stages"].clone()
}

fn last_table(finished: &Finished) -> Vec<String> {
    let last = finished.stdout.iter().rposition(|line| line.starts_with("Batch: ")).expect("there was an epoch");
    finished.stdout[last + 1..].to_vec()
}

/// A run that starts from a savepoint and reads what has come since, in a new place, comes to what the pipeline itself
/// came to, and each row that came since is written once.
#[test]
fn a_run_from_a_savepoint_goes_on_as_the_pipeline_did() {
    let folder = readings(4);
    folder.call(["savepoint", "pipeline.toml", "--to", "kept/after-four"]).fine();
    let saved = kept(&folder, CHECKPOINT);
    assert_eq!(kept(&folder, "kept/after-four"), saved);
    let description = fs::read_to_string(folder.path("kept/after-four/savepoint.json")).expect("it describes itself");
    let description: Value = serde_json::from_str(&description).expect("it is JSON");
    assert_eq!((&description["pipeline"], &description["epoch"]), (&"readings".into(), &4.into()));

    let before = (folder.output("rows").len(), folder.output("minutes").len());
    (4..7).for_each(|file| add_file(&folder, file));
    let went_on = folder.run(&[]).fine();
    elsewhere(&folder);
    let restored = folder.call(["run", "pipeline.toml", "--from", "kept/after-four", "--checkpoint", "other"]).fine();
    assert!(
        restored.stderr().contains("starting from a savepoint of `readings` after epoch 4"),
        "{}",
        restored.stderr()
    );
    assert_eq!(last_table(&restored), last_table(&went_on));
    assert_eq!(kept(&folder, "other"), kept(&folder, CHECKPOINT));
    assert_eq!(folder.output("rows2"), folder.output("rows")[before.0..]);
    assert_eq!(folder.output("minutes2"), folder.output("minutes")[before.1..]);
    // The sinks belong to the new checkpoint now, and a later start goes on with both.
    add_file(&folder, 7);
    folder.call(["run", "pipeline.toml", "--checkpoint", "other"]).fine();
    assert_eq!(folder.output("rows2").len(), 4 * 50);
    assert_eq!(kept(&folder, "kept/after-four"), saved, "a savepoint stays as it is");
}

/// A savepoint that is older than its sinks would write rows twice, and one over a checkpoint that is there would lose
/// it: both are refused with what to do, and nothing is left behind that would be in the way of doing it.
#[test]
fn a_start_from_a_savepoint_is_refused_where_rows_would_double() {
    let folder = readings(2);
    folder.call(["savepoint", "pipeline.toml", "--to", "older"]).fine();
    add_file(&folder, 2);
    folder.run(&[]).fine();
    let from = |checkpoint: &str| folder.call(["run", "pipeline.toml", "--from", "older", "--checkpoint", checkpoint]);
    from(CHECKPOINT).refused(2, &["exists already, and --from begins a new one", "leave out --from"]);
    from("new").refused(1, &["stands after epoch 2, and sink `rows` does not", "give the sink a new place"]);
    assert_eq!(fs::read_dir(folder.path("new")).expect("it was begun").count(), 0);
    folder.call(["run", "pipeline.toml", "--checkpoint", "older"]).refused(2, &["is a savepoint", "--from older"]);
    folder.call(["run", "pipeline.toml", "--from", "in", "--checkpoint", "new"]).refused(2, &["no checkpoint in `in`"]);
    folder.call(["savepoint", "pipeline.toml", "--to", "older"]).refused(2, &["never overwrites anything"]);

    elsewhere(&folder);
    from("new").fine();
    assert_eq!(kept(&folder, "new"), kept(&folder, CHECKPOINT));
}

/// The sinks a savepoint belongs to may go on with it where nothing came in between: then nothing is written twice
/// either.
#[test]
fn sinks_may_go_on_with_a_savepoint() {
    let folder = readings(2);
    folder.call(["savepoint", CHECKPOINT, "--to", "last"]).fine();
    fs::remove_dir_all(folder.path(CHECKPOINT)).expect("it is lost");
    add_file(&folder, 2);
    folder.call(["run", "pipeline.toml", "--from", "last"]).fine();
    assert_eq!(folder.output("rows").len(), 3 * 50);
}

/// A running pipeline, which has begun to report its epochs.
fn ticking(folder: &Folder) -> Running {
    let mut running = folder.start(["run", "pipeline.toml", "--progress", "json"]);
    assert!(running.stdout_line().is_some(), "no epoch");
    running
}

/// How many rows are counted in the state of the ticks.
fn ticks(folder: &Folder, savepoint: &str) -> (u64, u64) {
    let state = state(folder, savepoint);
    assert!(state["planned"].is_null(), "an epoch under way is none of a savepoint's");
    let rows = state["stages"][0]["rows"].as_array().expect("a list").iter();
    (state["epoch"].as_u64().expect("a number"), rows.map(|row| row["rows[0]"].as_u64().expect("a number")).sum())
}

/// Savepoints of a pipeline in full run stand exactly between two epochs: what is counted in the state is what the
/// source had read by then. The pipeline runs on, and takes one request after another.
#[test]
fn a_savepoint_of_a_running_pipeline_stands_between_two_epochs() {
    let folder = Folder::with(TICKS);
    let mut running = ticking(&folder);
    let reported = AtomicUsize::new(0);
    let mut lines: Vec<String> = Vec::new();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            for name in ["one", "two", "three"] {
                let asked = folder.call(["savepoint", "pipeline.toml", "--to", name]);
                reported.fetch_add(1, Ordering::SeqCst);
                asked.fine();
            }
            // Two at once, for the same folder: one makes it, the other is told.
            let both = [(); 2].map(|()| folder.start(["savepoint", "pipeline.toml", "--to", "four"]));
            let mut codes = both.map(|one| one.finish().code);
            reported.fetch_add(1, Ordering::SeqCst);
            codes.sort_unstable();
            assert!(matches!(codes, [Some(0), Some(0..=2)]), "{codes:?}");
        });
        // Its epochs are taken all the time, or it would be held up.
        while reported.load(Ordering::SeqCst) < 4 && !asking.is_finished() {
            lines.push(running.stdout_line().expect("it runs on"));
        }
    });
    running.interrupt();
    let finished = running.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr());
    lines.extend(finished.stdout);
    let read_by = |epoch: u64| {
        let of_epoch = |line: &String| {
            let progress: Value = serde_json::from_str(line).expect("a JSON object an epoch");
            (progress["batchId"] == epoch).then(|| progress["sources"][0]["endOffset"].clone())
        };
        let offset = lines.iter().find_map(of_epoch).expect("the epoch was reported");
        offset.as_u64().or_else(|| offset.as_str()?.parse().ok()).expect("a number of rows")
    };
    let epochs = ["one", "two", "three", "four"].map(|name| {
        folder.call(["verify", name]).fine();
        let (epoch, rows) = ticks(&folder, name);
        // The first line was taken before these were gathered.
        if epoch > 0 {
            assert_eq!(rows, read_by(epoch), "{name}, epoch {epoch}");
        }
        epoch
    });
    assert!(epochs.is_sorted() && epochs[3] > epochs[0], "{epochs:?}");
    assert_eq!(leftovers(&folder.path(".tidemill/ticks")), [""; 0]);
}

/// What is in the folder of a checkpoint beside it.
fn leftovers(checkpoint: &Path) -> Vec<String> {
    let names =
        fs::read_dir(checkpoint).expect("there is one").map(|entry| entry.expect("it can be listed").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name != "checkpoint.redb").collect()
}

/// The pipeline is killed while it is asked for a savepoint, at one instant or another: whoever asks gets it all the
/// same.
#[test]
fn a_pipeline_that_is_killed_costs_no_savepoint() {
    let folder = Folder::with(TICKS);
    for round in 0..8 {
        let mut running = ticking(&folder);
        let name = format!("round-{round}");
        let asking = folder.start(["savepoint", "pipeline.toml", "--to", &name]);
        // Some epochs are some milliseconds.
        (0..round * 6).for_each(|_| drop(running.stdout_line()));
        drop(running);
        asking.finish().fine();
        folder.call(["verify", &name]).fine();
    }
    // What was under way when it was killed has left nothing that a start would stumble over, or keep.
    let running = ticking(&folder);
    running.interrupt();
    running.finish().fine();
    assert_eq!(leftovers(&folder.path(".tidemill/ticks")), [""; 0]);
}

/// Whoever asks is killed: the pipeline does not care, and the next one who asks is served. A savepoint that is there
/// is whole.
#[test]
fn whoever_asks_may_be_killed() {
    let folder = Folder::with(TICKS);
    let mut running = ticking(&folder);
    for round in 0..8 {
        let name = format!("round-{round}");
        let asking = folder.start(["savepoint", "pipeline.toml", "--to", &name]);
        (0..round * 5).for_each(|_| drop(running.stdout_line()));
        drop(asking);
    }
    let asking = folder.start(["savepoint", "pipeline.toml", "--to", "last"]);
    running.interrupt();
    asking.finish().fine();
    running.finish().fine();
    folder.call(["verify", "last"]).fine();
    for round in 0..8 {
        let name = format!("round-{round}");
        if folder.path(&name).exists() {
            folder.call(["verify", &name]).fine();
        }
    }
}

/// A checkpoint is looked at and found whole, and a byte that has changed is named with what to do.
#[test]
fn verify_tells_a_whole_checkpoint_from_a_damaged_one() {
    let folder = readings(3);
    folder.call(["savepoint", "pipeline.toml", "--to", "saved"]).fine();
    let whole = folder.call(["verify", "saved"]).fine().stdout();
    for words in ["is in order", "savepoint of `readings`", "epoch 3 of ", "stage `total`: rows 9, values 9, bytes "] {
        assert!(whole.contains(words), "`{words}` is not in: {whole}");
    }
    folder.call(["verify", "in"]).refused(2, &["no checkpoint in `in`"]);
    let path = folder.path("saved/checkpoint.redb");
    let mut bytes = fs::read(&path).expect("it is there");
    // In the middle of a value: a column's name in an Arrow schema, and not where the layout tells of it.
    let place =
        bytes.windows(8).position(|bytes| bytes[..7] == *b"most[0]" && bytes[7] != b':').expect("a state column");
    bytes[place] ^= 1;
    fs::write(&path, bytes).expect("it can be written");
    let words = ["is damaged", "value `minutes/", "of table `state`: its checksum does not match", "--from SAVEPOINT"];
    folder.call(["verify", "saved"]).refused(1, &words);
    folder.call(["state", "saved"]).refused(1, &["is damaged"]);
    let copied = folder.call(["savepoint", "saved", "--to", "copy"]);
    copied.refused(1, &["is damaged"]);
    assert!(!folder.path("copy").exists());
}

/// State is shown as rows in the order of their keys, each once and as it is now, windows with their times.
#[test]
fn state_is_shown_as_rows() {
    let folder = readings(2);
    let shown = folder.call(["state", "pipeline.toml", "total"]).fine().stdout();
    let expected = "\
total: 3 keys
  key   sensor: utf8
  value rows = count(*), mean = avg(value)
+--------+---------+---------+---------+
| sensor | rows[0] | mean[0] | mean[1] |
+--------+---------+---------+---------+
| s0     | 34      | 34      | 2516.0  |
| s1     | 34      | 34      | 2550.0  |
| s2     | 32      | 32      | 2384.0  |
+--------+---------+---------+---------+";
    assert!(shown.contains(expected), "{shown}");
    assert!(shown.contains("epoch 2 of ") && shown.contains("watermark 2026-01-31T08:01:39.000Z"), "{shown}");

    // The first minute is closed and gone.
    let all = state(&folder, "pipeline.toml");
    let minutes = &all["stages"][1];
    assert_eq!((&minutes["name"], &minutes["keys"]), (&"minutes".into(), &3.into()));
    let first = serde_json::json!({"sensor": "s0", "window_start": "2026-01-31T08:01:00Z", "most[0]": 148});
    assert_eq!(minutes["rows"][0], first);
    let limited = folder.call(["state", "pipeline.toml", "minutes", "--limit", "1"]).fine().stdout();
    assert!(limited.contains("s0") && !limited.contains("s1") && limited.contains("and 2 more"), "{limited}");
    folder.call(["state", "pipeline.toml", "none"]).refused(2, &["no state of `none`; there is of `total`, `minutes`"]);
}

/// A part under a new name is recognised, and goes on with its state when it is told to; the same command line does no
/// harm a second time, and nothing is moved to where it does not fit.
#[test]
fn a_renamed_part_goes_on_with_its_state() {
    let folder = readings(2);
    let before = kept(&folder, CHECKPOINT);
    let renamed = READINGS.replace("transforms.total", "transforms.sums").replace(r#"["total"]"#, r#"["sums"]"#);
    folder.write("pipeline.toml", renamed);
    add_file(&folder, 2);
    folder
        .run(&[])
        .refused(1, &["no part of this name", "`sums` is new and keeps the same", "--rename-state total=sums"]);
    let run = |rename: &str| folder.call(["run", "pipeline.toml", "--rename-state", rename]);
    run("total=minutes").refused(1, &["keeps something for `minutes` already"]);
    run("totals=sums").refused(1, &["keeps nothing for `totals`; it has something for `total`, `minutes`, `readings`"]);
    run("total=rows").refused(1, &["no part `rows` that keeps state"]);
    run("total").refused(2, &["write OLD=NEW"]);
    assert_eq!(kept(&folder, CHECKPOINT), before, "a start that is refused changes nothing");

    let other = readings(3);
    let went_on = run("total=sums").fine();
    let totals = kept(&folder, CHECKPOINT);
    assert_eq!(totals[0]["name"], "sums");
    assert_eq!(totals[0]["rows"], kept(&other, CHECKPOINT)[0]["rows"]);
    assert!(last_table(&went_on).iter().any(|line| line.contains("| s0")), "{:?}", went_on.stdout);
    run("total=sums").fine();

    let changed = READINGS.replace("transforms.total", "transforms.sums").replace(r#"["total"]"#, r#"["sums"]"#);
    other.write("pipeline.toml", changed.replace("avg(value)", "min(value)"));
    let other_layout = other.call(["run", "pipeline.toml", "--rename-state", "total=sums"]);
    other_layout.refused(1, &["the state is by key `sensor: utf8` for", "min(value)"]);
    assert_eq!(kept(&other, CHECKPOINT)[0]["name"], "total");
}
