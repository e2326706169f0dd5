//! A file that is read and never changed: what redb writes to it stays in memory.
//!
//! redb's own way to open a file for reading refuses one whose last process was killed, because it must be repaired
//! first, and has no integrity check. A repair that is forgotten with the process is as good as one that is kept.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::File,
    io,
    ops::Bound,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use redb::{BackendError, DatabaseError, StorageBackend, backends::FileBackend};

/// The unit of what is kept in memory. A repair touches the header and a few pages of bookkeeping, so there is little
/// of it.
const BLOCK: u64 = 4096;

/// A file under writes that never reach it.
///
/// Its locks are shared ones: any number of readers go together, and none goes with a pipeline that runs.
#[derive(Debug)]
pub(super) struct Overlay {
    file: FileBackend,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    /// By their number.
    blocks: BTreeMap<u64, Box<[u8]>>,
    length: u64,
    /// How much of the file is still to be seen: what was cut off does not come back.
    of_file: u64,
}

impl Overlay {
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let file = FileBackend::new(File::open(path)?)?;
        let length = file.len()?;
        Ok(Overlay { file, written: Mutex::new(Written { blocks: BTreeMap::new(), length, of_file: length }) })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        // Each change is a plain copy of bytes, so a panic elsewhere does not spoil it.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what the file holds here, and nothing where it has ended.
    fn read_file(&self, of_file: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = of_file.saturating_sub(offset).min(out.len() as u64) as usize;
        let (there, beyond) = out.split_at_mut(there);
        beyond.fill(0);
        if there.is_empty() { Ok(()) } else { self.file.read(offset, there) }
    }
}

/// The blocks that these bytes lie in, each with the part of it that is meant and where that part is among the bytes.
fn blocks(offset: u64, length: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>, usize)> {
    let end = offset + length as u64;
    (offset / BLOCK..end.div_ceil(BLOCK)).map(move |block| {
        let first = block * BLOCK;
        let from = offset.max(first);
        let to = end.min(first + BLOCK);
        (block, (from - first) as usize..(to - first) as usize, (from - offset) as usize)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if offset + out.len() as u64 > written.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_file(written.of_file, offset, out)?;
        for (block, part, at) in blocks(offset, out.len()) {
            if let Some(bytes) = written.blocks.get(&block) {
                out[at..at + part.len()].copy_from_slice(&bytes[part]);
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut written = self.written();
        if length < written.length {
            written.of_file = written.of_file.min(length);
            written.blocks.split_off(&length.div_ceil(BLOCK));
            let cut = (length % BLOCK) as usize;
            if let Some(last) = written.blocks.get_mut(&(length / BLOCK)) {
                last[cut..].fill(0);
            }
        }
        written.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        let of_file = written.of_file;
        for (block, part, at) in blocks(offset, data.len()) {
            let bytes = match written.blocks.entry(block) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let mut bytes = vec![0; BLOCK as usize].into_boxed_slice();
                    self.read_file(of_file, block * BLOCK, &mut bytes)?;
                    new.insert(bytes)
                }
            };
            bytes[part.clone()].copy_from_slice(&data[at..at + part.len()]);
        }
        written.length = written.length.max(offset + data.len() as u64);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::NamedTempFile;

    use super::*;

    /// Whatever is written is read back as from a file, across blocks and ends; and the file stays as it was.
    #[test]
    fn writes_are_seen_and_never_reach_the_file() {
        let file = NamedTempFile::new().unwrap();
        let content: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
        fs::write(file.path(), &content).unwrap();
        let overlay = Overlay::open(file.path()).unwrap();
        let mut model = content.clone();
        let check = |model: &[u8]| {
            assert_eq!(overlay.len().unwrap(), model.len() as u64);
            let mut read = vec![7; model.len()];
            overlay.read(0, &mut read).unwrap();
            assert!(read == model);
            let mut middle = vec![7; model.len() / 2];
            overlay.read(model.len() as u64 / 3, &mut middle).unwrap();
            assert!(middle == model[model.len() / 3..][..model.len() / 2]);
            assert!(overlay.read(1, &mut read).is_err(), "reading beyond the end");
        };
        check(&model);

        overlay.write(4000, &[1; 5000]).unwrap();
        model[4000..9000].fill(1);
        check(&model);

        overlay.set_len(8500).unwrap();
        model.truncate(8500);
        check(&model);

        // What was cut off is gone, also where the file still holds it.
        overlay.set_len(20_000).unwrap();
        model.resize(20_000, 0);
        check(&model);

        overlay.write(19_999, &[5]).unwrap();
        overlay.write(0, &[6]).unwrap();
        (model[19_999], model[0]) = (5, 6);
        check(&model);
        overlay.sync_data().unwrap();
        drop(overlay);
        assert!(fs::read(file.path()).unwrap() == content);
    }
}
