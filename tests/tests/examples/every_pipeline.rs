//! What is true of every example.

use std::path::PathBuf;

use tidemill_tests::repository;

use crate::run::{Example, entries, examples, text};

/// Whoever opens a pipeline reads in its first lines what it does and how to run it, and the command is the right one.
#[test]
fn every_pipeline_says_how_to_run_it() {
    for pipeline in pipelines() {
        let place = pipeline.strip_prefix(repository()).unwrap().display();
        let head: Vec<String> = text(&pipeline).lines().take(8).map(str::to_owned).collect();
        assert!(head[0].starts_with("# "), "{place}: {head:?}");
        let command = format!("cargo run --release -- run {place}");
        assert!(head.iter().any(|line| line.contains(&command)), "{place} does not say `{command}`");
    }
}

/// Every pipeline fits together with the plugins beside it, also one that no other test runs.
#[test]
fn every_pipeline_is_valid() {
    pipelines().iter().for_each(|pipeline| drop(Example::new(pipeline.to_str().unwrap())));
}

/// The README lists what there is to look at, and nothing that is not there.
#[test]
fn the_readme_lists_every_pipeline() {
    let readme = text(&repository().join("README.md"));
    let listed = readme.lines().filter_map(|line| line.strip_prefix("| `guest-examples/")?.split_once('`'));
    let mut listed: Vec<PathBuf> = listed.map(|(path, _)| examples().join(path)).collect();
    listed.sort();
    assert_eq!(listed, pipelines());
}

/// An example is read before it is run: a plugin of more than a screen or two would not be.
#[test]
fn every_plugin_is_short() {
    for folder in entries(&examples()) {
        let source = folder.join("src/lib.rs");
        let lines = if source.exists() { text(&source).lines().count() } else { 0 };
        assert!(lines <= 60, "{}: {lines} lines", source.display());
    }
}

fn pipelines() -> Vec<PathBuf> {
    let folders = entries(&examples()).into_iter().filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| entries(&folder)).filter(|file| file.extension() == Some("toml".as_ref()));
    let pipelines: Vec<PathBuf> = files.filter(|file| !file.ends_with("Cargo.toml")).collect();
    assert!(pipelines.len() >= 10, "{pipelines:?}");
    pipelines
}
