//! A run, the next one, and two at once.

use tidemill_tests::Folder;

use crate::{COPY, RATE, printed};

/// The smallest pipeline: lines in, a table out.
#[test]
fn a_run_prints_its_table() {
    let folder = printed();
    folder.write("in/a.txt", "high tide\nlow tide\n");
    let finished = folder.call(["run", "pipeline.toml"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr());
    for line in ["Batch: 0", "| high tide |", "| low tide  |"] {
        assert!(finished.stdout.iter().any(|printed| printed == line), "{}", finished.stdout());
    }
}

/// A second run goes on where the first has ended: every file is read once, and the checkpoint lies beside the
/// manifest.
#[test]
fn a_second_run_goes_on_from_the_checkpoint() {
    let folder = Folder::with(COPY);
    folder.write("in/a.txt", "one\ntwo\n");
    assert_eq!(folder.call(["run", "pipeline.toml"]).code, Some(0));
    folder.write("in/b.txt", "three\n");
    assert_eq!(folder.call(["run", "pipeline.toml"]).code, Some(0));
    assert_eq!(folder.output("out"), ["one", "two", "three"]);
    assert!(folder.path(".tidemill/copy").is_dir());
}

/// A checkpoint is a history: with the same one there is nothing new, with another the same files are read anew.
#[test]
fn the_checkpoint_can_be_elsewhere() {
    let folder = printed();
    folder.write("in/a.txt", "high tide\n");
    let batches = |checkpoint: &str| {
        let run = folder.call(["run", "pipeline.toml", "--checkpoint", checkpoint]);
        assert_eq!(run.code, Some(0), "{}", run.stderr());
        run.stdout.iter().filter(|line| line.starts_with("Batch: ")).count()
    };
    assert_eq!((batches("mine"), batches("mine"), batches("yours")), (1, 0, 1));
    assert!(folder.path("mine").is_dir() && !folder.path(".tidemill").exists());
}

/// What goes wrong while it runs is a failure, not a refusal, and names the place.
#[test]
fn a_failing_pipeline_exits_with_1() {
    let manifest = COPY.replace("path = \"in\"", "path = \"in\"\nformat = \"json\"\nschema = { level = \"int64\" }");
    let folder = Folder::with(&manifest.replace("format = \"text\"", "format = \"json\""));
    folder.write("in/a.jsonl", "{\"level\": 1}\n{\"level\": \"high\"}\n");
    let stopped = folder.call(["run", "pipeline.toml", "--set", "bad_rows=stop"]);
    assert_eq!(stopped.code, Some(1), "{}", stopped.stderr());
    assert!(
        stopped.stderr().starts_with("error: source `lines`: ") && stopped.stderr().contains("a.jsonl:2"),
        "{}",
        stopped.stderr()
    );

    // Set aside instead, it is in the log, and the rest arrives.
    let going_on = folder.call(["run", "pipeline.toml"]);
    assert_eq!(going_on.code, Some(0), "{}", going_on.stderr());
    let expected =
        ["WARN epoch 0 was under way and is run again with what has changed", "WARN row set aside in `lines`: "];
    assert!(expected.iter().all(|expected| going_on.stderr().contains(expected)), "{}", going_on.stderr());
    assert_eq!(folder.output("out"), ["{\"level\":1}"]);
}

/// Two runs must not share a checkpoint: the second says so instead of waiting or doing harm.
#[test]
fn a_checkpoint_belongs_to_one_run_at_a_time() {
    let folder = Folder::with(RATE);
    let mut running = folder.start(["run", "pipeline.toml", "--progress", "json"]);
    running.stdout_line().unwrap();
    let second = folder.call(["run", "pipeline.toml"]);
    assert_eq!(second.code, Some(1));
    assert!(second.stderr().starts_with("error: checkpoint `.tidemill/rate/"), "{}", second.stderr());
    assert!(second.stderr().contains("is in use by another process"), "{}", second.stderr());
    running.interrupt();
    assert_eq!(running.finish().code, Some(0));
}
