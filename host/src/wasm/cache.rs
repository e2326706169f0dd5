//! Compiled code on disk, so that a plugin is compiled once for each version of this binary.
//!
//! The folder is private to the user: code read from it is run as it is. Entries are named by the digest of the
//! module and by the compiler's settings and version, and are put in place by rename, so a reader sees all or nothing.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use wasmtime::{Engine, component::Component};

use crate::model::Digest;

/// The folder of compiled code.
pub(super) struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    /// Opens a folder that belongs to this user alone. Without one (no home, no right to write, shared with others)
    /// plugins are compiled at each start, which is slower and otherwise the same.
    pub(super) fn open(folder: Option<PathBuf>) -> Self {
        let folder = folder.filter(|folder| match make_private(folder) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!("no cache of compiled plugins in {}: {error}", folder.display());
                false
            }
        });
        Cache { folder }
    }

    /// The compiled component of a module, if it is here.
    pub(super) fn get(&self, engine: &Engine, module: Digest) -> Option<Component> {
        let path = self.entry(engine, module)?;
        if !path.exists() {
            return None;
        }
        // SAFETY: the file was written by `put` into a folder that only this user can write to, and its name carries
        // the engine's compatibility hash. wasmtime checks version and settings once more.
        #[expect(unsafe_code, reason = "there is no other way to take compiled code")]
        let component = unsafe { Component::deserialize_file(engine, &path) };
        match component {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::debug!("compiled plugin {} is of no use here: {error:#}", path.display());
                None
            }
        }
    }

    /// Keeps a compiled component. Failing to is not worth more than a line in the log.
    pub(super) fn put(&self, engine: &Engine, module: Digest, component: &Component) {
        let Some(path) = self.entry(engine, module) else { return };
        if let Err(error) = write(&path, component) {
            tracing::warn!("cannot keep a compiled plugin in {}: {error:#}", path.display());
        }
    }

    fn entry(&self, engine: &Engine, module: Digest) -> Option<PathBuf> {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        // Another version of this binary may check more before it keeps anything.
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        Some(self.folder.as_ref()?.join(format!("{module}-{:016x}.cwasm", hasher.finish())))
    }
}

fn write(path: &Path, component: &Component) -> wasmtime::Result<()> {
    let folder = path.parent().expect("an entry stands in the cache's folder");
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&component.serialize()?)?;
    file.persist(path)?;
    Ok(())
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let metadata = fs::metadata(folder)?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if !ours || metadata.mode() & 0o022 != 0 {
        return Err(std::io::Error::other("others can write to it; make it yours alone with chmod 700"));
    }
    Ok(())
}
