//! Exactly-once output: what stands in the folder after each step, and after a crash at each step.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{BinaryArray, Int64Array, StringArray, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema},
};
use tempfile::TempDir;

use super::*;
use crate::{manifest::OutputFormat, model::timestamp_type};

fn words(words: &[&str]) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("word", DataType::Utf8, true)]));
    RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(words.to_vec()))]).unwrap()
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("there is room for a temporary folder")
}

fn sink(path: &Path, format: OutputFormat) -> Files {
    Files::new(&FilesSink { path: path.to_owned(), format })
}

fn begin(sink: &mut Files, epoch: u64, batches: &[RecordBatch]) {
    let schema = batches.first().map_or_else(|| words(&[]).schema(), RecordBatch::schema);
    sink.begin(Epoch::new(epoch), &schema).unwrap();
    batches.iter().for_each(|batch| sink.write(batch).unwrap());
}

fn commit(sink: &mut Files, epoch: u64) -> Result<(), SinkError> {
    sink.commit(CommitPermit::new(Epoch::new(epoch)))
}

fn epoch(sink: &mut Files, epoch: u64, batches: &[RecordBatch]) {
    begin(sink, epoch, batches);
    commit(sink, epoch).unwrap();
}

/// All files below a folder but the lock, sorted.
fn tree(path: &Path) -> Vec<String> {
    fn walk(base: &Path, path: &Path, names: &mut Vec<String>) {
        for entry in fs::read_dir(path).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                walk(base, &path, names);
            } else {
                names.push(path.strip_prefix(base).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut names = Vec::new();
    walk(path, path, &mut names);
    names.retain(|name| name != "_tidemill/lock");
    names.sort();
    names
}

fn at(epoch: u64) -> Marker {
    Marker::At(Epoch::new(epoch))
}

/// Rows of an epoch become files with names that say so, and the manifest says which; an epoch without rows has a
/// manifest and nothing else. Until the commit, a reader sees nothing.
#[test]
fn an_epoch_becomes_files_and_a_manifest() {
    let folder = temporary();
    let path = folder.path().join("deep/down");
    let mut sink = sink(&path, OutputFormat::Text);
    assert_eq!(sink.recover().unwrap(), Marker::Nothing);
    begin(&mut sink, 0, &[words(&["a", "b"]), words(&["c"])]);
    assert_eq!(tree(&path), ["_tidemill/part-00000-0.txt.tmp"]);
    commit(&mut sink, 0).unwrap();
    epoch(&mut sink, 1, &[]);
    assert_eq!(tree(&path), ["_tidemill/00000.json", "_tidemill/00001.json", "part-00000-0.txt"]);
    assert_eq!(fs::read_to_string(path.join("part-00000-0.txt")).unwrap(), "a\nb\nc\n");
    let manifest = |name| fs::read_to_string(path.join("_tidemill").join(name)).unwrap();
    assert_eq!(
        manifest("00000.json"),
        "{\"epoch\":0,\"files\":[{\"name\":\"part-00000-0.txt\",\"rows\":3,\"bytes\":6}]}\n"
    );
    assert_eq!(manifest("00001.json"), "{\"epoch\":1,\"files\":[]}\n");
    assert_eq!(sink.recover().unwrap(), at(1));
}

/// Every format, with what is special about it: a header in CSV, no keys for nulls in JSON, base64 for bytes, which the
/// files source reads back.
#[test]
fn formats() {
    let schema = Arc::new(Schema::new(vec![
        Field::new("text", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
        Field::new("bytes", DataType::Binary, true),
        Field::new("time", timestamp_type(), true),
    ]));
    let rows = RecordBatch::try_new(
        schema,
        vec![
            Arc::new(StringArray::from(vec![Some("a,\"b\"\n"), None])),
            Arc::new(Int64Array::from(vec![Some(1), None])),
            Arc::new(BinaryArray::from(vec![Some([0, 255].as_slice()), None])),
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1_500_000), None]).with_timezone("UTC")),
        ],
    )
    .unwrap();
    let cases = [
        (
            OutputFormat::Json,
            "part-00000-0.jsonl",
            "{\"text\":\"a,\\\"b\\\"\\n\",\"n\":1,\"bytes\":\"AP8=\",\"time\":\"1970-01-01T00:00:01.500Z\"}\n{}\n",
        ),
        (OutputFormat::Csv, "part-00000-0.csv", "\"a,\"\"b\"\"\n\",1,AP8=,1970-01-01T00:00:01.500Z\n,,,\n"),
    ];
    for (format, name, once) in cases {
        let folder = temporary();
        let mut sink = sink(folder.path(), format);
        sink.recover().unwrap();
        epoch(&mut sink, 0, &[rows.clone(), rows.clone()]);
        let header = if format == OutputFormat::Csv { "text,n,bytes,time\n" } else { "" };
        assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), format!("{header}{once}{once}"));
    }
}

