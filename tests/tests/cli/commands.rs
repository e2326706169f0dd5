//! What the command line says without running anything: help, refusals, and what it shows of a pipeline.

use serde_json::Value;
use tidemill_tests::{Folder, Running, tidemill};

use crate::RATE;

/// Help is on standard output and ends well, because it was asked for; every command shows how it is used, and exit
/// codes are where a script's author looks for them.
#[test]
fn help_is_complete() {
    let help = Running::start(&mut tidemill(["--help"])).finish();
    assert_eq!(help.code, Some(0));
    for expected in ["Exit codes:", "130", "TIDEMILL_LOG"] {
        assert!(help.stdout().contains(expected), "{}", help.stdout());
    }
    let commands = ["new", "build", "inspect", "test", "validate", "explain", "run", "savepoint", "verify", "state"];
    for command in commands {
        assert!(help.stdout().contains(&format!("\n  {command} ")), "{}", help.stdout());
        let help = Running::start(&mut tidemill([command, "--help"])).finish();
        assert_eq!(help.code, Some(0), "{command}");
        assert!(
            help.stdout().contains("Example:\n  ") && help.stdout().contains(&format!("tidemill {command} ")),
            "{command}"
        );
    }
    let version = Running::start(&mut tidemill(["-V"])).finish();
    assert_eq!((version.code, version.stdout()), (Some(0), format!("tidemill {}", env!("CARGO_PKG_VERSION"))));
}

/// A command line that makes no sense is told apart from a pipeline that fails: nothing has run.
#[test]
fn a_wrong_command_line_exits_with_2() {
    let folder = Folder::with(RATE);
    let wrong: [(&[&str], &str); 8] = [
        (&[], "Usage:"),
        (&["sail"], "unrecognized subcommand 'sail'"),
        (&["run"], "PIPELINE.toml"),
        (&["run", "pipeline.toml", "--timeout", "30"], "\"500ms\", \"5s\""),
        (&["run", "pipeline.toml", "--workers", "0"], "1..=1024"),
        (&["run", "pipeline.toml", "--set", "trigger"], "`trigger` is not key=value"),
        (&["run", "elsewhere.toml"], "the manifest cannot be read"),
        (&["inspect", "pipeline.toml"], "pipeline.toml is not a WebAssembly component"),
    ];
    for (arguments, expected) in wrong {
        let finished = folder.call(arguments);
        assert_eq!(finished.code, Some(2), "{arguments:?}: {}", finished.stderr());
        assert!(finished.stderr().contains(expected), "{arguments:?}: {}", finished.stderr());
        assert!(finished.stdout.is_empty(), "{arguments:?}: {}", finished.stdout());
    }
}

/// A filter for the log that is none must not be taken for "log nothing".
#[test]
fn a_wrong_log_filter_is_refused() {
    let folder = Folder::with(RATE);
    let mut command = folder.command(["validate", "pipeline.toml"]);
    let finished = Running::start(command.env("TIDEMILL_LOG", "=loud=")).finish();
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr().contains("TIDEMILL_LOG is `=loud=`"), "{}", finished.stderr());
}

/// What is wrong is shown at its place, plainly where no terminal is; what is right is one line that says so.
#[test]
fn validate_tells_right_from_wrong() {
    let folder = Folder::with(RATE);
    let right = folder.call(["validate", "pipeline.toml"]);
    assert_eq!((right.code, right.stderr()), (Some(0), String::new()));
    assert_eq!(right.stdout(), "pipeline.toml: ok (1 source, 1 transform, 1 sink, 0 plugins)");
    assert!(!folder.path(".tidemill").exists(), "validate must leave nothing behind");

    folder.write("wrong.toml", RATE.replace("count(*)", "count(nothing)").replace("trigger", "triger"));
    let wrong = folder.call(["validate", "wrong.toml"]);
    assert_eq!((wrong.code, wrong.stdout.len()), (Some(2), 0));
    let expected = "error: unknown key `triger`\n --> wrong.toml:3:1\n";
    assert!(
        wrong.stderr().contains(expected) && wrong.stderr().contains("did you mean `trigger`?"),
        "{}",
        wrong.stderr()
    );
    assert!(!wrong.stderr().contains('\x1b'), "{}", wrong.stderr());
}

/// The last word is the command line's, and it is checked like the file, with its own place in messages.
#[test]
fn set_changes_the_manifest() {
    let folder = Folder::with(RATE);
    let set = ["--set", "sources.numbers.rows_per_second=7", "--set", "trigger=once"];
    let explained = folder.call([&["explain", "pipeline.toml"], &set[..]].concat());
    assert_eq!(explained.code, Some(0), "{}", explained.stderr());
    assert!(explained.stdout().contains("rate 7 rows/s") && explained.stdout().contains("(trigger: once)"));

    let wrong = folder.call(["explain", "pipeline.toml", "--set", "sources.numbers.rows_per_sec=7"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr().contains("unknown key `rows_per_sec`") && wrong.stderr().contains("--> command line"));
}

/// Other programs read the plan: each part with its inputs and typed columns.
#[test]
fn explain_as_json() {
    let finished = Folder::with(RATE).call(["explain", "pipeline.toml", "--format", "json"]);
    let plan: Value = serde_json::from_str(&finished.stdout()).unwrap();
    assert_eq!(plan["name"], "rate");
    let parts: Vec<(&str, &str)> = plan["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| (part["kind"].as_str().unwrap(), part["name"].as_str().unwrap()))
        .collect();
    assert_eq!(parts, [("source", "numbers"), ("transform", "counts"), ("sink", "table")]);
    let columns = serde_json::json!([{"name": "rest", "data_type": "int64"}, {"name": "count", "data_type": "int64"}]);
    assert_eq!((&plan["parts"][1]["columns"], &plan["parts"][1]["inputs"][0]), (&columns, &Value::from("numbers")));
}
