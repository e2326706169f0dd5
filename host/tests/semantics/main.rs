//! What windows, watermarks and state make of rows, case by case: in `cases/spark` as Spark's own suites have it, in
//! `cases/further` where Spark has no such thing; and in any pipeline, against a naive model.
//!
//! A case is a pipeline and the rows of one step after the other. After each step everything that can be run is run,
//! trailing epochs without rows included, and what has come out is compared. Times are seconds since 1970, in rows and
//! in results.

mod case;
mod clock;
mod harness;
mod model;
mod plugins;
mod random;
mod store;

use std::{collections::BTreeSet, fs, path::Path};

use case::Case;
use plugins::Plugins;

#[test]
fn results_equal_those_of_spark() {
    run_all("spark", 20);
}

/// The numbers of the cases that were taken from Spark's suites, so that none gets lost. 36 is about starts of epochs,
/// which no script can tell: it is a test of `runtime/trigger.rs`. 37 is about Kafka, which cannot be read yet.
#[test]
fn no_case_of_spark_is_missing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/semantics/cases/spark");
    let cases = fs::read_dir(folder).expect("the cases are there").map(|entry| {
        let case: Case =
            toml::from_str(&fs::read_to_string(entry.expect("a file").path()).expect("text")).expect("a case");
        let number = case.id.split(' ').next().and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("`{}` begins with no number", case.id))
    });
    let found: BTreeSet<u32> = cases.collect();
    let numbers = [1, 3, 4, 5, 8, 9, 10, 12, 14, 16, 17, 19, 20, 22, 23, 24, 25, 26, 28, 29, 31, 32, 33, 34, 38, 40];
    assert_eq!(found, BTreeSet::from(numbers));
}

#[test]
fn what_spark_has_not_is_as_documented() {
    run_all("further", 4);
}

/// What no list of cases covers: windows, sessions, duplicates, joins, states and watermarks in every combination, with
/// rows in any order, restarts anywhere, any number of workers, and state that does not fit into memory. Each epoch of
/// a pipeline made at random must give what a naive model of the rules gives.
#[test]
fn any_pipeline_gives_what_a_naive_model_gives() {
    random::run_many();
}

fn run_all(folder: &str, at_least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/semantics/cases").join(folder);
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("the cases are there").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= at_least, "cases are missing: {files:?}");
    let plugins = Plugins::new();
    let mut failures = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a case can be read");
        let case: Case = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        if let Err(difference) = harness::run(&case, &plugins, None) {
            failures.push(format!("{} ({})\n{difference}", case.id, case.from));
        }
    }
    assert!(failures.is_empty(), "{} cases differ:\n\n{}", failures.len(), failures.join("\n\n"));
}
