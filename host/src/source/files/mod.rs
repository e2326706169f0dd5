//! `type = "files"`: the files of a folder or glob, each read once.
//!
//! A file must appear whole: written elsewhere or under a hidden name, then renamed. One that changes or vanishes
//! after an epoch was planned with it stops the pipeline, because going on would lose or double rows; what is added to
//! a file that has been read is not noticed, as with Spark.

mod glob;
mod json;
mod lines;
mod listing;
mod planned;
mod seen;
mod split;
mod text;

use std::{collections::VecDeque, path::PathBuf};

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::{
    manifest::{FileFormat, FilesSource},
    model::ProcessingTime,
    ports::{Offset, Range, Source, SourceError, Split},
};

use self::{listing::Inbox, planned::PlannedFile, seen::Seen, split::Format};
use super::line;

/// All columns of files in this format.
pub(super) fn schema(format: &FileFormat) -> SchemaRef {
    match format {
        FileFormat::Text => line::schema(),
        FileFormat::Json { schema } => json::schema(schema),
    }
}

/// The polled side.
pub(super) struct Files {
    settings: FilesSource,
    inbox: Inbox,
    format: Format,
    /// How many files ranges were given out for.
    position: u64,
    seen: Seen,
    /// Listed, not yet planned, in the order of reading.
    waiting: VecDeque<PathBuf>,
    frozen: bool,
}

/// The offset as people see it: how many files so far.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesSoFar {
    files: u64,
}

impl Files {
    pub(super) fn open(settings: &FilesSource, schema: SchemaRef) -> Result<Self, SourceError> {
        let inbox = Inbox::open(&settings.path)?;
        // As in Spark: with the newest first and a limit, old files are read last, not left out.
        let limited = settings.max_files_per_trigger.is_some() || settings.max_bytes_per_trigger.is_some();
        let max_age = (!(settings.latest_first && limited)).then_some(settings.max_file_age);
        let format = match settings.format {
            FileFormat::Text => Format::Text,
            FileFormat::Json { .. } => Format::Json(schema),
        };
        Ok(Files {
            settings: settings.clone(),
            inbox,
            format,
            position: 0,
            seen: Seen::new(max_age),
            waiting: VecDeque::new(),
            frozen: false,
        })
    }

    fn list(&mut self) -> Result<(), SourceError> {
        let mut found = self.inbox.list(&self.seen)?;
        found.sort_unstable();
        if self.settings.latest_first {
            found.reverse();
        }
        self.waiting = found.into_iter().map(|found| found.path).collect();
        Ok(())
    }

    /// Takes waiting files until the limits are reached. What is recorded of a file is what it is now, not what it was
    /// when it was listed; one that has vanished meanwhile was never planned and is passed over. One that cannot be
    /// read is an error only when there is no other; the next listing finds it again.
    fn take(&mut self) -> Result<Vec<PlannedFile>, SourceError> {
        let max_files = self.settings.max_files_per_trigger.unwrap_or(usize::MAX);
        let max_bytes = self.settings.max_bytes_per_trigger.unwrap_or(u64::MAX);
        let mut files: Vec<PlannedFile> = Vec::new();
        let mut bytes = 0;
        let mut unread = None;
        while files.len() < max_files {
            let Some(path) = self.waiting.front() else { break };
            if self.seen.contains(path) {
                // Planned by an earlier process, whose range was read after the listing.
                self.waiting.pop_front();
                continue;
            }
            match PlannedFile::observe(path) {
                Ok(Some(file)) => {
                    if !files.is_empty() && bytes + file.size > max_bytes {
                        break;
                    }
                    bytes += file.size;
                    files.push(file);
                }
                Ok(None) => {}
                Err(error) => unread = Some(error),
            }
            self.waiting.pop_front();
        }
        match unread {
            Some(error) if files.is_empty() => Err(error),
            _ => Ok(files),
        }
    }

    /// Goes on after these files, which an earlier process may have planned.
    fn take_up(&mut self, files: &[PlannedFile], end: u64) {
        self.position = self.position.max(end);
        files.iter().for_each(|file| self.seen.add(file));
    }
}

impl Source for Files {
    fn restore(&mut self, history: &[Range]) -> Result<(), SourceError> {
        for range in history {
            self.take_up(&planned::decode(&range.detail)?, files_so_far(&range.end)?);
        }
        self.seen.purge();
        Ok(())
    }

    fn next_range(&mut self, _: ProcessingTime) -> Result<Option<Range>, SourceError> {
        // What is left of the last listing comes first: with thousands of files and a small limit, listing them all
        // for each epoch would cost more than reading them.
        if !self.frozen && (self.waiting.is_empty() || self.settings.latest_first) {
            self.list()?;
        }
        let files = self.take()?;
        if files.is_empty() {
            return Ok(None);
        }
        let (start, end) = (self.position, self.position + files.len() as u64);
        self.take_up(&files, end);
        self.seen.purge();
        Ok(Some(Range { start: offset(start), end: offset(end), cumulative: false, detail: planned::encode(&files) }))
    }

    fn freeze(&mut self, _: ProcessingTime) -> Result<(), SourceError> {
        self.frozen = true;
        self.list()
    }

    fn read(&mut self, range: &Range) -> Result<Vec<Box<dyn Split>>, SourceError> {
        let files = planned::decode(&range.detail)?;
        self.take_up(&files, files_so_far(&range.end)?);
        let max_line_bytes = self.settings.max_line_bytes.min(line::LONGEST_LINE);
        Ok(split::pieces(files, &self.format, max_line_bytes))
    }

    fn acknowledge(&mut self, _: &Range) -> Result<(), SourceError> {
        Ok(())
    }
}

fn offset(files: u64) -> Offset {
    Offset(serde_json::to_string(&FilesSoFar { files }).expect("one number serialises"))
}

fn files_so_far(offset: &Offset) -> Result<u64, SourceError> {
    serde_json::from_str(&offset.0).map(|FilesSoFar { files }| files).map_err(|_| {
        SourceError::Fatal(format!(
            "the checkpoint's offset `{}` is not one of a files source, such as {{\"files\":3}}: it belongs to a source of \
             another type; give this source another name, or start with a new checkpoint",
            offset.0
        ))
    })
}

#[cfg(test)]
mod tests;
