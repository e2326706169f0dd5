//! The binary under test.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

/// Names the binary to test instead of building one: an installed one, for example.
const GIVEN: &str = "TIDEMILL_BINARY";

/// What cargo sets for the tests it runs. Crates that are built again when one of these changes would be built over and
/// over, here and by whoever calls cargo next.
const SET_BY_CARGO: [&str; 4] = ["CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PRIMARY_"];

/// The path of the `tidemill` binary.
///
/// cargo gives the path of a binary to tests of the same package only. So the first call builds it, which takes a
/// moment when nothing has changed, and asks cargo where it is: that is right whatever the target folder is called, and
/// it never is an old one. It is a release build whatever the tests are, because a debug build is too slow to be waited
/// for, and because it is the one that users run.
///
/// # Panics
///
/// When it does not build: no test can go on.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| env::var_os(GIVEN).map_or_else(build, PathBuf::from))
}

/// A call of the binary, its environment free of what would change what it prints.
pub fn tidemill(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).env_remove("TIDEMILL_LOG").env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// A call of cargo, its environment free of what belongs to the cargo that runs the tests: of that cargo, or, when they
/// are run by hand, of the one that has built them.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| SET_BY_CARGO.iter().any(|prefix| name.starts_with(prefix))) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The folder of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in a folder of the repository")
}

fn build() -> PathBuf {
    let mut cargo = cargo();
    // No --package: it would choose other features of shared crates, and build half of them again.
    cargo.args(["build", "--release", "--bin", "tidemill"]);
    cargo.args(["--message-format", "json-render-diagnostics"]).current_dir(repository()).stderr(Stdio::inherit());
    let output = cargo.output().expect("cargo has run these tests, so it is there");
    assert!(output.status.success(), "tidemill does not build: cargo ended with {}", output.status);
    let messages = String::from_utf8_lossy(&output.stdout);
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut executables = artifacts.filter_map(|artifact| Some(PathBuf::from(artifact.get("executable")?.as_str()?)));
    executables.next().expect("cargo names the binary it has built")
}
