//! A wrong use of a macro is met by people on their first day, so each error must say what to write instead. The whole
//! text of every one is kept beside its case; `TRYBUILD=overwrite cargo test -p tidemill-sdk --test ui` renews them, to
//! be read again before they are kept.
//!
//! In `ui/rustc` are those where the compiler has found the fault, and our words stand among its own. They change from
//! one release to the next, so they are compared on one release only: the oldest that is promised, which is that of the
//! checks.

use std::{
    env,
    io::{self, Write},
    process::Command,
};

/// The release that `ui/rustc` was written with.
const RELEASE: &str = env!("CARGO_PKG_RUST_VERSION");

#[test]
fn wrong_uses_say_what_to_write() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    let rustc = rustc_version();
    if rustc.starts_with(&format!("rustc {RELEASE}.")) {
        cases.compile_fail("tests/ui/rustc/*.rs");
    } else {
        // Not with `eprintln!`, which is shown for failed tests alone.
        let told = writeln!(
            io::stderr(),
            "NOT CHECKED: the errors in tests/ui/rustc, which are those of rustc {RELEASE}; this is {rustc}"
        );
        told.expect("somebody listens");
    }
}

fn rustc_version() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("it has compiled this test, so it is there");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
