//! Tables that streams are joined with. Here: a file of JSON lines or CSV, read anew when it has changed.

use std::{fs, io::Cursor, os::unix::fs::MetadataExt, sync::Arc};

use arrow::{
    array::RecordBatch,
    compute::concat_batches,
    csv,
    datatypes::{Field, Schema, SchemaRef},
    json,
};

use crate::{
    manifest::{TableFormat, TableSpec},
    model::Digest,
    ports::{Table, TableError, TableRows},
};

/// A table is held in memory, whole and with an index for each join; what is larger belongs into a database.
const MOST_BYTES: u64 = 1 << 30;

/// Opens a table. It is read at the first [`Table::refresh`].
pub fn open(spec: &TableSpec) -> Box<dyn Table> {
    Box::new(FileTable { spec: spec.clone(), schema: schema(spec), seen: None, digest: None })
}

/// The columns of a table.
pub fn schema(spec: &TableSpec) -> SchemaRef {
    let field = |(name, data_type): &(String, crate::model::DataType)| Field::new(name, data_type.to_arrow(), true);
    Arc::new(Schema::new(spec.schema.iter().map(field).collect::<Vec<_>>()))
}

struct FileTable {
    spec: TableSpec,
    schema: SchemaRef,
    /// The file as it was read.
    seen: Option<Stamp>,
    digest: Option<Digest>,
}

/// What changes when a file does: its size, when it was modified, and which file it is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: (i64, i64),
    inode: u64,
}

impl FileTable {
    fn failed(&self, what: &str, error: impl std::fmt::Display) -> TableError {
        TableError(format!("{what} `{}`: {error}", self.spec.path.display()))
    }

    fn stamp(&self) -> Result<Stamp, TableError> {
        let metadata = fs::metadata(&self.spec.path).map_err(|error| self.failed("cannot read", error))?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Ok(Stamp { bytes: metadata.len(), modified, inode: metadata.ino() })
    }

    fn parse(&self, bytes: &[u8]) -> Result<RecordBatch, TableError> {
        let schema = Arc::clone(&self.schema);
        let batches: Result<Vec<RecordBatch>, _> = match self.spec.format {
            TableFormat::Json => json::ReaderBuilder::new(schema).build(Cursor::new(bytes)).and_then(Iterator::collect),
            TableFormat::Csv => {
                csv::ReaderBuilder::new(schema).with_header(true).build(Cursor::new(bytes)).and_then(Iterator::collect)
            }
        };
        let batches = batches.and_then(|batches| concat_batches(&self.schema, &batches));
        batches.map_err(|error| self.failed("cannot understand", error))
    }
}

impl Table for FileTable {
    fn refresh(&mut self) -> Result<Option<TableRows>, TableError> {
        let stamp = self.stamp()?;
        if self.seen == Some(stamp) {
            return Ok(None);
        }
        if stamp.bytes > MOST_BYTES {
            let most = MOST_BYTES >> 20;
            return Err(
                self.failed("cannot hold", format!("it has {} MiB, and a table may have {most}", stamp.bytes >> 20))
            );
        }
        let bytes = fs::read(&self.spec.path).map_err(|error| self.failed("cannot read", error))?;
        let digest = Digest::of(&bytes);
        if self.digest == Some(digest) {
            self.seen = Some(stamp);
            return Ok(None);
        }
        let rows = self.parse(&bytes)?;
        (self.seen, self.digest) = (Some(stamp), Some(digest));
        Ok(Some(TableRows { rows, digest }))
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::model::DataType;

    /// A table is read once, and again when it has other content; a fault in a new version is said, and its next one
    /// read.
    #[test]
    fn a_file_is_read_when_it_has_changed() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("rates.csv");
        let schema = vec![("currency".to_owned(), DataType::Utf8), ("rate".to_owned(), DataType::Float64)];
        let mut table =
            open(&TableSpec { name: "rates".to_owned(), path: path.clone(), format: TableFormat::Csv, schema });
        assert!(table.refresh().expect_err("no file").0.contains("cannot read"));
        fs::write(&path, "currency,rate\nEUR,1.0\nUSD,1.1\n").expect("room");
        assert_eq!(table.refresh().expect("a file").map(|table| table.rows.num_rows()), Some(2));
        assert!(table.refresh().expect("the same").is_none());
        fs::write(&path, "currency,rate\nEUR,one\n").expect("room");
        assert!(table.refresh().expect_err("no number").0.contains("cannot understand"));
        fs::write(&path, "currency,rate\nEUR,1.5\nUSD,1.1\nGBP,0.9\n").expect("room");
        assert_eq!(table.refresh().expect("a file").map(|table| table.rows.num_rows()), Some(3));
    }
}
