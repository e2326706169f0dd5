//! The plugins of the cases. Each is built once and loaded once, not at each start of a pipeline.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tidemill::{
    model::Digest,
    ports::{LoadError, Plugin, PluginLoader},
    toolchain,
    wasm::Loader,
};

/// Crates that have been built, with the file of each.
static BUILT: Mutex<Option<HashMap<PathBuf, PathBuf>>> = Mutex::new(None);

/// A loader that remembers what it has loaded.
pub(crate) struct Plugins {
    loader: Loader,
    loaded: Mutex<HashMap<Digest, Arc<dyn Plugin>>>,
}

impl Plugins {
    pub(crate) fn new() -> Self {
        Plugins { loader: Loader::new(None).expect("the engine starts"), loaded: Mutex::default() }
    }
}

impl PluginLoader for Plugins {
    fn load(&self, origin: &str, bytes: &[u8]) -> Result<Arc<dyn Plugin>, LoadError> {
        match self.loaded.lock().expect("nobody panics with it").entry(Digest::of(bytes)) {
            Entry::Occupied(known) => Ok(Arc::clone(known.get())),
            Entry::Vacant(free) => Ok(Arc::clone(free.insert(self.loader.load(origin, bytes)?))),
        }
    }
}

/// A manifest that has a built file for each crate in `PLUGINS`.
pub(crate) fn with_built_plugins(manifest: &str) -> String {
    let line = |line: &str| match line.strip_prefix("crate = \"PLUGINS/").and_then(|rest| rest.strip_suffix('"')) {
        Some(name) => format!("path = \"{}\"\n", built(name).display()),
        None => format!("{line}\n"),
    };
    manifest.lines().map(line).collect()
}

fn built(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/plugins").join(name);
    let mut built = BUILT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let build = |folder: &PathBuf| {
        let mut report = |line: &str| eprintln!("{line}");
        toolchain::build(folder, &mut report).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    };
    built.get_or_insert_default().entry(folder).or_insert_with_key(build).clone()
}
