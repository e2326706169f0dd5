//! The folder of a files sink: who may write to it, what is committed in it, and the steps that make it so.

use std::{
    any::Any,
    collections::BTreeSet,
    fs::TryLockError,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;

use crate::{model::Epoch, ports::SinkError};

use super::{
    disk::{Disk, DiskFile},
    encode::{self, FORMATS},
};

/// The sink's own folder in the folder. Hidden from sources by its first letter.
const NOTES: &str = "_tidemill";

/// What temporary names end in.
const TEMPORARY: &str = ".tmp";

/// How many epochs' manifests are kept, for people who want to see what came when. One would do for recovery.
const MANIFESTS_KEPT: u64 = 100;

/// A file of an epoch, finished under its temporary name.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// What a manifest says. Readers of the output may rely on it.
#[derive(Serialize)]
struct EpochManifest<'a> {
    epoch: Epoch,
    files: &'a [Part],
}

/// A folder that nobody else writes to.
pub(super) struct Folder {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    committed: Option<Epoch>,
    /// Held, not read.
    _lock: Box<dyn Any + Send>,
}

impl Folder {
    /// Makes the folder if there is none, shuts out other writers, and clears away what was never committed.
    pub(super) fn take_over(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, SinkError> {
        let notes = path.join(NOTES);
        if !disk.is_folder(&notes) {
            refuse_foreign_parts(disk.as_ref(), path)?;
        }
        make_durable(disk.as_ref(), &notes).map_err(|error| failed("create", &notes, &error))?;
        let lock_file = notes.join("lock");
        let lock = disk.lock(&lock_file).map_err(|error| match error {
            TryLockError::WouldBlock => SinkError(format!(
                "another pipeline is writing to `{}`; stop it, or choose another folder",
                path.display()
            )),
            TryLockError::Error(error) => failed("lock", &lock_file, &error),
        })?;
        let committed = last_manifest(disk.as_ref(), &notes).map_err(|error| failed("list", &notes, &error))?;
        refuse_parts_of_lost_manifests(disk.as_ref(), path, committed)?;
        let folder = Folder { disk, path: path.to_owned(), committed, _lock: lock };
        folder.remove_leftovers().map_err(|error| failed("clear", path, &error))?;
        Ok(folder)
    }

    /// The last epoch that was committed.
    pub(super) fn committed(&self) -> Option<Epoch> {
        self.committed
    }

    /// Begins a file under its temporary name.
    pub(super) fn create(&self, name: &str) -> Result<Box<dyn DiskFile>, SinkError> {
        let path = self.temporary(name);
        self.disk.create(&path).map_err(|error| failed("create", &path, &error))
    }

    /// An error with a file under its temporary name, in words.
    pub(super) fn failed(&self, what: &str, name: &str, error: &io::Error) -> SinkError {
        failed(what, &self.temporary(name), error)
    }

    /// Gives the parts their names, and then, in one step, makes them count.
    pub(super) fn commit(&mut self, epoch: Epoch, parts: &[Part]) -> Result<(), SinkError> {
        for part in parts {
            self.place(epoch, &part.name, &self.path)?;
        }
        if !parts.is_empty() {
            self.sync(&self.path)?;
        }
        let (name, notes) = (manifest_name(epoch), self.notes());
        let mut manifest =
            serde_json::to_vec(&EpochManifest { epoch, files: parts }).expect("numbers and names are JSON");
        manifest.push(b'\n');
        let mut file = self.create(&name)?;
        let written = file.write_all(&manifest).and_then(|()| file.sync());
        written.map_err(|error| self.failed("write", &name, &error))?;
        self.place(epoch, &name, &notes)?;
        self.sync(&notes)?;
        self.committed = Some(epoch);
        self.drop_old_manifest(epoch);
        Ok(())
    }

    /// Moves a finished file from its temporary name to its own.
    fn place(&self, epoch: Epoch, name: &str, folder: &Path) -> Result<(), SinkError> {
        let path = folder.join(name);
        self.disk.rename_no_replace(&self.temporary(name), &path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => SinkError(format!(
                "`{}` of epoch {epoch} is already there, from another writer; give each pipeline a folder of its own",
                path.display()
            )),
            _ => failed("put in place", &path, &error),
        })
    }

    fn sync(&self, folder: &Path) -> Result<(), SinkError> {
        self.disk.sync_folder(folder).map_err(|error| failed("sync", folder, &error))
    }

    fn notes(&self) -> PathBuf {
        self.path.join(NOTES)
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.notes().join(format!("{name}{TEMPORARY}"))
    }

    /// Removes what an attempt has left that was not committed. What cannot be removed now, the next start removes.
    pub(super) fn clear_leftovers(&mut self) {
        // A commit may have failed after its manifest was in place: then it did happen.
        match last_manifest(self.disk.as_ref(), &self.notes()) {
            Ok(committed) => self.committed = committed,
            Err(_) => return,
        }
        if let Err(error) = self.remove_leftovers() {
            tracing::warn!("cannot clear `{}` of an epoch that was given up: {error}", self.path.display());
        }
    }

