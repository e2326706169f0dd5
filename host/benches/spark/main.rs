//! Tidemill's part of the comparison with Spark, for `compare.py` beside this file, which builds and calls it:
//!
//! - `generate` makes the input and prints where it is, as JSON;
//! - `run PIPELINE OUTPUT [KEY=VALUE ...]` runs a pipeline once in this process, so that its peak of memory is known,
//!   prints figures as JSON, and then leaves the rows of its memory sink in the folder `OUTPUT` as CSV.

#[path = "../support/mod.rs"]
mod support;

use std::{fs, fs::File, path::Path};

use arrow::csv;
use serde_json::json;
use support::{
    events, now, peak_kib,
    pipeline::{loader, run},
    root, text,
};
use tidemill::{sink::MemoryTables, toolchain};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // `cargo bench` adds a flag of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => println!("comparison with Spark: python3 host/benches/spark/compare.py"),
        ["generate"] => println!("{}", json!({ "text": text::large(), "events": events::events().folder })),
        ["run", pipeline, output, settings @ ..] => measure(pipeline, Path::new(output), settings),
        other => panic!("`generate` or `run PIPELINE OUTPUT [KEY=VALUE ...]`, not {other:?}"),
    }
}

fn measure(pipeline: &str, output: &Path, settings: &[&str]) {
    let mut settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
    if pipeline == "word-count" {
        // Building a plugin is no part of running it.
        let built = toolchain::build(&root().join("guest-examples/word-count"), &mut |line| eprintln!("{line}"));
        let plugin = built.unwrap_or_else(|error| panic!("{error}"));
        settings.push(format!("plugins.words={{path={plugin:?}}}"));
    }
    let started = now();
    let ran = run(&loader(), pipeline, &settings);
    let seconds = started.elapsed().as_secs_f64();
    println!("{}", json!({ "seconds": seconds, "peak_kib": peak_kib(), "epochs": ran.epochs }));
    write_table(&ran.tables, output);
}

/// The rows of the memory sink, if that is what the pipeline has.
fn write_table(tables: &MemoryTables, output: &Path) {
    let Some(table) = tables.get(&"out".into()) else { return };
    let snapshot = table.snapshot();
    assert_eq!(snapshot.dropped, 0, "the table holds all rows");
    fs::create_dir_all(output).expect("the folder can be written");
    let mut writer = csv::Writer::new(File::create(output.join("table.csv")).expect("the folder can be written"));
    snapshot.rows.iter().for_each(|rows| writer.write(rows).expect("there is room"));
}