/// The states a crash can leave behind, in the order of the protocol, made by hand from what the epoch would have
/// written: recovery tells whether the commit happened, clears away what did not count, and the epoch, run again, gives
/// the same.
#[test]
fn a_crash_at_every_step() {
    let batches = [words(&["new"])];
    let part = |folder: &Path| fs::write(folder.join("part-00001-0.txt"), "new\n").unwrap();
    let manifest = r#"{"epoch":1,"files":[{"name":"part-00001-0.txt","rows":1,"bytes":4}]}"#;
    type Step<'a> = (&'a str, &'a dyn Fn(&Path), Marker);
    let steps: [Step<'_>; 6] = [
        ("before anything was written", &|_| {}, at(0)),
        (
            "while a part was written",
            &|folder| fs::write(folder.join("_tidemill/part-00001-0.txt.tmp"), "ne").unwrap(),
            at(0),
        ),
        (
            "between two renames of parts",
            &|folder| {
                part(folder);
                fs::write(folder.join("_tidemill/part-00001-1.txt.tmp"), "more\n").unwrap();
            },
            at(0),
        ),
        ("before the manifest was written", &part, at(0)),
        (
            "while the manifest was written",
            &|folder| {
                part(folder);
                fs::write(folder.join("_tidemill/00001.json.tmp"), &manifest[..20]).unwrap();
            },
            at(0),
        ),
        (
            "after the commit",
            &|folder| {
                part(folder);
                fs::write(folder.join("_tidemill/00001.json"), manifest).unwrap();
            },
            at(1),
        ),
    ];
    for (when, leave, expected) in steps {
        let folder = temporary();
        let path = folder.path();
        let mut before = sink(path, OutputFormat::Text);
        before.recover().unwrap();
        epoch(&mut before, 0, &[words(&["old"])]);
        drop(before);
        fs::write(path.join("part-of-something-else.txt"), "").unwrap();
        leave(path);

        let mut after = sink(path, OutputFormat::Text);
        assert_eq!(after.recover().unwrap(), expected, "{when}");
        let old = ["_tidemill/00000.json", "part-00000-0.txt", "part-of-something-else.txt"];
        if expected == at(0) {
            assert_eq!(tree(path), old, "{when}");
            epoch(&mut after, 1, &batches);
        } else {
            let error = after.begin(Epoch::new(1), &batches[0].schema()).unwrap_err();
            assert!(error.0.contains("already holds epoch 1"), "{error}");
        }
        let new = ["_tidemill/00001.json", "part-00001-0.txt"];
        let mut both = [&old[..], &new[..]].concat();
        both.sort();
        assert_eq!(tree(path), both, "{when}");
        assert_eq!(fs::read_to_string(path.join("part-00001-0.txt")).unwrap(), "new\n", "{when}");
    }
}

/// An epoch that is given up leaves nothing, before its commit and after one that failed half-way; then it can be
/// written.
#[test]
fn abort_leaves_nothing() {
    let folder = temporary();
    let mut sink = sink(folder.path(), OutputFormat::Text);
    sink.recover().unwrap();
    begin(&mut sink, 0, &[words(&["a"])]);
    sink.abort();
    assert_eq!(tree(folder.path()), Vec::<String>::new());

    // A folder stands where the manifest is to be written: the parts have their names already when that fails.
    let in_the_way = folder.path().join("_tidemill/00000.json.tmp");
    begin(&mut sink, 0, &[words(&["a"])]);
    fs::create_dir(&in_the_way).unwrap();
    let error = commit(&mut sink, 0).unwrap_err();
    assert!(error.0.contains(folder.path().to_str().unwrap()) && error.0.contains("written again"), "{error}");
    assert_eq!(tree(folder.path()), ["part-00000-0.txt"]);
    fs::remove_dir(&in_the_way).unwrap();
    sink.abort();
    assert_eq!(tree(folder.path()), Vec::<String>::new());

    epoch(&mut sink, 0, &[words(&["a"])]);
    assert_eq!(tree(folder.path()), ["_tidemill/00000.json", "part-00000-0.txt"]);
}

