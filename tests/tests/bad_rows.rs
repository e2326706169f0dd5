//! Rows that are no rows, and files that do not stay.
//!
//! Input is what it is: a bad row must not take the good ones with it, nor vanish without a word. Each is set aside
//! with its place and the reason, or stops the pipeline when the manifest says so, and what is read and what is written
//! always add up.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
};

use serde_json::{Value, json};
use tidemill_tests::Folder;

/// Text lines straight from `in` to `out`, those set aside to `aside`.
const TEXT: &str = r#"
name = "rows"
trigger = "available-now"

[sources.lines]
type = "files"
path = "in"

[sinks.out]
inputs = ["lines"]
type = "files"
path = "out"
format = "json"

[sinks.aside]
inputs = ["dead_letters"]
type = "files"
path = "aside"
format = "json"
"#;

/// The same with JSON lines.
fn json_lines() -> String {
    TEXT.replace(
        "path = \"in\"\n",
        "path = \"in\"\nformat = \"json\"\nschema = { id = \"int32\", at = \"timestamp\", name = \"utf8\" }\n",
    )
}

/// The dead letters, each as its place, error and row.
fn set_aside(folder: &Folder) -> Vec<(String, String, String)> {
    let input = format!("{}/", fs::canonicalize(folder.path("in")).expect("it is there").display());
    let letter = |letter: Value| {
        assert_eq!((&letter["part"], &letter["module"]), (&json!("lines"), &Value::Null), "{letter}");
        let error = letter["error"].as_str().expect("it is text").replace(&input, "");
        let (place, error) = error.split_once(": ").expect("the place comes first");
        (place.to_owned(), error.to_owned(), letter["row"].as_str().expect("it is text").to_owned())
    };
    folder.rows("aside").into_iter().map(letter).collect()
}

