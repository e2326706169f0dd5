//! What `inspect` shows of a plugin and `explain` of a pipeline: as text, where people look for a name or a type, and
//! as JSON, which programs read.
//!
//! The whole of each is kept beside this file. `TIDEMILL_BLESS=1 cargo test` writes them anew, to be read before they
//! are kept.

mod explain;
mod inspect;

use std::{env, fs, path::PathBuf};

/// A file beside this one.
fn beside(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/shown").join(name)
}

/// Compares with what is kept.
fn assert_golden(name: &str, actual: &str) {
    let golden = beside(name);
    if env::var_os("TIDEMILL_BLESS").is_some() {
        fs::write(&golden, actual).expect("writing a golden file");
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert!(actual == expected, "{name} expected:\n{expected}\ngot:\n{actual}");
}
