//! A plugin is changed while the pipeline runs: the story that `run --watch` exists for.

use std::fs;

use tidemill_tests::{Folder, Running, repository};

/// Every line is marked by the plugin, written to files, and counted over all time.
const PIPELINE: &str = r#"
name = "marked"
trigger = { every = "50ms" }

[plugins.mark]
crate = "plugin"

[sources.lines]
type = "files"
path = "in"

[transforms.marked]
inputs = ["lines"]
call = "mark.mark"

[transforms.total]
inputs = ["marked"]
group_by = []
aggregates = { total = "count(*)" }

[sinks.kept]
inputs = ["marked"]
type = "files"
path = "out"
format = "text"

[sinks.shown]
inputs = ["total"]
type = "console"
mode = "complete"
"#;

fn plugin(body: &str) -> String {
    format!(
        r#"use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Line<'a> {{
    value: &'a str,
}}

#[derive(Row)]
struct Marked {{
    value: String,
}}

/// Marks a line.
#[transform]
fn mark(line: Line<'_>) -> Marked {{
    {body}
}}

plugin!(mark);
"#
    )
}

fn marks_with(mark: &str) -> String {
    plugin(&format!("Marked {{ value: format!(\"{mark} {{}}\", line.value) }}"))
}

fn folder() -> Folder {
    let folder = Folder::with(PIPELINE);
    let sdk = repository().join("sdk");
    folder.write(
        "plugin/Cargo.toml",
        format!(
            "[package]\nname = \"mark\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n\
             [dependencies]\ntidemill-sdk = {{ path = {sdk:?} }}\n[workspace]\n"
        ),
    );
    // The versions the rest of the repository is built with, so that nothing has to be looked up.
    fs::copy(repository().join("Cargo.lock"), folder.path("plugin/Cargo.lock")).expect("the repository has one");
    folder.write("plugin/src/lib.rs", marks_with("one"));
    fs::create_dir(folder.path("in")).expect("the folder is new");
    folder
}

/// Puts a file of ten lines where the pipeline looks. It comes by rename, whole.
fn feed(folder: &Folder, file: usize) {
    let lines: String = (0..10).map(|line| format!("{file}-{line}\n")).collect();
    folder.write(&format!("in/.{file}"), &lines);
    fs::rename(folder.path(&format!("in/.{file}")), folder.path(&format!("in/{file}.txt"))).expect("one folder");
}

/// Reads the tables on standard output until one shows this total.
fn wait_for_total(running: &mut Running, total: usize) {
    let wanted = format!("| {total} ");
    while let Some(line) = running.stdout_line() {
        if line.starts_with(&wanted) {
            return;
        }
    }
    panic!("the total never came to {total}");
}

/// A plugin is changed, broken, and mended while lines come in. Each line is marked and counted once, the mark changes
/// once for each good version, the total goes on over all of them, and the broken ones never run.
#[test]
fn a_changed_plugin_is_swapped_without_a_lost_or_doubled_row() {
    let folder = folder();
    feed(&folder, 1);
    let mut running = folder.start(["run", "pipeline.toml", "--watch"]);
    wait_for_total(&mut running, 10);

    folder.write("plugin/src/lib.rs", marks_with("two"));
    running.wait_for_message("swapped before epoch");
    feed(&folder, 2);
    wait_for_total(&mut running, 20);

    // One that does not build.
    folder.write("plugin/src/lib.rs", plugin("line.values"));
    running.wait_for_message("refused");
    feed(&folder, 3);
    wait_for_total(&mut running, 30);

    // One that builds and does not fit: the pipeline has no such column.
    folder.write(
        "plugin/src/lib.rs",
        marks_with("three").replace("Line<'a> {\n    value", "Line<'a> {\n    text").replace("line.value", "line.text"),
    );
    running.wait_for_message("refused");
    feed(&folder, 4);
    wait_for_total(&mut running, 40);

    folder.write("plugin/src/lib.rs", marks_with("four"));
    running.wait_for_message("swapped before epoch");
    feed(&folder, 5);
    wait_for_total(&mut running, 50);

    running.interrupt();
    assert_eq!(running.finish().code, Some(0));
    let expected = [("one", 1), ("two", 2), ("two", 3), ("two", 4), ("four", 5)];
    let lines = |(mark, file): &(&str, usize)| (0..10).map(|line| format!("{mark} {file}-{line}")).collect::<Vec<_>>();
    assert_eq!(folder.output("out"), expected.iter().flat_map(lines).collect::<Vec<_>>());
}
