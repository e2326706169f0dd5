//! `tidemill inspect` on a plugin with a function of each role.

use std::{fs, path::Path};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tidemill_tests::{plugin, tidemill};

use super::assert_golden;

fn inspect(arguments: &[&str]) -> String {
    let output = tidemill(["inspect"]).arg(plugin("behaving")).args(arguments).output().expect("the binary is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is text")
}

/// What `sha256sum` says, and what a manifest's `sha256` is compared with.
fn digest(file: &Path) -> String {
    let bytes = fs::read(file).expect("the component was built");
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a plugin may import of WASI is up to its compiler; what it may import beside that is up to us.
fn assert_imports<'a>(imports: impl Iterator<Item = &'a str>) {
    let (own, others): (Vec<&str>, Vec<&str>) = imports.partition(|import| import.starts_with("tidemill:"));
    let expected = ["log", "context", "types", "outlets"].map(|name| format!("tidemill:plugin/{name}@0.1.0"));
    assert_eq!(own, expected);
    assert!(!others.is_empty() && others.iter().all(|import| import.starts_with("wasi:")), "{others:?}");
}

/// Everything one wants to know of a file somebody has handed over: what it can do, with which columns and settings,
/// what it can reach, and which file it is.
#[test]
fn a_plugin_for_people() {
    let file = plugin("behaving");
    let shown = inspect(&[]);
    let (functions, imports) = shown.split_once("\nimports\n").expect("a plugin has imports");
    assert_imports(imports.lines().map(str::trim));
    let size = fs::metadata(file).expect("the component was built").len();
    let place = format!("{}, {size} bytes", file.display());
    assert!(functions.contains(&place) && functions.contains(&digest(file)), "{functions}");
    assert_golden("inspect.txt", &functions.replace(&place, "FILE, SIZE bytes").replace(&digest(file), "DIGEST"));
}

/// The same for programs, a function a line.
#[test]
fn a_plugin_for_programs() {
    let file = plugin("behaving");
    let shown: Value = serde_json::from_str(&inspect(&["--format", "json"])).expect("it is JSON");
    assert_eq!((&shown["name"], &shown["version"]), (&"behaving".into(), &env!("CARGO_PKG_VERSION").into()));
    assert_eq!((&shown["sha256"], &shown["path"]), (&digest(file).into(), &file.to_str().into()));
    assert_eq!(shown["bytes"], fs::metadata(file).expect("the component was built").len());
    assert_imports(shown["imports"].as_array().expect("a list").iter().filter_map(Value::as_str));
    let functions = shown["functions"].as_array().expect("a list").iter();
    assert_golden("inspect.jsonl", &functions.map(|function| format!("{function}\n")).collect::<String>());
}
