//! The folder of a files sink: who may write to it, what is committed in it, and the steps that make it so.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use serde::Serialize;

use crate::{model::Epoch, ports::SinkError};

use super::encode::{self, FORMATS};

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
    path: PathBuf,
    committed: Option<Epoch>,
    /// Held, not read: the lock ends with the file's last handle, also when the process dies.
    _lock: File,
}

impl Folder {
    /// Makes the folder if there is none, shuts out other writers, and clears away what was never committed.
    pub(super) fn take_over(path: &Path) -> Result<Self, SinkError> {
        let failed = |what: &str, error: io::Error| failed(what, path, &error);
        let notes = path.join(NOTES);
        if !notes.is_dir() {
            refuse_foreign_parts(path)?;
        }
        create_durably(&notes).map_err(|error| failed("create", error))?;
        let lock = File::create(notes.join("lock")).map_err(|error| failed("lock", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SinkError(format!(
                    "another pipeline is writing to `{}`; stop it, or choose another folder",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", error)),
        }
        let committed = last_manifest(&notes).map_err(|error| failed("list", error))?;
        let folder = Folder { path: path.to_owned(), committed, _lock: lock };
        folder.remove_leftovers().map_err(|error| failed("clear", error))?;
        Ok(folder)
    }

    /// The last epoch that was committed.
    pub(super) fn committed(&self) -> Option<Epoch> {
        self.committed
    }

    /// Where a file is written before it has its name.
    pub(super) fn temporary(&self, name: &str) -> PathBuf {
        self.path.join(NOTES).join(format!("{name}{TEMPORARY}"))
    }

    /// An error of this folder, in words.
    pub(super) fn failed(&self, what: &str, error: &io::Error) -> SinkError {
        failed(what, &self.path, error)
    }

    /// Gives the parts their names, and then, in one step, makes them count.
    pub(super) fn commit(&mut self, epoch: Epoch, parts: &[Part]) -> Result<(), SinkError> {
        self.place(epoch, parts).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => SinkError(format!(
                "a file of epoch {epoch} is already in `{}`, from another writer; give each pipeline a folder of its own",
                self.path.display()
            )),
            _ => self.failed("commit to", &error),
        })?;
        self.committed = Some(epoch);
        self.drop_old_manifest(epoch);
        Ok(())
    }

    fn place(&self, epoch: Epoch, parts: &[Part]) -> io::Result<()> {
        for part in parts {
            rename_no_replace(&self.temporary(&part.name), &self.path.join(&part.name))?;
        }
        if !parts.is_empty() {
            sync_folder(&self.path)?;
        }
        let name = manifest_name(epoch);
        let temporary = self.temporary(&name);
        let mut file = File::create(&temporary)?;
        serde_json::to_writer(&mut file, &EpochManifest { epoch, files: parts })?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        rename_no_replace(&temporary, &self.path.join(NOTES).join(&name))?;
        sync_folder(&self.path.join(NOTES))
    }

    /// Removes what an attempt has left that was not committed. What cannot be removed now, the next start removes.
    pub(super) fn clear_leftovers(&mut self) {
        // A commit may have failed after its manifest was in place: then it did happen.
        match last_manifest(&self.path.join(NOTES)) {
            Ok(committed) => self.committed = committed,
            Err(_) => return,
        }
        if let Err(error) = self.remove_leftovers() {
            tracing::warn!("cannot clear `{}` of an epoch that was given up: {error}", self.path.display());
        }
    }

    fn remove_leftovers(&self) -> io::Result<()> {
        for name in names(&self.path.join(NOTES))? {
            if name.ends_with(TEMPORARY) {
                fs::remove_file(self.path.join(NOTES).join(name))?;
            }
        }
        for name in names(&self.path)? {
            if epoch_of_part(&name).is_some_and(|epoch| Some(epoch) > self.committed) {
                fs::remove_file(self.path.join(name))?;
            }
        }
        sync_folder(&self.path)
    }

    fn drop_old_manifest(&self, epoch: Epoch) {
        if let Some(old) = epoch.number().checked_sub(MANIFESTS_KEPT) {
            // It is of no use to anyone any more, so it does no harm either if it stays.
            let _ = fs::remove_file(self.path.join(NOTES).join(manifest_name(Epoch::new(old))));
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

fn last_manifest(notes: &Path) -> io::Result<Option<Epoch>> {
    let epochs = names(notes)?.into_iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok());
    Ok(epochs.max().map(Epoch::new))
}

/// Files that look like ours without our notes belong to somebody else, or to a sink whose notes were removed. To take
/// them for leftovers would be to delete them.
fn refuse_foreign_parts(path: &Path) -> Result<(), SinkError> {
    let found = match names(path) {
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

fn names(folder: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Makes a folder with those above it, each durable in the one above.
fn create_durably(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
    if let Some(above) = above {
        create_durably(above)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    above.map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Renames, but not onto a file that is there already.
fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system cannot.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_no_replace(from, to),
        renamed => renamed.map_err(io::Error::from),
    }
}

/// The same in two steps. A crash between them leaves the temporary name too, which is a leftover like any other.
pub(super) fn link_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
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
