//! What the tree of dependencies may be: the rules of `deny.toml`, checked with nothing but cargo, so that they hold on
//! every machine that runs the tests. Vulnerabilities take a database; those are cargo-deny's alone.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;
use tidemill_tests::{cargo, repository};
use toml::Table;

fn read(file: &str) -> Table {
    let text = fs::read_to_string(repository().join(file)).expect("the file is in the repository");
    text.parse().unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Every package of `Cargo.lock`, on whatever platform it is used.
fn locked() -> Vec<Table> {
    let lock = read("Cargo.lock");
    let packages = lock["package"].as_array().expect("a lock file lists packages");
    packages.iter().map(|package| package.as_table().expect("a package has a name").clone()).collect()
}

fn text<'a>(table: &'a Table, key: &str) -> &'a str {
    table[key].as_str().expect("it is a text")
}

/// A batch made with one version of Arrow is a foreign type to another. The list in `deny.toml` is by name, so a part
/// of Arrow that is new to the tree must be added there.
#[test]
fn there_is_one_arrow() {
    let rules = read("deny.toml");
    let banned = rules["bans"]["deny"].as_array().expect("a list").iter();
    let single: BTreeSet<&str> = banned
        .filter(|entry| entry.get("deny-multiple-versions").and_then(toml::Value::as_bool) == Some(true))
        .map(|entry| entry["crate"].as_str().expect("a name"))
        .collect();

    let packages = locked();
    let versions = |name: &str| packages.iter().filter(|package| text(package, "name") == name).count();
    let crowded: Vec<&str> = single.iter().copied().filter(|name| versions(name) != 1).collect();
    assert!(crowded.is_empty(), "there must be exactly one version of each of these in Cargo.lock: {crowded:?}");

    let names = packages.iter().map(|package| text(package, "name"));
    let unlisted: Vec<&str> =
        names.filter(|name| (*name == "arrow" || name.starts_with("arrow-")) && !single.contains(name)).collect();
    assert!(unlisted.is_empty(), "list these in deny.toml with deny-multiple-versions: {unlisted:?}");
}

/// A build must not reach for code that can change or vanish under one name: one registry, and no git.
#[test]
fn everything_comes_from_one_registry() {
    let packages = locked();
    let foreign: BTreeSet<&str> = packages.iter().filter_map(|package| package.get("source")?.as_str()).collect();
    assert_eq!(foreign.len(), 1, "{foreign:?}");
    assert!(foreign.iter().all(|source| source.starts_with("registry+")), "{foreign:?}");
}

/// Who passes the binary on must know what it is bound to: a licence that is not on the list of `deny.toml` is a
/// decision, not an update.
#[test]
fn licences_are_allowed() {
    let rules = read("deny.toml");
    let allowed = rules["licenses"]["allow"].as_array().expect("a list").iter();
    let allowed: BTreeSet<&str> = allowed.map(|name| name.as_str().expect("a name")).collect();
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("cargo lists packages");
    assert!(packages.len() > 100, "only {} packages: this cannot be all", packages.len());
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(|licence| allows(&allowed, licence)))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "licences that deny.toml does not allow:\n{}", refused.join("\n"));
}

/// The reading of a licence must not be more generous than its words.
#[test]
fn licence_expressions_are_read_as_meant() {
    let allowed = BTreeSet::from(["MIT", "Apache-2.0 WITH LLVM-exception", "Zlib"]);
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "GPL-3.0/MIT",
        "MIT AND Zlib",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        "(GPL-3.0 OR MIT) AND Zlib",
        "GPL-3.0 AND Zlib OR MIT",
    ] {
        assert!(allows(&allowed, good), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Zlib) AND GPL-3.0", "Apache-2.0", "MIT AND (GPL-3.0 OR ISC)"]
    {
        assert!(!allows(&allowed, bad), "{bad}");
    }
}

/// What cargo knows of the packages that are used on this machine; others need not have been fetched.
fn metadata() -> Value {
    let run = |command: &mut Command| {
        let output = command.current_dir(repository()).output().expect("cargo has run these tests, so it is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("cargo and rustc write UTF-8")
    };
    let version = run(cargo().arg("-vV"));
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo knows its host");
    let json = run(cargo().args(["metadata", "--locked", "--format-version", "1", "--filter-platform", host]));
    serde_json::from_str(&json).expect("it is JSON")
}

/// Whether an SPDX expression can be met with the licences allowed. `/` is how `OR` was once written.
fn allows(allowed: &BTreeSet<&str>, expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let met = either(allowed, &mut words);
    assert_eq!(words.next(), None, "`{expression}` goes on after its end");
    met
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(allowed: &BTreeSet<&str>, words: &mut Words<'_>) -> bool {
    let mut met = both(allowed, words);
    while words.next_if_eq(&"OR").is_some() {
        met |= both(allowed, words);
    }
    met
}

fn both(allowed: &BTreeSet<&str>, words: &mut Words<'_>) -> bool {
    let mut met = one(allowed, words);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(allowed, words);
    }
    met
}

fn one(allowed: &BTreeSet<&str>, words: &mut Words<'_>) -> bool {
    match words.next() {
        Some("(") => {
            let met = either(allowed, words);
            assert_eq!(words.next(), Some(")"), "a bracket that does not close");
            met
        }
        Some(licence) => match words.next_if_eq(&"WITH").and_then(|_| words.next()) {
            Some(exception) => allowed.contains(format!("{licence} WITH {exception}").as_str()),
            None => allowed.contains(licence),
        },
        None => false,
    }
}
