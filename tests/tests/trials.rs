//! `tidemill test`: one function called with rows from a shell, before any pipeline exists.

use std::fs::File;

use tidemill_tests::{Finished, Folder, Running, plugin, repository};

/// Calls a function of the plugin `behaving` with these rows.
fn tried(arguments: &[&str], rows: &[&str]) -> Finished {
    let file = plugin("behaving").to_str().expect("a path of the repository is text");
    tried_of(file, arguments, rows)
}

fn tried_of(plugin: &str, arguments: &[&str], rows: &[&str]) -> Finished {
    let folder = Folder::empty();
    folder.write("rows.jsonl", rows.join("\n"));
    let mut command = folder.command(["test", plugin].iter().chain(arguments));
    let rows = File::open(folder.path("rows.jsonl")).expect("it was just written");
    Running::start(command.stdin(rows)).finish()
}

/// A function of any role can be tried, and what comes out is what a pipeline would get: of a filter the rows that
/// stay, of a reducer the result of all rows, of a batch handler each row with its outlet, of a function with a state
/// what it puts out.
#[test]
fn every_role_can_be_tried() {
    let words = [r#"{"word":"ebb"}"#, r#"{"word":"current"}"#, r#"{"word":"tide"}"#];
    let measured = [r#"{"word":"ebb","length":3}"#, r#"{"word":"tide","length":4}"#, r#"{"word":"ebb","length":30}"#];
    type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str]);
    let cases: [Case; 6] = [
        (
            &["tokenize"],
            &[r#"{"value":"ebb and flow"}"#],
            &[r#"{"word":"ebb"}"#, r#"{"word":"and"}"#, r#"{"word":"flow"}"#],
        ),
        (&["longer", "--config", r#"{"than": 3}"#], &words, &words[1..]),
        (&["longer", "--config", r#"{"than": 4}"#], &words, &words[1..2]),
        (&["Longest"], &words, &words[1..2]),
        (
            &["route"],
            &words,
            &[
                r#"{"outlet":"short","row":{"word":"ebb"}}"#,
                r#"{"outlet":"short","row":{"word":"tide"}}"#,
                r#"{"outlet":"long","row":{"word":"current"}}"#,
            ],
        ),
        (&["sum_until_over"], &measured, &[r#"{"word":"ebb","sum":33}"#, r#"{"word":"tide","sum":4}"#]),
    ];
    for (arguments, rows, expected) in cases {
        let mut tried = tried(arguments, rows);
        assert_eq!((tried.code, tried.stderr()), (Some(0), String::new()), "{arguments:?}");
        // Which key comes first is nobody's promise.
        if arguments[0] == "sum_until_over" {
            tried.stdout.sort();
        }
        assert_eq!(tried.stdout, expected, "{arguments:?}");
    }
}

/// The folder of a crate is as good as a file: it is built first, which is what its author wants to happen anyway.
#[test]
fn a_folder_is_built_and_tried() {
    let folder = repository().join("tests/plugins/behaving");
    let tried = tried_of(folder.to_str().expect("it is text"), &["double"], &[r#"{"length":21}"#]);
    assert_eq!((tried.code, tried.stdout()), (Some(0), r#"{"length":42}"#.to_owned()), "{}", tried.stderr());
}

/// A wrong config is told before anyone has typed a row, with its place on the command line and what it should be.
#[test]
fn a_wrong_config_is_refused() {
    let cases: [(&[&str], &[&str]); 5] = [
        (&["longer"], &["than"]),
        (&["longer", "--config", "{than: 3}"], &["--config <JSON>", "not JSON"]),
        (&["longer", "--config", r#"{"than": "three"}"#], &["than", "tidemill test "]),
        (&["longer", "--config", r#"{"then": 3}"#], &["then"]),
        (&["double", "--config", r#"{"by": 3}"#], &["double"]),
    ];
    for (arguments, phrases) in cases {
        let refused = tried(arguments, &[]);
        assert_eq!((refused.code, refused.stdout.len()), (Some(2), 0), "{arguments:?}: {}", refused.stderr());
        for phrase in phrases {
            assert!(refused.stderr().contains(phrase), "{arguments:?}, no `{phrase}` in: {}", refused.stderr());
        }
    }
}
