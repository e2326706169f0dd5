//! How one process asks another that runs a pipeline for a savepoint: by files in the folder of its checkpoint.
//!
//! Either process may be killed at any instant, so nothing rests on a file being there. A request that nobody takes is
//! withdrawn, one that is lost is made again, and whether the savepoint was made shows by the savepoint.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::failure::Failure;
use crate::ports::CheckpointError;

/// What all names begin with, and what they end with as the request goes on.
const PREFIX: &str = "savepoint-";
const NEW: &str = "new";
const REQUEST: &str = "request";
const TAKEN: &str = "taken";
const REFUSAL: &str = "refusal";

/// What a request says.
#[derive(Serialize, Deserialize)]
struct Wish {
    to: PathBuf,
}

/// Why there will be no savepoint.
#[derive(Serialize, Deserialize)]
struct Refusal {
    reason: String,
}

/// Where the process that runs the pipeline finds requests.
pub struct Mailbox {
    dir: PathBuf,
}

/// A request that is being seen to.
pub struct Taken {
    file: PathBuf,
    /// The folder of the savepoint.
    pub to: PathBuf,
}

/// A request from the side of the one who asks. Dropped, it is withdrawn.
pub struct Asked {
    /// As a request.
    file: PathBuf,
}

/// How a request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has taken it yet.
    Waiting,
    /// A process makes the savepoint.
    Taken,
    /// There will be none, for this reason.
    Refused(String),
    /// It has been seen to, or nobody will.
    Gone,
}

impl Mailbox {
    /// The mailbox of the checkpoint in this folder. What is in it was meant for an earlier process: whoever still
    /// waits asks again.
    pub fn open(dir: &Path) -> Self {
        let mailbox = Mailbox { dir: dir.to_owned() };
        for suffix in [NEW, REQUEST, TAKEN, REFUSAL] {
            // What cannot be removed is at worst one savepoint too many.
            mailbox.files(suffix).iter().for_each(|file| drop(fs::remove_file(file)));
        }
        mailbox
    }

    /// Takes a request, if there is one.
    pub fn take(&self) -> Option<Taken> {
        for request in self.files(REQUEST) {
            let file = request.with_extension(TAKEN);
            // It may have been withdrawn.
            if fs::rename(&request, &file).is_err() {
                continue;
            }
            match read::<Wish>(&file) {
                Ok(wish) => return Some(Taken { file, to: wish.to }),
                Err(error) => refuse(&file, format!("the request `{}` cannot be read: {error}", file.display())),
            }
        }
        None
    }

    fn files(&self, suffix: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().and_then(OsStr::to_str);
            name.is_some_and(|name| name.starts_with(PREFIX)) && path.extension().is_some_and(|found| found == suffix)
        };
        entries.filter(is_ours).collect()
    }
}

impl Taken {
    /// The savepoint is there.
    pub fn made(self) {
        // If it stays, the next start removes it.
        let _ = fs::remove_file(&self.file);
    }

    /// There is none, for this reason.
    pub fn refused(self, reason: String) {
        refuse(&self.file, reason);
    }
}

/// Whoever asks is told, or else waits until its patience ends: there is no other way to reach them.
fn refuse(taken: &Path, reason: String) {
    let refusal = taken.with_extension(REFUSAL);
    let dir = taken.parent().expect("it lies in the folder of a checkpoint");
    if let Err(error) = put(dir, &Refusal { reason }, |_| refusal.clone()) {
        tracing::warn!("`{}` cannot be written: {error}", refusal.display());
    }
    let _ = fs::remove_file(taken);
}

impl Asked {
    /// Asks the process that runs on this checkpoint for a savepoint. The path is absolute: that process may be
    /// anywhere.
    pub fn post(dir: &Path, to: &Path) -> Result<Self, CheckpointError> {
        let file = put(dir, &Wish { to: to.to_owned() }, |new| new.with_extension(REQUEST));
        let file = file.map_err(|error| Failure::Io(error).at(dir))?;
        Ok(Asked { file })
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        if self.file.exists() {
            return Standing::Waiting;
        }
        if self.file.with_extension(TAKEN).exists() {
            return Standing::Taken;
        }
        match read::<Refusal>(&self.file.with_extension(REFUSAL)) {
            Ok(refusal) => Standing::Refused(refusal.reason),
            Err(_) => Standing::Gone,
        }
    }