    fn remove_leftovers(&self) -> io::Result<()> {
        let notes = self.notes();
        let oldest = self.committed.and_then(|epoch| epoch.number().checked_sub(MANIFESTS_KEPT - 1));
        for name in self.disk.names(&notes)? {
            // A run that was killed may have left a manifest that it was to drop.
            let is_old = epoch_of_manifest(&name).zip(oldest).is_some_and(|(epoch, oldest)| epoch.number() < oldest);
            if name.ends_with(TEMPORARY) || is_old {
                self.disk.remove(&notes.join(name))?;
            }
        }
        for name in self.disk.names(&self.path)? {
            if epoch_of_part(&name).is_some_and(|epoch| Some(epoch) > self.committed) {
                self.disk.remove(&self.path.join(name))?;
            }
        }
        // Not only for what is gone: a run that was killed may have left a manifest in place that is not durable.
        // Whoever hears of its epoch now builds on it, so a power loss must not take it back later.
        self.disk.sync_folder(&notes)?;
        self.disk.sync_folder(&self.path)
    }

    fn drop_old_manifest(&self, epoch: Epoch) {
        if let Some(old) = epoch.number().checked_sub(MANIFESTS_KEPT) {
            // It is of no use to anyone any more, so it does no harm either if it stays.
            let _ = self.disk.remove(&self.notes().join(manifest_name(Epoch::new(old))));
        }
    }
}

/// The name of a part: the epoch, the piece of it, and what the format is known by.
pub(super) fn part_name(epoch: Epoch, piece: usize, extension: &str) -> String {
    format!("part-{:05}-{piece}.{extension}", epoch.number())
}

/// The epoch of a part, if this is exactly a name that this sink gives: it must never remove anything else.
fn epoch_of_part(name: &str) -> Option<Epoch> {
    let (epoch, rest) = name.strip_prefix("part-")?.split_once('-')?;
    let (piece, extension) = rest.split_once('.')?;
    let epoch = Epoch::new(epoch.parse().ok()?);
    let is_ours = FORMATS.map(encode::extension).contains(&extension);
    (is_ours && part_name(epoch, piece.parse().ok()?, extension) == name).then_some(epoch)
}

fn manifest_name(epoch: Epoch) -> String {
    format!("{:05}.json", epoch.number())
}

fn last_manifest(disk: &dyn Disk, notes: &Path) -> io::Result<Option<Epoch>> {
    Ok(disk.names(notes)?.iter().filter_map(|name| epoch_of_manifest(name)).max())
}

fn epoch_of_manifest(name: &str) -> Option<Epoch> {
    Some(Epoch::new(name.strip_suffix(".json")?.parse().ok()?))
}

/// A run that was killed leaves parts of one epoch that was not committed. Parts of several have lost their manifests:
/// to take them for leftovers would be to delete what was committed.
fn refuse_parts_of_lost_manifests(disk: &dyn Disk, path: &Path, committed: Option<Epoch>) -> Result<(), SinkError> {
    let names = disk.names(path).map_err(|error| failed("list", path, &error))?;
    let later: BTreeSet<Epoch> =
        names.iter().filter_map(|name| epoch_of_part(name)).filter(|&epoch| Some(epoch) > committed).collect();
    match (later.first(), later.last()) {
        (Some(first), Some(last)) if first != last => Err(SinkError(format!(
            "`{}` holds parts of epochs {first} to {last}, but `{NOTES}` in it has no manifest of them, so it is not known which \
             are committed; put the manifests back, or choose an empty folder",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// Files that look like ours without our notes belong to somebody else, or to a sink whose notes were removed. To take
/// them for leftovers would be to delete them.
fn refuse_foreign_parts(disk: &dyn Disk, path: &Path) -> Result<(), SinkError> {
    let found = match disk.names(path) {
        Ok(names) => names.into_iter().find(|name| epoch_of_part(name).is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("list", path, &error)),
    };
    found.map_or(Ok(()), |name| {
        Err(SinkError(format!(
            "`{}` holds `{name}` but no folder `{NOTES}`, so it is not known which files are committed; choose an empty folder",
            path.display()
        )))
    })
}

/// Makes a folder with those above it, each durable in the one above. One that is there already may have been made by a
/// run that was killed before it came to that.
fn make_durable(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    let Some(above) = folder.parent() else { return Ok(()) };
    let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
    if above != Path::new(".") {
        make_durable(disk, above)?;
    }
    let found = disk.is_folder(folder);
    if !found {
        match disk.create_folder(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    match disk.sync_folder(above) {
        Err(error) if found && cannot_be_ours(&error) => Ok(()),
        synced => synced,
    }
}

/// Whether a folder that answers a sync like this is none in which this sink has made another.
fn cannot_be_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | ReadOnlyFilesystem | Unsupported)
}

fn failed(what: &str, path: &Path, error: &io::Error) -> SinkError {
    let next = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the disk",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "make the folder writable",
        _ => "check the folder and its disk",
    };
    SinkError(format!(
        "cannot {what} `{}`: {error}; {next} and start again: what was not committed will be written again",
        path.display()
    ))
}
