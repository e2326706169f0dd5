//! A pipeline that is no longer what its checkpoint was made with: what fits goes on, and what would lose or double
//! rows is refused, with the ways out, each of which leads out.

use std::{fs, os::unix::process::ExitStatusExt};

use serde_json::{Value, json};
use tidemill_tests::Folder;

/// Rows as they are, a running total and windows of them; one file an epoch.
const PIPELINE: &str = r#"
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
where = "value >= 0"
group_by = ["sensor"]
aggregates = { total = "sum(value)" }

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
mode = "update"
"#;

/// Ten rows of a minute of their own.
fn add_file(folder: &Folder, file: usize) {
    let row = |row: usize| {
        format!("{{\"at\":\"2026-01-31T08:{file:02}:{row:02}Z\",\"sensor\":\"s{}\",\"value\":{row}}}\n", row % 2)
    };
    folder.write(&format!("in/{file:03}.jsonl"), (0..10).map(row).collect::<String>());
}

/// The pipeline in a folder, which has read these files.
fn ran(files: usize) -> Folder {
    let folder = Folder::with(PIPELINE);
    (0..files).for_each(|file| add_file(&folder, file));
    folder.run(&[]).fine();
    folder
}

/// The same, but killed in its last epoch, at this point of it.
fn killed(files: usize, point: &str) -> Folder {
    let folder = ran(files - 1);
    add_file(&folder, files - 1);
    // An epoch for each file, and one for each that closes a window: the first closes none.
    let last = folder.call(["verify", "pipeline.toml"]).fine().stdout();
    let last: u64 =
        last.split("epoch ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("an epoch");
    let mut command = folder.command(["run", "pipeline.toml"]);
    let status = command.env("TIDEMILL_CRASH_AT", format!("{point}:{}", last + 1)).status().expect("it runs");
    assert_eq!(status.signal(), Some(9), "it should have killed itself");
    folder
}

fn change(folder: &Folder, from: &str, to: &str) {
    let manifest = fs::read_to_string(folder.path("pipeline.toml")).expect("there is one");
    assert!(manifest.contains(from), "{from}");
    folder.write("pipeline.toml", manifest.replace(from, to));
}

/// The rows of the running total.
fn totals(folder: &Folder) -> Value {
    let shown = folder.call(["state", "pipeline.toml", "total", "--format", "json"]).fine().stdout();
    let state: Value = serde_json::from_str(&shown).expect("it is JSON");
    state["stages"][0]["rows"].clone()
}

/// A source under a new name would read its files once more, and each of their rows would come twice. It goes on where
/// the old one stood when it is told to, or begins anew when that is wanted.
#[test]
fn a_renamed_source_does_not_read_its_files_again() {
    let folder = ran(2);
    add_file(&folder, 2);
    change(&folder, "sources.readings", "sources.events");
    change(&folder, r#"["readings"]"#, r#"["events"]"#);
    folder.run(&[]).refused(
        1,
        &[
            "what source `readings` has read",
            "`events` is new",
            "--rename-state readings=events",
            "--drop-state readings",
        ],
    );
    let run = |option: &str, value: &str| folder.call(["run", "pipeline.toml", option, value]);
    run("--rename-state", "readings=total").refused(1, &["`total` already, which would be lost"]);
    run("--rename-state", "readings=rows")
        .refused(1, &["`readings` is a source, and the manifest has no source `rows`"]);
    run("--rename-state", "reading=events")
        .refused(1, &["keeps nothing for `reading`", "`total`, `minutes`, `readings`"]);
    assert_eq!(folder.output("rows").len(), 20, "a start that is refused reads nothing");
    run("--rename-state", "readings=events").fine();
    assert_eq!(folder.output("rows").len(), 30);
    run("--rename-state", "readings=events").fine();
    assert_eq!(folder.output("rows").len(), 30, "the same command line does no harm a second time");

    change(&folder, "sources.events", "sources.others");
    change(&folder, r#"["events"]"#, r#"["others"]"#);
    run("--drop-state", "events").fine();
    assert_eq!(folder.output("rows").len(), 60);
    run("--drop-state", "events").fine();
    assert_eq!(folder.output("rows").len(), 60, "what fits is not forgotten");
}

/// State that would be taken for what it is not is refused: other keys, windows or aggregates, also where only a type
/// has changed. The way out that is named begins the part empty, and only that one.
#[test]
fn state_of_another_layout_is_refused_or_forgotten() {
    let other = [
        (r#"group_by = ["sensor"]"#, r#"group_by = ["sensor", "value"]"#, "by key `sensor: utf8, value: int64`"),
        (r#"size = "1m""#, r#"size = "2m""#, "windows of 120s"),
        ("sum(value)", "min(value)", "for `total = min(value)`"),
        (r#"value = "int64""#, r#"value = "float64""#, "in columns `total[0]: Float64`"),
    ];
    for (from, to, word) in other {
        let folder = ran(2);
        change(&folder, from, to);
        folder.run(&[]).refused(1, &[word, "put the old definition back", "--drop-state"]);
    }

    let folder = ran(2);
    add_file(&folder, 2);
    change(&folder, "sum(value)", "min(value)");
    let minutes = folder.output("minutes").len();
    let run = || folder.call(["run", "pipeline.toml", "--drop-state", "total"]);
    let told = run().fine();
    assert!(told.stderr().contains("what was kept for `total` is forgotten"), "{}", told.stderr());
    assert_eq!(totals(&folder), json!([{"sensor": "s0", "total[0]": 0}, {"sensor": "s1", "total[0]": 1}]));
    assert!(folder.output("minutes").len() > minutes, "the other part has gone on");
    add_file(&folder, 3);
    let again = run().fine();
    assert!(!again.stderr().contains("forgotten"), "what fits is not forgotten again: {}", again.stderr());
}

/// A part that was taken out is refused until it is said that its state may go.
#[test]
fn a_part_that_is_gone() {
    let folder = ran(2);
    let manifest = fs::read_to_string(folder.path("pipeline.toml")).expect("there is one");
    let (before, from) = manifest.split_once("[transforms.total]").expect("it is there");
    let (_, after) = from.split_once("[transforms.minutes]").expect("it is there");
    let (after, _) = after.split_once("[sinks.totals]").expect("it is there");
    folder.write("pipeline.toml", format!("{before}[transforms.minutes]{after}"));
    add_file(&folder, 2);
    folder.run(&[]).refused(1, &["state of `total`", "put it back", "--drop-state total"]);
    folder.call(["run", "pipeline.toml", "--drop-state", "total"]).fine();
    folder.run(&[]).fine();
    assert_eq!(folder.output("rows").len(), 30);
}

/// An epoch that one sink has, and the state and another sink have not, must be run again as it was. Where that cannot
/// be, nothing is done until somebody decides.
#[test]
fn an_epoch_that_a_sink_has_is_not_run_again_as_something_else() {
    let folder = killed(3, "between-sink-commits");
    let undisturbed = ran(3);
    change(&folder, "value >= 0", "value > 100");
    folder.run(&[]).refused(
        1,
        &[
            "was under way, and sink `rows` has committed it",
            "the manifest",
            "Start once with what there was",
            "--replay-changed",
        ],
    );
    // Nothing that cannot change a row stands in the way, and with what there was it is finished.
    change(&folder, "value > 100", "value >= 0");
    folder.run(&["workers=3", "trigger=once"]).fine();
    assert_eq!(totals(&folder), totals(&undisturbed));
    change(&folder, "value >= 0", "value > 100");
    folder.run(&[]).fine();
    assert_eq!(folder.output("rows"), undisturbed.output("rows"));
    assert_eq!(folder.output("minutes"), undisturbed.output("minutes"));

    let folder = killed(3, "between-sink-commits");
    change(&folder, "value >= 0", "value > 100");
    let told = folder.call(["run", "pipeline.toml", "--replay-changed"]).fine();
    assert!(told.stderr().contains("is run again with what has changed since: the manifest"), "{}", told.stderr());
    assert_eq!(folder.output("rows"), undisturbed.output("rows"));
    assert_ne!(totals(&folder), totals(&undisturbed));
}

/// An epoch that no sink has is run again with what there is now: so somebody mends what stopped it.
#[test]
fn an_epoch_that_no_sink_has_is_run_with_what_there_is() {
    let folder = killed(3, "before-sink-commit");
    change(&folder, "value >= 0", "value > 100");
    let told = folder.run(&[]).fine();
    assert!(told.stderr().contains("is run again with what has changed since: the manifest"), "{}", told.stderr());
    assert_eq!(folder.output("rows").len(), 30);
    assert_eq!(totals(&folder), totals(&ran(2)));
}

/// Rows that an epoch under way is to read must be there, also under a new name.
#[test]
fn the_source_of_an_epoch_under_way() {
    let folder = killed(3, "before-sink-commit");
    change(&folder, "sources.readings", "sources.events");
    change(&folder, r#"["readings"]"#, r#"["events"]"#);
    let run = |option: &str| folder.call(["run", "pipeline.toml", option, "readings=events"]);
    folder
        .call(["run", "pipeline.toml", "--drop-state", "readings"])
        .refused(1, &["was under way with rows of source `readings`"]);
    run("--rename-state").fine();
    assert_eq!(folder.output("rows"), ran(3).output("rows"));
}

/// A sink in a new place is a new sink; one whose place has lost what was in it is not.
#[test]
fn a_sink_in_a_new_place_begins_there() {
    let folder = ran(2);
    add_file(&folder, 2);
    change(&folder, r#"path = "rows""#, r#"path = "rows2""#);
    folder.run(&[]).fine();
    assert_eq!((folder.output("rows").len(), folder.output("rows2").len()), (20, 10));
    fs::remove_dir_all(folder.path("rows2")).expect("it is there");
    add_file(&folder, 3);
    folder.run(&[]).refused(1, &["sink `rows` has committed nothing, but the checkpoint stands at"]);
}

/// A change that was accepted while the pipeline ran is still good when it has stopped, or was killed, before it came
/// to another epoch.
#[test]
fn a_sink_that_was_moved_while_the_pipeline_ran() {
    for kill in [false, true] {
        let folder = ran(1);
        add_file(&folder, 1);
        change(&folder, r#"trigger = "available-now""#, r#"trigger = "continuous""#);
        let mut running = folder.start(["run", "pipeline.toml", "--watch"]);
        assert!(running.stdout_line().is_some(), "a batch");
        change(&folder, r#"path = "rows""#, r#"path = "rows2""#);
        running.wait_for_message("swapped before epoch");
        if kill {
            drop(running);
        } else {
            running.interrupt();
            running.finish().fine();
        }
        add_file(&folder, 2);
        folder.run(&["trigger=available-now"]).fine();
        assert_eq!((folder.output("rows").len(), folder.output("rows2").len()), (20, 10));
    }
}

/// What is in memory is closed when what was read from the checkpoint would be: a join whose bound has changed while it
/// ran comes to the same as one that was started again with the new bound.
#[test]
fn a_bound_that_changes_while_the_pipeline_runs() {
    let pipeline = r#"
name = "payments"
trigger = "continuous"

[sources.orders]
type = "files"
path = "orders"
format = "json"
schema = { id = "int64", at = "timestamp" }
watermark = { on = "at", delay = "0s" }

[sources.payments]
type = "files"
path = "payments"
format = "json"
schema = { id = "int64", paid = "timestamp" }
watermark = { on = "paid", delay = "0s" }

[transforms.paid]
inputs = ["orders", "payments"]
join = { on = ["id"], within = { before = "0s", after = "10m" }, type = "left" }

[sinks.out]
inputs = ["paid"]
type = "files"
path = "out"
format = "json"
"#;
    let folder = Folder::with(pipeline);
    let feed = |file: &str, id: usize, minute: usize| {
        let time = format!("2026-01-31T08:{minute:02}:00Z");
        folder.write(&format!("orders/.{file}"), format!("{{\"id\":{id},\"at\":\"{time}\"}}\n"));
        folder.write(&format!("payments/.{file}"), format!("{{\"id\":{},\"paid\":\"{time}\"}}\n", id + 100));
        for kind in ["orders", "payments"] {
            let path = |name: &str| folder.path(&format!("{kind}/{name}"));
            fs::rename(path(&format!(".{file}")), path(file)).expect("one folder");
        }
    };
    feed("1", 1, 0);
    let mut running = folder.start(["run", "pipeline.toml", "--watch", "--progress", "json"]);
    assert!(running.stdout_line().is_some(), "an epoch");
    change(&folder, r#"after = "10m""#, r#"after = "20m""#);
    running.wait_for_message("swapped before epoch");
    // Both go past the old bound, and not past the new one.
    feed("2", 2, 15);
    while !running.stdout_line().expect("it runs on").contains(r#""watermark":"2026-01-31T08:15"#) {}
    assert_eq!(folder.output("out"), [""; 0]);
    feed("3", 3, 25);
    while !running.stdout_line().expect("it runs on").contains(r#""watermark":"2026-01-31T08:25"#) {}
    running.interrupt();
    running.finish().fine();
    assert_eq!(folder.column("out", "id"), ["1"]);
}
