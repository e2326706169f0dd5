//! What is true of every example.

use std::{fs, path::PathBuf, process::Command};

use crate::run::{examples, text};

/// Whoever opens a pipeline reads in its first lines what it does and how to run it, and the command is the right one.
#[test]
fn every_pipeline_says_how_to_run_it() {
    for pipeline in pipelines() {
        let place = pipeline.strip_prefix(examples().parent().unwrap()).unwrap().display();
        let head: Vec<String> = text(&pipeline).lines().take(8).map(str::to_owned).collect();
        assert!(head[0].starts_with("# "), "{place}: {head:?}");
        let command = format!("cargo run --release -- run {place}");
        assert!(head.iter().any(|line| line.contains(&command)), "{place} does not say `{command}`");
    }
}

/// Every pipeline fits together with the plugins beside it, also those that no other test runs.
#[test]
fn every_pipeline_is_valid() {
    for pipeline in pipelines() {
        let output = Command::new(tidemill_tests::binary()).arg("validate").arg(&pipeline).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}:\n{errors}", pipeline.display());
    }
}

fn pipelines() -> Vec<PathBuf> {
    let folders = fs::read_dir(examples()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let pipelines: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "toml"))
        .filter(|file| file.file_name().is_some_and(|name| name != "Cargo.toml"))
        .collect();
    assert!(pipelines.len() >= 8, "{pipelines:?}");
    pipelines
}
