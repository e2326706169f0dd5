//! Which files are read, in which order, and what happens when they change.

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

use tempfile::TempDir;

use super::*;
use crate::source::testing::{Collected, read};

const NOW: ProcessingTime = ProcessingTime::from_micros(0);

fn folder() -> TempDir {
    tempfile::tempdir().expect("there is room for a temporary folder")
}

/// Writes a file whose content is its name, modified so many seconds after 1970.
fn put(folder: &TempDir, name: &str, modified: u64) {
    put_content(folder, name, name, modified);
}

fn put_content(folder: &TempDir, name: &str, content: &str, modified: u64) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    set_modified(&path, modified);
}

fn set_modified(path: &Path, modified: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(modified);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn settings(path: &Path) -> FilesSource {
    FilesSource {
        path: path.to_owned(),
        format: FileFormat::Text,
        max_files_per_trigger: None,
        max_bytes_per_trigger: None,
        latest_first: false,
        max_file_age: Duration::from_secs(7 * 86_400),
        max_line_bytes: 1 << 20,
    }
}

fn open(settings: &FilesSource) -> Files {
    Files::open(settings, line::schema()).unwrap()
}

/// One epoch: its rows, which are the names of its files; none when there is nothing new.
fn epoch(source: &mut Files) -> Option<Vec<String>> {
    let range = source.next_range(NOW).unwrap()?;
    let rows = read(source, &range).unwrap().texts();
    source.acknowledge(&range).unwrap();
    Some(rows)
}

fn fatal(result: Result<Collected, SourceError>) -> String {
    match result {
        Err(SourceError::Fatal(message)) => message,
        Err(other) => panic!("not fatal: {other}"),
        Ok(_) => panic!("no error"),
    }
}

/// By modification time, then by path; hidden files and folders are not read; a file that comes later is read later,
/// and none twice.
#[test]
fn files_are_read_once_in_order() {
    let folder = folder();
    for (name, modified) in
        [("b", 20), ("a", 20), ("z", 10), (".hidden", 1), ("_note", 1), ("c._COPYING_", 1), ("sub/x", 1)]
    {
        put(&folder, name, modified);
    }
    let mut source = open(&settings(folder.path()));
    assert_eq!(epoch(&mut source).unwrap(), ["z", "a", "b"]);
    assert_eq!(epoch(&mut source), None);
    put(&folder, "old but new", 1);
    put(&folder, "_day=1", 30);
    put(&folder, "a", 40);
    assert_eq!(epoch(&mut source).unwrap(), ["old but new", "_day=1"], "a changed file stays read, as in Spark");
}

#[test]
fn the_newest_come_first_on_request() {
    let folder = folder();
    for (name, modified) in [("1", 10), ("2", 20), ("3", 30)] {
        put(&folder, name, modified);
    }
    let mut source =
        open(&FilesSource { latest_first: true, max_files_per_trigger: Some(2), ..settings(folder.path()) });
    assert_eq!(epoch(&mut source).unwrap(), ["3", "2"]);
    put(&folder, "4", 40);
    assert_eq!(epoch(&mut source).unwrap(), ["4", "1"]);
}

/// The limits bound an epoch, but a file larger than the limit must not block the way.
#[test]
fn limits_bound_an_epoch() {
    let folder = folder();
    for (name, content, modified) in
        [("a", "1234", 1), ("b", "12345678901", 2), ("c", "123", 3), ("d", "1234", 4), ("e", "", 5)]
    {
        put_content(&folder, name, content, modified);
    }
    let mut source = open(&FilesSource { max_files_per_trigger: Some(3), ..settings(folder.path()) });
    assert_eq!(epoch(&mut source).unwrap(), ["1234", "12345678901", "123"]);
    assert_eq!(epoch(&mut source).unwrap(), ["1234"], "an empty file has no rows");
    assert_eq!(epoch(&mut source), None);

    let mut source = open(&FilesSource { max_bytes_per_trigger: Some(7), ..settings(folder.path()) });
    assert_eq!(epoch(&mut source).unwrap(), ["1234"]);
    assert_eq!(epoch(&mut source).unwrap(), ["12345678901"], "always one file");
    assert_eq!(epoch(&mut source).unwrap(), ["123", "1234"]);
    assert_eq!(epoch(&mut source), None);
}

/// Ages are relative to the newest file seen, not to the clock: the first listing takes all, later old ones are
/// ignored. With the newest first and a limit nothing is too old, as in Spark, or most files would never be read.
#[test]
fn old_files_are_ignored_once_newer_ones_were_seen() {
    let folder = folder();
    put(&folder, "old", 10);
    put(&folder, "new", 1000);
    let aged = FilesSource { max_file_age: Duration::from_secs(100), ..settings(folder.path()) };
    let mut source = open(&aged);
    assert_eq!(epoch(&mut source).unwrap(), ["old", "new"]);
    put(&folder, "too old", 899);
    put(&folder, "old enough", 900);
    assert_eq!(epoch(&mut source).unwrap(), ["old enough"]);

    let mut source = open(&FilesSource { latest_first: true, max_files_per_trigger: Some(3), ..aged });
    assert_eq!(epoch(&mut source).unwrap(), ["new", "old enough", "too old"]);
    assert_eq!(epoch(&mut source).unwrap(), ["old"]);
}

/// The checkpoint rules: files of committed epochs are not read again, those of a planned one exactly as planned, also
/// when the folder was listed before the plan was read.
#[test]
fn a_restart_goes_on_where_the_checkpoint_stands() {
    let folder = folder();
    for (name, modified) in [("1", 10), ("2", 20), ("3", 30), ("4", 40)] {
        put(&folder, name, modified);
    }
    let limited = FilesSource { max_files_per_trigger: Some(1), ..settings(folder.path()) };
    let mut before = open(&limited);
    let history: Vec<_> = (0..2).map(|_| before.next_range(NOW).unwrap().unwrap()).collect();
    let planned = before.next_range(NOW).unwrap().unwrap();
    assert_eq!((planned.start.0.as_str(), planned.end.0.as_str()), (r#"{"files":2}"#, r#"{"files":3}"#));

    for frozen in [false, true] {
        let mut source = open(&limited);
        source.restore(&history).unwrap();
        if frozen {
            source.freeze(NOW).unwrap();
        }
        assert_eq!(read(&mut source, &planned).unwrap().texts(), ["3"]);
        assert_eq!(source.next_range(NOW).unwrap().unwrap().start, planned.end);
        assert_eq!(source.next_range(NOW).unwrap(), None);
    }
}

/// Available-now reads what was there at the start, in bounded epochs.
#[test]
fn frozen_it_offers_only_what_is_there() {
    let folder = folder();
    put(&folder, "1", 10);
    put(&folder, "2", 20);
    let mut source = open(&FilesSource { max_files_per_trigger: Some(1), ..settings(folder.path()) });
    source.freeze(NOW).unwrap();
    put(&folder, "0", 1);
    put(&folder, "3", 30);
    assert_eq!(epoch(&mut source).unwrap(), ["1"]);
    assert_eq!(epoch(&mut source).unwrap(), ["2"]);
    assert_eq!(epoch(&mut source), None);
}

/// A file that cannot be read does not keep those behind it, or before it, from being read.
#[test]
fn an_unreadable_file_holds_nobody_up() {
    let folder = folder();
    for (name, modified) in [("1", 10), ("2", 20), ("3", 30)] {
        put(&folder, name, modified);
    }
    let mut source = open(&settings(folder.path()));
    source.freeze(NOW).unwrap();
    // Also for those who may read everything, a link to itself cannot be opened.
    let unreadable = folder.path().join("2");
    fs::remove_file(&unreadable).unwrap();
    std::os::unix::fs::symlink(&unreadable, &unreadable).unwrap();
    assert_eq!(epoch(&mut source).unwrap(), ["1", "3"]);
    assert_eq!(epoch(&mut source), None);

    let mut source = open(&FilesSource { max_files_per_trigger: Some(1), ..settings(folder.path()) });
    source.waiting = [unreadable].into();
    let error = source.next_range(NOW).unwrap_err().to_string();
    assert!(error.contains("cannot read `") && error.contains("make it readable"), "{error}");
    assert_eq!(epoch(&mut source).unwrap(), ["1"], "the others come after it");
}

/// A file that vanishes before any plan names it was never ours. One that vanishes or changes afterwards is an error
/// that names it, and once it is back as it was, the same range reads on with nothing lost.
#[test]
fn a_planned_file_must_stay_as_it_is() {
    let folder = folder();
    for (name, modified) in [("1", 10), ("2", 20), ("3", 30)] {
        put_content(&folder, name, &format!("{name}\nmore\n"), modified);
    }
    let mut source = open(&FilesSource { max_files_per_trigger: Some(1), ..settings(folder.path()) });
    assert!(source.next_range(NOW).unwrap().is_some());
    fs::remove_file(folder.path().join("2")).unwrap();
    let range = source.next_range(NOW).unwrap().unwrap();
    let path = folder.path().join("3");
    let expected = ["3", "more"];
    assert_eq!(read(&mut source, &range).unwrap().texts(), expected);

    let changes: [(&dyn Fn(), &str); 5] = [
        (&|| fs::remove_file(&path).unwrap(), "is gone"),
        (&|| put_content(&folder, "3", "3\nmore\nadded\n", 30), "13 bytes"),
        (&|| put_content(&folder, "3", "3\nm", 30), "3 bytes"),
        (&|| put_content(&folder, "3", "3\nless\n", 30), "content has changed"),
        (&|| set_modified(&path, 31), "modified again"),
    ];
    for (change, said) in changes {
        change();
        let message = fatal(read(&mut source, &range));
        assert!(message.contains(said), "{message}");
        assert!(message.contains(path.to_str().unwrap()) && message.contains("put it back"), "{message}");
        put_content(&folder, "3", "3\nmore\n", 30);
        assert_eq!(read(&mut source, &range).unwrap().texts(), expected, "after: {said}");
    }
}

/// A single file and a glob are as good as a folder; a path that leads nowhere is an error before anything runs.
#[test]
fn a_file_a_glob_and_nothing() {
    let folder = folder();
    for name in ["a.txt", "b.log", "[x].txt"] {
        put(&folder, name, 1);
    }
    let mut source = open(&settings(&folder.path().join("b.log")));
    assert_eq!(epoch(&mut source).unwrap(), ["b.log"]);
    assert_eq!(epoch(&mut source), None);
    let mut source = open(&settings(&folder.path().join("*.txt")));
    assert_eq!(epoch(&mut source).unwrap(), ["[x].txt", "a.txt"]);
    let mut source = open(&settings(&folder.path().join("[x].txt")));
    assert_eq!(epoch(&mut source).unwrap(), ["[x].txt"], "a path that exists is no glob");

    let refused = |name: &str| match Files::open(&settings(&folder.path().join(name)), line::schema()) {
        Err(SourceError::Fatal(message)) => message,
        _ => panic!("`{name}` was not refused"),
    };
    assert!(refused("none").contains("does not exist; create it"));
    assert!(refused("[x").contains("is not a glob"));
}

/// Offsets and details of another source must not be misread.
#[test]
fn a_foreign_checkpoint_is_refused() {
    let folder = folder();
    let range = |offset: &str, detail: &[u8]| Range {
        cumulative: false,
        start: Offset(offset.to_owned()),
        end: Offset(offset.to_owned()),
        detail: detail.to_vec(),
    };
    for (foreign, said) in [(range("12", &[0]), "`12`"), (range(r#"{"files":1}"#, &[9]), "list of files")] {
        let error = open(&settings(folder.path())).restore(&[foreign]).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
