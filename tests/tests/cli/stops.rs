//! How a run is stopped.

use tidemill_tests::Folder;

use crate::{RATE, offset, progress};

/// One epoch with more rows than fit into a pipe, all printed.
fn long_table() -> Folder {
    let folder = Folder::with(
        r#"
name = "table"
trigger = "once"

[sources.lines]
type = "files"
path = "in"

[sinks.table]
inputs = ["lines"]
type = "console"
rows = 20000
"#,
    );
    let lines: Vec<String> = (0..20_000).map(|line| format!("line {line}")).collect();
    folder.write("in/lines.txt", lines.join("\n"));
    folder
}

/// The first Ctrl-C loses nothing: the epoch is finished and committed, and the next run starts exactly behind it.
#[test]
fn ctrl_c_finishes_the_epoch() {
    let folder = Folder::with(RATE);
    let run = ["run", "pipeline.toml", "--progress", "json"];
    let mut running = folder.start(run);
    let mut last = running.stdout_line().unwrap();
    running.interrupt();
    let finished = running.finish();
    assert_eq!((finished.code, finished.stderr().lines().count()), (Some(0), 1), "{}", finished.stderr());
    assert!(finished.stderr().starts_with("stopping after this epoch; press Ctrl-C again"), "{}", finished.stderr());
    if let Some(line) = finished.stdout.last() {
        last.clone_from(line);
    }

    let mut running = folder.start(run);
    let next = progress(&running.stdout_line().unwrap());
    running.interrupt();
    assert_eq!(running.finish().code, Some(0));
    let last = progress(&last);
    assert_eq!(next["batchId"].as_u64(), last["batchId"].as_u64().map(|epoch| epoch + 1));
    assert_eq!(offset(&next, "startOffset"), offset(&last, "endOffset"));
}

/// A pipeline that cannot finish its epoch, here because nobody reads what it prints, can still be left: by the second
/// Ctrl-C. The epoch was not committed, so the next run has it again.
#[test]
fn a_second_ctrl_c_leaves_at_once() {
    let folder = long_table();
    let mut running = folder.start(["run", "pipeline.toml"]);
    assert!(running.stdout_line().unwrap().starts_with("---"));
    running.interrupt();
    assert!(running.stderr_line().unwrap().starts_with("stopping after this epoch"));
    running.interrupt();
    assert_eq!(running.finish().code, Some(130));

    let again = folder.call(["run", "pipeline.toml"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr());
    assert!(again.stdout.iter().any(|line| line == "Batch: 0"));
    assert!(again.stdout.iter().any(|line| line == "| line 19999 |"));
}

/// `tidemill ... | head` has done what it should: no error, whether a sink, a report or a command was writing.
#[test]
fn a_closed_standard_output_ends_quietly() {
    let folder = long_table();
    folder.write("rate.toml", RATE);
    for arguments in
        [&["run", "pipeline.toml"][..], &["run", "rate.toml", "--progress", "json"], &["explain", "rate.toml"]]
    {
        let mut running = folder.start(arguments);
        running.stdout_line().unwrap();
        running.close_stdout();
        let finished = running.finish();
        assert_eq!((finished.code, finished.stderr()), (Some(0), String::new()), "{arguments:?}");
    }
}
