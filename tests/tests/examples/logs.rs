//! `log-errors`: lines become columns, and lines that are none become dead letters.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::run::{Example, examples, text, written};

/// A line that cannot be parsed neither stops the pipeline nor vanishes: it is stored as it was, with the reason. The
/// others are counted as if it were not there.
#[test]
fn errors_are_counted_and_bad_lines_are_kept() {
    let example = Example::new("log-errors/pipeline.toml").set_path("sinks.bad_lines.path", "bad");
    let counts = example.run().remove(0).by("level", "count");
    let log = text(&examples().join("log-errors/input/mill.log"));
    let of_level = |level: &str| log.lines().filter(|line| line.split(' ').nth(1) == Some(level)).count() as u64;
    assert_eq!(counts, ["ERROR", "WARN"].map(|level| (level.to_owned(), of_level(level))).into());

    let is_entry =
        |line: &&str| ["DEBUG", "INFO", "WARN", "ERROR"].contains(&line.split(' ').nth(1).unwrap_or_default());
    let bad: Vec<&str> = log.lines().filter(|line| !is_entry(line)).collect();
    let letters = written(&example.path("bad")).concat();
    let rows: Vec<String> = letters.iter().map(|letter| value_of(letter["row"].as_str().unwrap())).collect();
    assert_eq!(rows, bad);
    for letter in &letters {
        assert_eq!((&letter["epoch"], &letter["part"]), (&Value::from(0), &Value::from("entries")));
        assert!(letter["module"].as_str().is_some_and(|digest| digest.len() == 64), "{letter}");
    }
    assert!(letters.iter().any(|letter| letter["error"].as_str().unwrap().contains("`NOTICE` is not a level")));
}

/// Bytes that are not text are refused by the source, before any plugin sees them, and are kept like any other bad
/// line.
#[test]
fn bytes_that_are_not_text_are_kept_too() {
    let example = Example::new("log-errors/pipeline.toml")
        .set_path("sinks.bad_lines.path", "bad")
        .set_path("sources.lines.path", "input.log");
    fs::write(
        example.path("input.log"),
        b"2026-03-21T06:00:00Z ERROR \xff\xfe\r\n2026-03-21T06:00:01Z ERROR stuck\r\n",
    )
    .unwrap();
    let counts = example.run().remove(0).by("level", "count");
    assert_eq!(counts, BTreeMap::from([("ERROR".to_owned(), 1)]));
    let letters = written(&example.path("bad")).concat();
    let [letter] = &*letters else { panic!("one bad line: {letters:?}") };
    assert_eq!((&letter["part"], letter.get("module")), (&Value::from("lines"), None));
}

/// The line in a row that was set aside: the row is JSON, because it had columns already.
fn value_of(row: &str) -> String {
    let row: Value = serde_json::from_str(row).expect("the row of a transform is JSON");
    row["value"].as_str().expect("it has a column `value`").to_owned()
}
