//! `tidemill new`: a newcomer's first crate works, step by step as its README says, whatever its role is.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tidemill_tests::{Finished, Folder, Running, cargo, repository, tidemill};

/// A role and what its crate starts with.
struct Case {
    role: &'static str,
    function: &'static str,
    /// What the pipeline shows, long cells cut short.
    tables: &'static [&'static [&'static str]],
}

const CASES: [Case; 5] = [
    Case {
        role: "transform",
        function: "tokenize",
        tables: &[&[
            "and | 1",
            "for | 1",
            "man | 1",
            "mill | 1",
            "no | 1",
            "the | 4",
            "tide | 2",
            "time | 1",
            "turns | 2",
            "wait | 1",
            "wheel | 2",
        ]],
    },
    Case { role: "filter", function: "long_enough", tables: &[&["the wheel turns t...", "time and tide wai..."]] },
    Case {
        role: "reducer",
        function: "Longest",
        tables: &[&["m | mill", "t | time and tide wai...", "w | water wheel"]],
    },
    Case { role: "keyed-state", function: "record", tables: &[&["gate | 3.0", "gate | 4.5", "wheel | 7.5"]] },
    Case {
        role: "batch-handler",
        function: "route",
        tables: &[&["ERROR the wheel i..."], &["INFO the gate is ...", "INFO the tide is ..."]],
    },
];

/// What is kept from one run to the next, so that only the new crates themselves are built: the SDK that the binary
/// carries, in a place that tells its content, and what cargo has made of it.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-plugin").join(name)
}

/// Runs a command in this folder to its end. `cargo` builds in `target`, as it does when nobody says otherwise.
fn finish(command: &mut Command, folder: &Path) -> Finished {
    command.current_dir(folder).env("XDG_DATA_HOME", kept("data")).env("CARGO_TARGET_DIR", "target");
    Running::start(command).finish()
}

/// The same with a command that must end well.
fn done(command: &mut Command, folder: &Path) -> Finished {
    let finished = finish(command, folder);
    assert_eq!(finished.code, Some(0), "{command:?}: {}", finished.stderr());
    finished
}

/// The rows of each table, sorted: those of a group have no order.
fn tables(run: &Finished) -> Vec<Vec<String>> {
    let row = |line: &String| {
        let cells = line.strip_prefix('|')?.strip_suffix('|')?.split('|');
        Some(cells.map(str::trim).collect::<Vec<_>>().join(" | "))
    };
    let table = |lines: &[String]| {
        let mut rows: Vec<String> = lines.iter().filter_map(row).skip(1).collect();
        rows.sort();
        rows
    };
    run.stdout.split(|line| line.is_empty()).map(table).filter(|rows| !rows.is_empty()).collect()
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    let below = |path: PathBuf| match path.is_dir() {
        true => files(&path),
        false => BTreeMap::from([(path.clone(), fs::read(path).expect("a file can be read"))]),
    };
    paths.flat_map(below).collect()
}

/// A role that is offered is a promise: a new one must be tried here too.
#[test]
fn every_role_on_offer_is_tried() {
    let refused = Folder::empty().call(["new", "words", "--role", "none"]);
    let roles = CASES.map(|case| case.role).join(", ");
    assert!(refused.stderr().contains(&format!("[possible values: {roles}]")), "{}", refused.stderr());
}

/// The crate's own test passes, it builds without a warning, the component says what it is, and where there is a
/// pipeline, it shows the right rows once and finds nothing new the second time.
#[test]
fn a_new_crate_works_at_once() {
    fs::create_dir_all(kept("target")).unwrap();
    for Case { role, function, tables: expected } in CASES {
        let folder = Folder::empty();
        let name = format!("new-{role}");
        let made = done(&mut tidemill(["new", &name, "--role", role]), &folder.path(""));
        assert_eq!(made.stdout.last().map(String::as_str), Some("  tidemill run pipeline.toml"), "{role}");

        let dir = folder.path(&name);
        symlink(kept("target"), dir.join("target")).unwrap();
        // The versions the rest of the repository is built with, so that nothing has to be looked up.
        fs::copy(repository().join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();

        let tested = done(cargo().arg("test"), &dir);
        assert!(tested.stdout().contains("test result: ok. 1 passed; 0 failed; 0 ignored"), "{}", tested.stdout());

        let built = done(&mut tidemill(["build"]), &dir);
        assert!(built.stdout().contains(&format!("\n  {function} ({role})")), "{}", built.stdout());
        assert!(!built.stderr().contains("warning"), "{role}: {}", built.stderr());

        let inspected = done(&mut tidemill(["inspect", &built.stdout[0], "--format", "json"]), &dir);
        let inspected: Value = serde_json::from_str(&inspected.stdout()).unwrap();
        assert_eq!((&inspected["name"], inspected["functions"].as_array().unwrap().len()), (&json!(name), 1));
        let described = &inspected["functions"][0];
        assert_eq!((&described["name"], &described["role"]), (&json!(function), &json!(role)));

        assert_eq!(tables(&done(&mut tidemill(["run", "pipeline.toml"]), &dir)), expected, "{role}");
        assert!(done(&mut tidemill(["run", "pipeline.toml"]), &dir).stdout.is_empty(), "{role}");
    }
}

/// Somebody's work is never overwritten, nor mixed with the files of another role.
#[test]
fn a_crate_that_is_there_is_left_alone() {
    let roles = CASES.map(|case| case.role);
    for (role, other) in roles.iter().zip(roles.iter().cycle().skip(1)) {
        let folder = Folder::empty();
        done(&mut tidemill(["new", "words", "--role", role]), &folder.path(""));
        let before = files(&folder.path(""));
        assert!(before.contains_key(&folder.path("words/src/lib.rs")), "{before:?}");

        let refused = finish(&mut tidemill(["new", "words", "--role", other]), &folder.path(""));
        let error = "error: `words` is there already and not empty: choose another name or place";
        assert_eq!((refused.code, refused.stdout(), refused.stderr()), (Some(2), String::new(), error.to_owned()));
        assert!(files(&folder.path("")) == before, "a {other} has changed a {role}");
    }
}
