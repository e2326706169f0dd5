//! `type = "files"`: exactly-once output into a folder.
//!
//! An epoch's rows are written under temporary names in `_tidemill`, made durable, and renamed to
//! `part-EPOCH-PIECE.EXT` in the folder. Then `_tidemill/EPOCH.json`, which lists them, is renamed into place: that
//! rename is the commit. Whatever stands in the folder for a later epoch than the last one with such a file was never
//! committed, and is cleared away by the next start. So the last of these files is all that recovery needs, and all a
//! reader who must not see uncommitted parts needs; some earlier ones are kept for people, and no more, because a
//! pipeline has no end.

mod disk;
mod encode;
mod folder;
mod part;

use std::sync::Arc;

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use crate::{
    manifest::FilesSink,
    model::Epoch,
    ports::{CommitPermit, Marker, Sink, SinkError},
};

pub(crate) use self::disk::Disk;
#[cfg(test)]
pub(crate) use self::disk::DiskFile;
use self::{disk::RealDisk, folder::Folder, part::Parts};

/// A new file is begun at this size: large enough that files stay few, small enough to be read and moved in one go.
const PIECE_BYTES: u64 = 128 << 20;

/// Writes each epoch as a set of files.
pub(crate) struct Files {
    settings: FilesSink,
    disk: Arc<dyn Disk>,
    piece_bytes: u64,
    /// There from `recover` on.
    folder: Option<Folder>,
    /// There from `begin` to `commit` or `abort`, whichever comes first.
    parts: Option<Parts>,
}

impl Files {
    pub(super) fn new(settings: &FilesSink) -> Self {
        Files::on(Arc::new(RealDisk), settings)
    }

    /// On another file system than the real one.
    pub(crate) fn on(disk: Arc<dyn Disk>, settings: &FilesSink) -> Self {
        Files { settings: settings.clone(), disk, piece_bytes: PIECE_BYTES, folder: None, parts: None }
    }

    #[cfg(test)]
    pub(crate) fn set_piece_bytes(&mut self, bytes: u64) {
        self.piece_bytes = bytes;
    }
}

impl Sink for Files {
    fn recover(&mut self) -> Result<Marker, SinkError> {
        // The old lock goes before the new one is taken: it may be our own.
        self.folder = None;
        let folder = self.folder.insert(Folder::take_over(self.disk.clone(), &self.settings.path)?);
        Ok(folder.committed().map_or(Marker::Nothing, Marker::At))
    }

    fn begin(&mut self, epoch: Epoch, schema: &SchemaRef) -> Result<(), SinkError> {
        let folder = self.folder.as_ref().expect("begin follows recover");
        if let Some(committed) = folder.committed().filter(|&committed| epoch <= committed) {
            return Err(SinkError(format!(
                "`{}` already holds epoch {committed}, so epoch {epoch} cannot be written; \
                 put back the checkpoint that belongs to this folder, or choose an empty folder",
                self.settings.path.display()
            )));
        }
        self.parts = Some(Parts::new(epoch, self.settings.format, schema.clone(), self.piece_bytes));
        Ok(())
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), SinkError> {
        let folder = self.folder.as_ref().expect("write follows recover");
        self.parts.as_mut().expect("write follows begin").write(rows, folder)
    }

    fn commit(&mut self, permit: CommitPermit) -> Result<(), SinkError> {
        let folder = self.folder.as_mut().expect("commit follows recover");
        // Whatever comes of it, this attempt is over: half a commit must not be taken up again as a whole one.
        let parts = self.parts.take().expect("commit follows begin");
        assert_eq!(parts.epoch(), permit.epoch(), "the permit is for the epoch that was begun");
        let files = parts.finish(folder)?;
        folder.commit(permit.epoch(), &files)
    }

    fn abort(&mut self) {
        self.parts = None;
        if let Some(folder) = &mut self.folder {
            folder.clear_leftovers();
        }
    }
}

#[cfg(test)]
mod tests;