/// Files come from Windows, from Latin-1, and without a last line end. Lines that are text are rows, without their line
/// ends; a line that is not is set aside as far as it can be shown.
#[test]
fn lines_of_all_kinds() {
    let folder = Folder::with(TEXT);
    folder.write("in/a.txt", b"unix\r\nwindows\r\n\r\n\nfl\xf8d\ncaf\xc3\xa9\ncut \xe2\x82\na\rb\nlast");
    let run = folder.run(&[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr());
    assert_eq!(folder.column("out", "value"), ["unix", "windows", "", "", "café", "a\rb", "last"]);
    let not_utf8 = |byte: &str| format!("not UTF-8: byte {byte}; convert the input, for example with iconv");
    let letter = |place: &str, byte: &str, row: &str| (place.to_owned(), not_utf8(byte), row.to_owned());
    let letters = [
        letter("a.txt:5", "2 of the line is 0xf8", "fl\u{fffd}d"),
        letter("a.txt:7", "4 of the line is 0xe2", "cut \u{fffd}"),
    ];
    assert_eq!(set_aside(&folder), letters);
}

/// A JSON line that does not parse, or does not fit the declared columns, is bad as a whole: half a row would be a lie.
#[test]
fn json_lines_that_do_not_parse_or_fit() {
    let cases: [(&str, &str); 11] = [
        (r#"{"id": 1"#, "EOF"),
        (r#"{"id": 1} {"id": 2}"#, "trailing"),
        (r#"[1, 2]"#, "expected a JSON object"),
        (r#""text""#, "expected a JSON object"),
        (r#"{"id": 1.5}"#, "column `id`: 1.5"),
        (r#"{"id": 3000000000}"#, "column `id`: 3000000000"),
        (r#"{"id": "1"}"#, "column `id`: \"1\""),
        (r#"{"at": "yesterday"}"#, "column `at`: \"yesterday\""),
        (r#"{"name": {"first": "A"}}"#, "column `name`"),
        ("{\"name\": \"a\tb\"}", "ontrol character"),
        ("id;1", "Invalid JSON value"),
    ];
    let folder = Folder::with(&json_lines());
    let bad: String = cases.iter().map(|(line, _)| format!("{line}\n")).collect();
    let deep = "[".repeat(1_000_000);
    let good = "{\"id\": 1, \"name\": \"first\", \"other\": true}\r\n";
    folder.write("in/a.json", format!("{good}\n{bad}{{\"other\": {deep}\n{{\"id\": 2}}"));
    let run = folder.run(&[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr());
    assert_eq!(folder.rows("out"), [json!({"id": 1, "name": "first"}), json!({"id": 2})]);
    let letters = set_aside(&folder);
    assert_eq!(letters.len(), cases.len() + 1);
    for (at, ((place, error, row), (line, phrase))) in letters.iter().zip(cases).enumerate() {
        assert_eq!((place.as_str(), row.as_str()), (&*format!("a.json:{}", at + 3), line));
        assert!(error.contains(phrase), "{line}, no `{phrase}` in: {error}");
    }
    let (place, error, row) = &letters[cases.len()];
    assert_eq!((place.as_str(), row.len()), ("a.json:14", 4096));
    assert!(error.contains("nested deeper than 64 levels"), "{error}");
}

/// Who would rather stop than go on without a row is told which one it is, and nothing of its epoch is committed. Once
/// the line is repaired elsewhere and the setting is taken back, the same epoch goes through.
#[test]
fn a_bad_row_stops_the_pipeline_when_asked_to() {
    let folder = Folder::with(TEXT);
    folder.write("in/a.txt", "one\ntwo\n");
    folder.write("in/b.txt", b"three\n\xff\nfour\n");
    let run = folder.run(&["bad_rows=stop", "sources.lines.max_files_per_trigger=1"]);
    let error = run.stderr();
    assert_eq!((run.code, error.matches("error: ").count()), (Some(1), 1), "{error}");
    assert!(error.contains("source `lines`") && error.contains("in/b.txt:2: not UTF-8"), "{error}");
    assert_eq!(folder.column("out", "value"), ["one", "two"]);
    assert!(folder.rows("aside").is_empty());

    assert_eq!(folder.run(&["sources.lines.max_files_per_trigger=1"]).code, Some(0));
    assert_eq!(folder.column("out", "value"), ["one", "two", "three", "four"]);
    assert_eq!(folder.rows("aside").len(), 1);
}

/// Without a sink for dead letters they are in the log: some of them, and how many more there are.
#[test]
fn dead_letters_without_a_sink_are_logged() {
    let (pipeline, _) = TEXT.split_once("[sinks.aside]").expect("the sink is the last part");
    let folder = Folder::with(pipeline);
    folder.write("in/a.txt", b"good\n".iter().chain(&b"\xff\n".repeat(100)).copied().collect::<Vec<u8>>());
    let run = folder.run(&[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr());
    assert_eq!(folder.column("out", "value"), ["good"]);
    let told = run.stderr.iter().filter(|line| line.starts_with("WARN row set aside in `lines`: ")).count();
    assert_eq!(told, 5, "{}", run.stderr());
    assert!(run.stderr().contains("and 95 more rows set aside"), "{}", run.stderr());
}

/// A file is read in pieces by several workers. However good and bad lines fall into them, none is lost or read twice.
#[test]
fn rows_in_are_rows_out_and_dead_letters() {
    let folder = Folder::with(TEXT);
    let lines = 400_000;
    let mut text = Vec::new();
    for line in 0..lines {
        // About 24 MB, three pieces; a block of nothing but bad lines at the end of the second.
        text.extend_from_slice(format!("{line} {}", "x".repeat(50)).as_bytes());
        text.extend_from_slice(if line % 1000 == 7 || (270_000..271_000).contains(&line) {
            b" \xff\n"
        } else {
            b" ok\n"
        });
    }
    folder.write("in/a.txt", text);
    let run = folder.call(["run", "pipeline.toml", "--workers", "3", "--progress", "json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr());
    let number =
        |line: &str| line.split(' ').next().and_then(|number| number.parse::<usize>().ok()).expect("it is numbered");
    let mut seen = vec![0; lines];
    folder.column("out", "value").iter().for_each(|line| seen[number(line)] += 1);
    let good = folder.rows("out").len();
    folder.column("aside", "row").iter().for_each(|line| seen[number(line)] += 1);
    assert!(seen.iter().all(|&times| times == 1), "line {:?}", seen.iter().position(|&times| times != 1));
    let bad = lines / 1000 + 999;
    assert_eq!((good, folder.rows("aside").len()), (lines - bad, bad));
    let progress: Value = serde_json::from_str(&run.stdout[0]).expect("progress is JSON");
    assert_eq!((&progress["numInputRows"], &progress["numDeadLetters"]), (&json!(good), &json!(bad)));
}

/// A file without line ends is one line, however large. It costs one dead letter, and no more memory than the longest
/// line that is allowed.
#[test]
fn a_line_of_100_mb_is_set_aside_in_bounded_memory() {
    const LINE: usize = 100 << 20;
    // A line is read into a buffer that grows, so for a moment there is more than one.
    const LONGEST: u64 = 16 << 20;
    let peak = |line: usize| {
        let folder = Folder::with(&TEXT.replace("available-now", "continuous"));
        folder.write("in/.hidden", "");
        let mut file = BufWriter::new(File::create(folder.path("in/.long")).expect("the folder can be written to"));
        let block = vec![b'x'; 1 << 20];
        file.write_all(b"before\n").expect("there is room");
        (0..line / block.len()).for_each(|_| file.write_all(&block).expect("there is room"));
        file.write_all(b"\nafter\n").expect("there is room");
        file.into_inner().expect("there is room");
        fs::rename(folder.path("in/.long"), folder.path("in/long.txt")).expect("a file appears whole");
        let mut running = folder.start(["run", "pipeline.toml", "--progress", "json"]);
        let progress: Value =
            serde_json::from_str(&running.stdout_line().expect("an epoch")).expect("progress is JSON");
        let peak = running.peak_memory();
        running.interrupt();
        assert_eq!(running.finish().code, Some(0));
        (peak, progress["numDeadLetters"].clone(), folder)
    };
    let (usual, none, folder) = peak(0);
    assert_eq!(
        (none, folder.column("out", "value")),
        (json!(0), vec!["before".to_owned(), String::new(), "after".to_owned()])
    );

    let (with_line, one, folder) = peak(LINE);
    assert_eq!((one, folder.column("out", "value")), (json!(1), vec!["before".to_owned(), "after".to_owned()]));
    let error = "the line is longer than max_line_bytes = 16777216; raise it, or split the line".to_owned();
    assert_eq!(set_aside(&folder), [("long.txt:2".to_owned(), error, "x".repeat(4096))]);
    let more = with_line.saturating_sub(usual);
    assert!(more < 4 * LONGEST, "{} MB more than without the line", more >> 20);
}

/// A file that was planned for an epoch and is gone, or is another, when the epoch is read: going on would lose or
/// double rows. The pipeline stops and names it; once the file is back as it was, the epoch goes through.
#[test]
fn a_file_that_vanishes_or_changes_after_it_was_planned() {
    let vanish = |folder: &Folder| fs::rename(folder.path("in/b.txt"), folder.path("kept")).expect("it is there");
    let append = |folder: &Folder| {
        fs::copy(folder.path("in/b.txt"), folder.path("kept")).expect("it is there");
        let mut file = File::options().append(true).open(folder.path("in/b.txt")).expect("it is there");
        file.write_all(b"more\n").expect("there is room");
    };
    let rewrite = |folder: &Folder| {
        vanish(folder);
        folder.write("in/b.txt", b"THREE\n\xff\nFOUR\n");
    };
    type Change<'a> = &'a dyn Fn(&Folder);
    let cases: [(&str, Change<'_>, &str); 3] = [
        ("vanished", &vanish, "it is gone"),
        ("grown", &append, "it has 18 bytes"),
        ("rewritten", &rewrite, "its content has changed"),
    ];
    for (what, change, phrase) in cases {
        let folder = Folder::with(TEXT);
        folder.write("in/a.txt", "one\ntwo\n");
        folder.write("in/b.txt", b"three\n\xff\nfour\n");
        let one_by_one = "sources.lines.max_files_per_trigger=1";
        // Stopping at the bad row leaves an epoch that is planned with the file and not committed, as a crash would.
        assert_eq!(folder.run(&[one_by_one, "bad_rows=stop"]).code, Some(1), "{what}");
        let modified = fs::metadata(folder.path("in/b.txt")).and_then(|file| file.modified()).expect("it is there");

        change(&folder);
        let stopped = folder.run(&[one_by_one]);
        let error = stopped.stderr();
        assert_eq!((stopped.code, error.matches("error: ").count()), (Some(1), 1), "{what}: {error}");
        assert!(
            error.contains("in/b.txt` was planned for this epoch with 13 bytes, but now") && error.contains(phrase),
            "{error}"
        );
        assert!(error.contains("put it back as it was"), "{what}: {error}");
        assert_eq!(folder.column("out", "value"), ["one", "two"], "{what}");

        fs::rename(folder.path("kept"), folder.path("in/b.txt")).expect("it was kept");
        let file = File::options().append(true).open(folder.path("in/b.txt")).expect("it is back");
        file.set_modified(modified).expect("a time can be set");
        let back = folder.run(&[one_by_one]);
        assert_eq!(back.code, Some(0), "{what}: {}", back.stderr());
        assert_eq!(folder.column("out", "value"), ["one", "two", "three", "four"], "{what}");
        assert_eq!(folder.rows("aside").len(), 1, "{what}");
    }
}
