//! `tidemill explain` on a pipeline with a union that two transforms read, windows, a handler with two outlets, and a
//! join.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use tidemill_tests::{Folder, plugin};

use super::{assert_golden, beside};

fn explain(arguments: &[&str]) -> String {
    let folder = Folder::with(&fs::read_to_string(beside("pipeline.toml")).expect("it is beside this file"));
    fs::copy(plugin("behaving"), folder.path("words.wasm")).expect("the component was built");
    let explained = folder.call([&["explain", "pipeline.toml"], arguments].concat());
    assert_eq!((explained.code, explained.stderr()), (Some(0), String::new()));
    explained.stdout() + "\n"
}

/// From each sink up to its sources, with the columns at every step; what was shown above is not shown again.
#[test]
fn the_tree_of_a_plan() {
    assert_golden("explain.txt", &explain(&[]));
}

/// Programs follow `inputs` from part to part: each names a part that came before, or an outlet of one, whose columns
/// are there.
#[test]
fn the_plan_for_programs() {
    let plan: Value = serde_json::from_str(&explain(&["--format", "json"])).expect("it is JSON");
    assert_eq!((&plan["name"], &plan["trigger"]["every"]), (&"harbour".into(), &"5s".into()));
    let mut before = BTreeSet::new();
    let parts = plan["parts"].as_array().expect("a list");
    assert_eq!(parts.len(), 11);
    for part in parts {
        let columns = part["columns"].as_array().expect("a list");
        assert!(!columns.is_empty() && columns.iter().all(|column| column["data_type"].is_string()), "{part}");
        for input in part["inputs"].as_array().expect("a list") {
            assert!(before.contains(input.as_str().expect("a name")), "{part}");
        }
        assert_eq!(part["kind"] == "sink", part["mode"] == "append", "{part}");
        let name = part["name"].as_str().expect("a name");
        let columns = columns.iter().filter_map(|column| column["name"].as_str()?.split_once('.'));
        before.extend(columns.map(|(outlet, _)| format!("{name}.{outlet}")));
        before.insert(name.to_owned());
    }
}