/// What another writer has put in place is never replaced, neither a part nor a manifest.
#[test]
fn nothing_is_replaced() {
    for name in ["part-00000-0.txt", "_tidemill/00000.json"] {
        let folder = temporary();
        let mut sink = sink(folder.path(), OutputFormat::Text);
        sink.recover().unwrap();
        begin(&mut sink, 0, &[words(&["a"])]);
        fs::write(folder.path().join(name), "theirs").unwrap();
        let error = commit(&mut sink, 0).unwrap_err();
        assert!(error.0.contains("another writer"), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), "theirs");
    }
}

/// Where the file system cannot rename without replacing, a hard link does as well.
#[test]
fn a_link_does_not_replace_either() {
    let folder = temporary();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fs::write(&from, "ours").unwrap();
    disk::link_no_replace(&from, &to).unwrap();
    assert_eq!(tree(folder.path()), ["to"]);
    fs::write(&from, "other").unwrap();
    let error = disk::link_no_replace(&from, &to).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&to).unwrap(), "ours");
}

/// Two pipelines with one folder would take each other's files for leftovers; and files that look like ours without our
/// notes are somebody's data.
#[test]
fn a_folder_has_one_writer() {
    let folder = temporary();
    let mut first = sink(folder.path(), OutputFormat::Text);
    first.recover().unwrap();
    let mut second = sink(folder.path(), OutputFormat::Text);
    let error = second.recover().unwrap_err();
    assert!(error.0.contains("another pipeline is writing"), "{error}");
    assert_eq!(first.recover().unwrap(), Marker::Nothing, "one's own lock is no obstacle");
    drop(first);
    assert_eq!(second.recover().unwrap(), Marker::Nothing);

    let folder = temporary();
    fs::write(folder.path().join("part-00007-0.csv"), "data").unwrap();
    let error = sink(folder.path(), OutputFormat::Text).recover().unwrap_err();
    assert!(error.0.contains("part-00007-0.csv") && error.0.contains("empty folder"), "{error}");
    assert_eq!(tree(folder.path()), ["part-00007-0.csv"]);
}

/// Parts without the manifests that say they are committed are not taken for leftovers of a run that was killed, which
/// are of one epoch: that would be to delete them.
#[test]
fn parts_that_have_lost_their_manifests_are_kept() {
    let folder = temporary();
    let mut first = sink(folder.path(), OutputFormat::Text);
    first.recover().unwrap();
    (0..3).for_each(|number| epoch(&mut first, number, &[words(&["a"])]));
    drop(first);
    for number in 0..3 {
        fs::remove_file(folder.path().join(format!("_tidemill/0000{number}.json"))).unwrap();
    }
    let error = sink(folder.path(), OutputFormat::Text).recover().unwrap_err();
    assert!(error.0.contains("parts of epochs 0 to 2") && error.0.contains("put the manifests back"), "{error}");
    assert_eq!(tree(folder.path()), ["part-00000-0.txt", "part-00001-0.txt", "part-00002-0.txt"]);
}

/// A large epoch is cut into pieces, always in the same places.
#[test]
fn a_large_epoch_has_several_pieces() {
    let folder = temporary();
    let mut sink = sink(folder.path(), OutputFormat::Csv);
    sink.recover().unwrap();
    sink.set_piece_bytes(11);
    sink.begin(Epoch::FIRST, &words(&[]).schema()).unwrap();
    ["12345", "5678", "9"].iter().for_each(|word| sink.write(&words(&[word])).unwrap());
    commit(&mut sink, 0).unwrap();
    let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(tree(folder.path()), ["_tidemill/00000.json", "part-00000-0.csv", "part-00000-1.csv"]);
    assert_eq!(
        (read("part-00000-0.csv"), read("part-00000-1.csv")),
        ("word\n12345\n".into(), "word\n5678\n9\n".into())
    );
}

/// A pipeline runs for years: the notes about its epochs must not become more than its output.
#[test]
fn old_manifests_go() {
    let folder = temporary();
    let mut sink = sink(folder.path(), OutputFormat::Text);
    sink.recover().unwrap();
    (0..105).for_each(|number| epoch(&mut sink, number, &[]));
    let names = tree(folder.path());
    assert_eq!((names.len(), names.first().unwrap().as_str()), (100, "_tidemill/00005.json"));
    assert_eq!(sink.recover().unwrap(), at(104));

    // One that a run was killed before it could drop it goes with the next start.
    drop(sink);
    fs::write(folder.path().join("_tidemill/00004.json"), "{}").unwrap();
    assert_eq!(self::sink(folder.path(), OutputFormat::Text).recover().unwrap(), at(104));
    assert_eq!(tree(folder.path()), names);
}
