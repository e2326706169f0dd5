//! Pipelines whose parts do not fit together.
//!
//! What one file can tell by itself is checked elsewhere; here plugins, columns and expressions are. A case is
//! `ui/NAME.toml` with `NAME.stderr` beside it, the whole text of the error. `TIDEMILL_BLESS=1 cargo test` writes the
//! texts anew: read them aloud.

use std::{fmt::Write as _, fs, path::Path};

use tidemill_tests::{Folder, plugin};

/// A pipeline that does not fit is refused before any of it runs, and its author is told which two places do not fit
/// and what to write instead, in every fault at once.
#[test]
fn pipelines_that_do_not_fit() {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let bless = std::env::var_os("TIDEMILL_BLESS").is_some();
    let folder = Folder::empty();
    fs::copy(plugin("behaving"), folder.path("words.wasm")).expect("the component was built");
    let files = fs::read_dir(&ui).expect("the folder of golden files");
    let mut cases: Vec<_> = files.map(|file| file.expect("a golden file").path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    assert!(!cases.is_empty(), "no golden files in {}", ui.display());
    let mut differences = String::new();
    for case in cases {
        let name = case.file_name().and_then(|name| name.to_str()).expect("a file with a name");
        folder.write(name, fs::read(&case).expect("a golden file"));
        let refused = folder.call(["validate", name]);
        assert_eq!(refused.code, Some(2), "{name} is right, or goes wrong in another way: {refused:?}");
        assert!(refused.stdout.is_empty(), "{name}: {refused:?}");
        let actual = refused.stderr() + "\n";
        let golden = case.with_extension("stderr");
        if bless {
            fs::write(&golden, &actual).expect("writing a golden file");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if actual != expected {
            write!(differences, "{name} expected:\n{expected}\n{name} got:\n{actual}\n").expect("writing to a string");
        }

        let run = folder.call(["run", name]);
        assert_eq!(
            (run.code, run.stderr() + "\n"),
            (Some(2), actual),
            "{name} is refused otherwise when it is to be run"
        );
        assert!(!folder.path(".tidemill").exists() && !folder.path("out").exists(), "{name} left something behind");
    }
    assert!(differences.is_empty(), "{differences}");
}

/// The error says which column to map, so mapping it must be enough.
#[test]
fn a_mapped_column_fits() {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let wrong = fs::read_to_string(ui.join("column-missing.toml")).expect("a golden file");
    let call = "call = \"words.measure\"\n";
    assert!(wrong.contains(call), "{wrong}");
    let folder = Folder::with(&wrong.replace(call, &format!("{call}columns = {{ word = \"value\" }}\n")));
    fs::copy(plugin("behaving"), folder.path("words.wasm")).expect("the component was built");
    folder.write("in/a.txt", "ebb\nflood\n");
    let run = folder.run(&["trigger=available-now"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr());
    assert_eq!(folder.column("out", "length"), ["3", "5"]);
}
