//! How a run reports its epochs.

use tidemill_tests::Folder;

use crate::{RATE, offset, progress};

/// One JSON object a line and nothing else, so that a program can read it; with the field names of Spark's reports.
#[test]
fn progress_as_json() {
    let finished = Folder::with(RATE).call(["run", "pipeline.toml", "--timeout", "1s", "--progress", "json"]);
    assert_eq!((finished.code, finished.stderr()), (Some(0), String::new()));
    assert!(!finished.stdout.is_empty());
    let mut end = 0;
    for (epoch, line) in finished.stdout.iter().enumerate() {
        let progress = progress(line);
        assert_eq!(progress["batchId"].as_u64(), Some(epoch as u64));
        assert_eq!(offset(&progress, "startOffset"), end);
        end = offset(&progress, "endOffset");
        assert_eq!(progress["numInputRows"].as_u64(), Some(end - offset(&progress, "startOffset")));
        assert!(progress["durationMs"]["triggerExecution"].as_f64().unwrap() > 0.0);
        assert_eq!(progress["stateOperators"][0]["operatorName"], "counts");
    }
}

/// Without a terminal there is no line to rewrite: each epoch has its own, and standard output stays the sinks'.
#[test]
fn progress_as_lines() {
    let finished = Folder::with(RATE).call(["run", "pipeline.toml", "--timeout", "1s", "--progress", "line"]);
    assert_eq!((finished.code, finished.stdout.len()), (Some(0), 0));
    assert!(
        finished.stderr[0].starts_with("epoch 0: ") && finished.stderr[0].contains(" keys, "),
        "{}",
        finished.stderr()
    );
    assert!(!finished.stderr().contains('\x1b'), "{}", finished.stderr());
}
