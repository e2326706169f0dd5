//! The simulated file system as the sink, the checkpoint and redb see it.

use std::{
    any::Any,
    fs::TryLockError,
    io::{self, Write},
    path::{Path, PathBuf},
};

use redb::{Builder, Database, DatabaseError, StorageBackend, StorageError};

use super::{
    super::home::Home,
    disk::{Operation, SimDisk, Turn, error},
    names::Node,
};
use crate::sink::{Disk, DiskFile};

/// A handle to a file.
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    file: usize,
    /// Where a writer that goes from front to back stands.
    position: usize,
}

/// A lock, for as long as it lives.
struct Held(SimDisk, PathBuf);

impl Drop for Held {
    fn drop(&mut self) {
        let Held(disk, path) = self;
        disk.lock().locked.retain(|locked| locked != path);
    }
}

impl SimDisk {
    fn open_file(&self, path: &Path) -> io::Result<SimFile> {
        match self.lock().find(path)? {
            Node::File(file) => Ok(SimFile { disk: self.clone(), file, position: 0 }),
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        whole(inner.turn(Operation::Grow)?)?;
        inner.new_folder(path)
    }

    fn create_file(&self, path: &Path) -> io::Result<SimFile> {
        let mut inner = self.lock();
        whole(inner.turn(Operation::Grow)?)?;
        let file = inner.new_file(path)?;
        drop(inner);
        Ok(SimFile { disk: self.clone(), file, position: 0 })
    }

    fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        whole(inner.turn(Operation::Grow)?)?;
        let node = inner.find(from)?;
        inner.name(to, node)?;
        inner.unname(from).map(drop)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.turn(Operation::Remove)?;
        inner.unname(path).map(drop)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.turn(Operation::Sync)?;
        inner.folder(path)?.sync();
        Ok(())
    }
}

/// For what cannot be done by halves.
fn whole(turn: Turn) -> io::Result<()> {
    match turn {
        Turn::Whole => Ok(()),
        Turn::Half(kind) => Err(error(kind)),
    }
}

impl Disk for SimDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.create_folder(path)
    }

    fn is_folder(&self, path: &Path) -> bool {
        matches!(self.lock().find(path), Ok(Node::Folder(_)))
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut inner = self.lock();
        inner.turn(Operation::Read)?;
        Ok(inner.folder(folder)?.seen().keys().cloned().collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.create_file(path)?))
    }

    fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.rename_no_replace(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.sync_folder(folder)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Any + Send>, TryLockError> {
        if SimDisk::lock(self).find(path).is_err() {
            self.create_file(path).map_err(TryLockError::Error)?;
        }
        let mut inner = SimDisk::lock(self);
        if inner.locked.iter().any(|locked| locked == path) {
            return Err(TryLockError::WouldBlock);
        }
        inner.locked.push(path.to_owned());
        drop(inner);
        Ok(Box::new(Held(self.clone(), path.to_owned())))
    }
}

impl Write for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.disk.lock();
        let written = match inner.turn(Operation::Grow)? {
            Turn::Whole => bytes.len(),
            // The caller hears that less was written, and of the error when it goes on.
            Turn::Half(_) if bytes.len() > 1 => bytes.len() / 2,
            Turn::Half(kind) => return Err(error(kind)),
        };
        inner.files[self.file].write(self.position, &bytes[..written]);
        self.position += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn sync(&mut self) -> io::Result<()> {
        self.disk.lock().sync_file(self.file)
    }
}

impl Home for SimDisk {
    fn exists(&self, path: &Path) -> io::Result<bool> {
        let mut inner = self.lock();
        inner.turn(Operation::Read)?;
        Ok(inner.find(path).is_ok())
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.create_folder(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.sync_folder(folder)
    }

    fn create(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join(format!(".checkpoint-{}", self.lock().files.len()));
        self.create_file(&path)?;
        Ok(path)
    }

    fn open_new(&self, builder: &Builder, path: &Path) -> Result<Database, DatabaseError> {
        builder.create_with_backend(self.open_file(path).map_err(StorageError::Io)?)
    }

    fn open(&self, builder: &Builder, path: &Path) -> Result<Database, DatabaseError> {
        let file = self.open_file(path).map_err(StorageError::Io)?;
        // With a backend redb would make a database here; with a path it refuses to, like this.
        if self.lock().files[file.file].seen().is_empty() {
            return Err(StorageError::Io(io::Error::new(io::ErrorKind::InvalidData, "the file is empty")).into());
        }
        builder.create_with_backend(file)
    }

    fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.rename_no_replace(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.remove(path)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        let mut inner = self.lock();
        inner.turn(Operation::Read)?;
        match inner.find(path)? {
            Node::File(file) => Ok(inner.files[file].seen().len() as u64),
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }
}

impl StorageBackend for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut inner = self.disk.lock();
        inner.turn(Operation::Read)?;
        Ok(inner.files[self.file].seen().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut inner = self.disk.lock();
        inner.turn(Operation::Read)?;
        let offset = offset as usize;
        let bytes = inner.files[self.file].seen().get(offset..offset + out.len());
        out.copy_from_slice(bytes.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut inner = self.disk.lock();
        whole(inner.turn(Operation::Grow)?)?;
        inner.files[self.file].set_length(length as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.lock().sync_file(self.file)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.disk.lock();
        match inner.turn(Operation::Grow)? {
            Turn::Whole => inner.files[self.file].write(offset as usize, bytes),
            Turn::Half(kind) => {
                inner.files[self.file].write(offset as usize, &bytes[..bytes.len() / 2]);
                return Err(error(kind));
            }
        }
        Ok(())
    }
}