    /// Takes it back, if it has not been taken.
    pub fn withdraw(&self) -> bool {
        fs::remove_file(&self.file).is_ok()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.withdraw();
        let _ = fs::remove_file(self.file.with_extension(REFUSAL));
    }
}

fn read<T: for<'a> Deserialize<'a>>(file: &Path) -> io::Result<T> {
    Ok(serde_json::from_slice(&fs::read(file)?)?)
}

/// Writes a file under a name that is nobody else's, and then gives it its own, whole from the first instant.
fn put(dir: &Path, content: &impl Serialize, name: impl FnOnce(&Path) -> PathBuf) -> io::Result<PathBuf> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(".new");
    // The other process may be another user's; the umask says who may read.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file: NamedTempFile = builder.tempfile_in(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })?;
    serde_json::to_writer(&mut file, content)?;
    file.flush()?;
    let name = name(file.path());
    file.persist(&name)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn names(dir: &TempDir) -> usize {
        fs::read_dir(dir.path()).unwrap().count()
    }

    /// A request goes its way from one to the other, and leaves nothing behind.
    #[test]
    fn a_request_is_taken_and_answered() {
        let dir = TempDir::new().unwrap();
        let mailbox = Mailbox::open(dir.path());
        assert!(mailbox.take().is_none());

        let asked = Asked::post(dir.path(), Path::new("/a/b")).unwrap();
        assert_eq!(asked.standing(), Standing::Waiting);
        let taken = mailbox.take().unwrap();
        assert_eq!((taken.to.as_path(), asked.standing()), (Path::new("/a/b"), Standing::Taken));
        assert!(mailbox.take().is_none(), "it is taken once");
        assert!(!asked.withdraw(), "it is too late for that");
        taken.made();
        assert_eq!(asked.standing(), Standing::Gone);

        let other = Asked::post(dir.path(), Path::new("/c")).unwrap();
        mailbox.take().unwrap().refused("the disk is full".to_owned());
        assert_eq!(other.standing(), Standing::Refused("the disk is full".to_owned()));
        drop((asked, other));
        assert_eq!(names(&dir), 0);
    }

    /// What a process that is gone has left in the folder is no request to the next one; whoever waits sees that it is
    /// gone, and what was withdrawn is not made.
    #[test]
    fn what_was_for_another_process_is_gone() {
        let dir = TempDir::new().unwrap();
        let (killed, waits) = (Mailbox::open(dir.path()), Asked::post(dir.path(), Path::new("/a")).unwrap());
        std::mem::forget(killed.take().unwrap());
        std::mem::forget(Asked::post(dir.path(), Path::new("/b")).unwrap());
        let next = Mailbox::open(dir.path());
        assert_eq!(waits.standing(), Standing::Gone);
        assert!(next.take().is_none());
        assert_eq!(names(&dir), 0);

        assert!(Asked::post(dir.path(), Path::new("/c")).unwrap().withdraw());
        assert!(next.take().is_none());
    }

    /// A file that is no request is refused, and does not stand in the way of the next.
    #[test]
    fn nonsense_is_refused() {
        let dir = TempDir::new().unwrap();
        let mailbox = Mailbox::open(dir.path());
        fs::write(dir.path().join("savepoint-x.request"), "{").unwrap();
        fs::write(dir.path().join("checkpoint.redb"), "").unwrap();
        let _asked = Asked::post(dir.path(), Path::new("/a")).unwrap();
        assert_eq!(mailbox.take().unwrap().to, Path::new("/a"));
        assert!(mailbox.take().is_none());
        assert!(dir.path().join("savepoint-x.refusal").exists());
    }
}
