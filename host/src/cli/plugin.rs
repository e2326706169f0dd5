//! Plugin files, named on the command line.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{failure::Failure, screen};
use crate::{
    ports::{LoadError, Plugin, PluginLoader},
    toolchain,
    wasm::Loader,
};

/// A plugin and the file it was loaded from.
pub(super) struct PluginFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) plugin: Arc<dyn Plugin>,
    /// Calls have deadlines as long as it lives.
    _loader: Loader,
}

/// The loader, with compiled plugins cached for this user.
pub(super) fn loader() -> Result<Loader, LoadError> {
    Loader::new(cache())
}

/// As the XDG base directory specification has it. None when there is no home: then nothing is cached.
fn cache() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    home.map(|home| home.join("tidemill"))
}

/// Loads a plugin from a finished file, or from the folder of its crate, which is built first.
pub(super) fn load(path: &Path) -> Result<PluginFile, Failure> {
    let path = if path.is_dir() { toolchain::build(path, &mut building)? } else { path.to_owned() };
    let bytes = fs::read(&path).map_err(|error| {
        Failure::refused(format!(
            "cannot read `{}`: {error}; name a .wasm file, or the folder of a plugin's crate",
            path.display()
        ))
    })?;
    let loader = loader()?;
    let plugin = loader.load(&path.display().to_string(), &bytes)?;
    Ok(PluginFile { path, bytes: bytes.len() as u64, plugin, _loader: loader })
}

/// Tells of a build. That cargo has finished is no news: every start of a pipeline asks it to build.
pub(super) fn building(line: &str) {
    if !line.starts_with("Finished") {
        screen::line(line);
    }
}
