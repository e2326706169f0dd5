//! The files of one epoch under their temporary names.

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use crate::{manifest::OutputFormat, model::Epoch, ports::SinkError};

use super::{
    disk::DiskFile,
    encode,
    folder::{Folder, Part, part_name},
};

/// Writes rows, file after file. Which rows go into which file depends on the rows alone, so an epoch that is run again
/// makes the same files.
pub(super) struct Parts {
    epoch: Epoch,
    format: OutputFormat,
    schema: SchemaRef,
    piece_bytes: u64,
    finished: Vec<Part>,
    open: Option<(Part, Box<dyn DiskFile>)>,
    /// One batch as bytes; kept to be filled again.
    buffer: Vec<u8>,
}

impl Parts {
    pub(super) fn new(epoch: Epoch, format: OutputFormat, schema: SchemaRef, piece_bytes: u64) -> Self {
        Parts { epoch, format, schema, piece_bytes, finished: Vec::new(), open: None, buffer: Vec::new() }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn write(&mut self, rows: &RecordBatch, folder: &Folder) -> Result<(), SinkError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.buffer.clear();
        encode::rows(self.format, rows, self.open.is_none(), &mut self.buffer).map_err(|error| {
            SinkError(format!(
                "rows with columns {} cannot be written: {error}",
                crate::model::describe_schema(&self.schema)
            ))
        })?;
        self.append(rows.num_rows(), folder)
    }

    fn append(&mut self, rows: usize, folder: &Folder) -> Result<(), SinkError> {
        let (part, file) = match &mut self.open {
            Some(open) => open,
            None => {
                let name = part_name(self.epoch, self.finished.len(), encode::extension(self.format));
                let file = folder.create(&name)?;
                self.open.insert((Part { name, rows: 0, bytes: 0 }, file))
            }
        };
        file.write_all(&self.buffer).map_err(|error| folder.failed("write to", &part.name, &error))?;
        part.rows += rows as u64;
        part.bytes += self.buffer.len() as u64;
        if part.bytes >= self.piece_bytes { self.close(folder) } else { Ok(()) }
    }

    fn close(&mut self, folder: &Folder) -> Result<(), SinkError> {
        if let Some((part, mut file)) = self.open.take() {
            file.sync().map_err(|error| folder.failed("write to", &part.name, &error))?;
            self.finished.push(part);
        }
        Ok(())
    }

    /// All files of the epoch, durable under their temporary names.
    pub(super) fn finish(mut self, folder: &Folder) -> Result<Vec<Part>, SinkError> {
        self.close(folder)?;
        Ok(self.finished)
    }
}
