//! The plugins of these tests.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::{Running, repository, tidemill};

/// The crates in `tests/plugins`.
const PLUGINS: [&str; 2] = ["behaving", "misbehaving"];

/// The component of a plugin crate of these tests, built when it is first asked for.
pub fn plugin(name: &'static str) -> &'static Path {
    static BUILT: [OnceLock<PathBuf>; PLUGINS.len()] = [const { OnceLock::new() }; PLUGINS.len()];
    let place = PLUGINS.iter().position(|known| *known == name).expect("there is a crate of this name");
    BUILT[place].get_or_init(|| {
        let folder = repository().join("tests/plugins").join(name);
        let built = Running::start(tidemill(["build"]).arg(folder)).finish();
        assert_eq!(built.code, Some(0), "{name} does not build: {}", built.stderr());
        PathBuf::from(&built.stdout[0])
    })
}
