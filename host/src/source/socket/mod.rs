//! `type = "socket"`: lines over TCP, for trying things out.
//!
//! A thread of its own reads the socket into a bounded buffer; when that is full it stops reading, and TCP tells the
//! sender. Lines are kept until the epoch that read them is committed, so an epoch that fails is read again. They are
//! gone when the process ends, so the source as a whole is at-most-once.

mod buffer;
mod reader;
mod splitter;

use std::sync::Arc;

use crate::{
    manifest::SocketSource,
    model::ProcessingTime,
    ports::{Range, RowReceiver, Source, SourceError, Split, Wake},
};

use self::buffer::{Block, Shared};
use super::{count, line};

/// The polled side. Dropping it ends the reading thread.
pub(super) struct Socket {
    address: String,
    shared: Arc<Shared>,
    /// Where the last range ended.
    position: u64,
    /// Lines after this one are not offered.
    frozen: Option<u64>,
}

impl Socket {
    pub(super) fn open(settings: &SocketSource, wake: Arc<dyn Wake>) -> Result<Self, SourceError> {
        let shared = Arc::new(Shared::new(settings.buffer_bytes, wake));
        reader::spawn(settings, shared.clone()).map_err(|error| {
            SourceError::Fatal(format!(
                "cannot start the thread that reads {}: {error}; close other programs",
                settings.address
            ))
        })?;
        Ok(Socket { address: settings.address.clone(), shared, position: 0, frozen: None })
    }
}

impl Source for Socket {
    fn restore(&mut self, history: &[Range]) -> Result<(), SourceError> {
        if let Some(last) = history.last() {
            self.position = count::from_offset(&last.end)?;
            self.shared.lock().number_from(self.position);
        }
        Ok(())
    }

    fn next_range(&mut self, _: ProcessingTime) -> Result<Option<Range>, SourceError> {
        let end = self.frozen.unwrap_or_else(|| self.shared.lock().seal());
        if end <= self.position {
            return Ok(None);
        }
        let range = Range {
            start: count::to_offset(self.position),
            end: count::to_offset(end),
            cumulative: true,
            detail: Vec::new(),
        };
        self.position = end;
        Ok(Some(range))
    }

    fn freeze(&mut self, _: ProcessingTime) -> Result<(), SourceError> {
        self.frozen = Some(self.shared.lock().seal());
        Ok(())
    }

    fn read(&mut self, range: &Range) -> Result<Vec<Box<dyn Split>>, SourceError> {
        let (start, end) = (count::from_offset(&range.start)?, count::from_offset(&range.end)?);
        let mut buffer = self.shared.lock();
        if end > self.position {
            // Planned by a process that is gone. What has come in since gets the numbers that follow.
            self.frozen = self.frozen.map(|frozen| frozen + (end - self.position));
            self.position = end;
            buffer.number_from(end);
        }
        let blocks = buffer.blocks(start, end);
        let lost = (end - start) - blocks.iter().map(Block::lines).sum::<u64>();
        if lost > 0 {
            tracing::warn!(
                "{lost} lines from {} were lost when the process that had received them ended: a socket cannot be read \
                 twice; use files where every line counts",
                self.address
            );
        }
        Ok(blocks.into_iter().map(|block| Box::new(block) as Box<dyn Split>).collect())
    }

    fn acknowledge(&mut self, range: &Range) -> Result<(), SourceError> {
        self.shared.forget(count::from_offset(&range.end)?);
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Split for Block {
    fn read(self: Box<Self>, receiver: &mut dyn RowReceiver) -> Result<(), SourceError> {
        let (rows, bad) = self.into_rows();
        if rows.num_rows() == 0 || receiver.rows(rows).is_continue() {
            let _ = bad.iter().cloned().try_for_each(|bad| receiver.bad_row(bad));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
