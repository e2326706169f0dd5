//! Watching the files a pipeline is made of, and preparing it anew when one changes.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use super::{Control, PrepareError, Prepared};
use crate::{
    manifest::{Manifest, PluginOrigin},
    toolchain::{self, Fingerprint},
};

/// How often files are looked at. Modification times are asked for instead of events, because these work everywhere: in
/// containers, on network file systems, and with editors that replace files.
const INTERVAL: Duration = Duration::from_millis(300);

/// The files a pipeline is made of, as they were when they were last looked at.
pub struct Watch {
    manifest_file: PathBuf,
    files: Vec<PathBuf>,
    seen: Fingerprint,
}

impl Watch {
    /// Looks at the files now: what changes from here on is noticed.
    pub fn start(manifest_file: &Path, manifest: &Manifest) -> Self {
        let files = files_of(manifest_file, manifest);
        Watch { manifest_file: manifest_file.to_owned(), seen: toolchain::fingerprint(&files), files }
    }

    /// Watches until the sender of `ended` is dropped. When a file changes, `prepare` makes the pipeline anew; one that
    /// is ready is handed to the running pipeline, which swaps between two epochs, and one that is not is reported
    /// while the old one runs on.
    pub fn run(
        mut self,
        control: &Control,
        ended: &Receiver<()>,
        prepare: &mut dyn FnMut() -> Result<Prepared, PrepareError>,
        report: &mut dyn FnMut(PrepareError),
    ) {
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(INTERVAL) {
            let now = toolchain::fingerprint(&self.files);
            if now == self.seen {
                continue;
            }
            // Taken before the build, so that a change during it is seen as the next one.
            self.seen = now;
            match prepare() {
                Ok(prepared) => {
                    self.follow(&prepared.manifest);
                    control.swap(prepared);
                }
                Err(error) => report(error),
            }
        }
    }

    /// The manifest may name other plugins now, and a crate may have other dependencies.
    fn follow(&mut self, manifest: &Manifest) {
        let files = files_of(&self.manifest_file, manifest);
        if files != self.files {
            self.seen = toolchain::fingerprint(&files);
            self.files = files;
        }
    }
}

/// The manifest, sources of crates, and finished modules.
fn files_of(manifest_file: &Path, manifest: &Manifest) -> Vec<PathBuf> {
    let plugins = manifest.plugins.iter().flat_map(|plugin| match &plugin.origin.value {
        PluginOrigin::Path(path) => vec![path.clone()],
        // A crate that cannot be read is reported by its build.
        PluginOrigin::Crate(folder) => toolchain::sources(folder).unwrap_or_default(),
    });
    std::iter::once(manifest_file.to_owned()).chain(plugins).collect()
}
