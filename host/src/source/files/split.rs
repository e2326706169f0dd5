//! Cuts planned files into pieces, and reads a piece.

use std::{
    ops::{ControlFlow, Range},
    sync::Arc,
};

use arrow::datatypes::SchemaRef;

use crate::ports::{RowReceiver, SourceError, Split};

use super::{
    json::JsonLines,
    line,
    lines::{Lines, Part, ReadSizes},
    planned::PlannedFile,
    text,
};

/// About how large a piece is, whatever the number of workers: large enough that opening a file and finding the first
/// line cost nothing, small enough that a few files keep all workers busy. A file is cut into pieces of one size, of up
/// to half as much again: a small rest would be a task of its own, with a plugin instance and partial results that are
/// merged. Where files are cut depends on the range alone, so that results do not depend on the workers.
const PIECE_BYTES: u64 = 8 << 20;

/// The end of a range is cut smaller: workers that are not equally fast then finish at about the same time, and there is
/// work for several in a small epoch too.
const LAST_BYTES: u64 = 8 << 20;
const LAST_PIECE_BYTES: u64 = 4 << 20;

/// How lines become rows.
#[derive(Clone)]
pub(super) enum Format {
    /// A line a row.
    Text,
    /// A JSON object a row, with these columns.
    Json(SchemaRef),
}

/// The pieces of these files, in order.
pub(super) fn pieces(files: Vec<PlannedFile>, format: &Format, max_line_bytes: usize) -> Vec<Box<dyn Split>> {
    let mut left: u64 = files.iter().map(|file| file.size).sum();
    let mut pieces: Vec<Box<dyn Split>> = Vec::new();
    for file in files {
        let file = Arc::new(file);
        for bytes in cut(file.size, left) {
            let (file, format) = (Arc::clone(&file), format.clone());
            pieces.push(Box::new(Piece { file, bytes, format, max_line_bytes, sizes: ReadSizes::DEFAULT }));
        }
        left -= file.size;
    }
    pieces
}

/// Where a file of this size is cut, when so much of the range is left with it.
fn cut(size: u64, left: u64) -> impl Iterator<Item = Range<u64>> {
    let before_the_last = left.saturating_sub(LAST_BYTES).min(size);
    // Not for a scrap.
    let large = if before_the_last < PIECE_BYTES / 2 { 0 } else { before_the_last };
    evenly(0..large, PIECE_BYTES).chain(evenly(large..size, LAST_PIECE_BYTES))
}

/// Pieces of one size, near this one.
fn evenly(bytes: Range<u64>, piece_bytes: u64) -> impl Iterator<Item = Range<u64>> {
    let size = bytes.end - bytes.start;
    let pieces = ((size + piece_bytes / 2) / piece_bytes).max(1);
    let step = size.div_ceil(pieces).max(1);
    bytes.clone().step_by(step as usize).map(move |start| start..bytes.end.min(start + step))
}

struct Piece {
    file: Arc<PlannedFile>,
    bytes: Range<u64>,
    format: Format,
    max_line_bytes: usize,
    sizes: ReadSizes,
}

impl Split for Piece {
    fn read(self: Box<Self>, receiver: &mut dyn RowReceiver) -> Result<(), SourceError> {
        // Only the first piece of a file knows how many lines came before.
        let lines_before = (self.bytes.start == 0).then_some(0);
        let mut place = Place { file: self.file.clone(), start: 0, lines_before };
        let mut lines = Lines::open(self.file, self.bytes, self.max_line_bytes, self.sizes)?;
        let mut json = match self.format {
            Format::Text => None,
            Format::Json(schema) => Some(JsonLines::new(schema)),
        };
        while let Some(part) = lines.next()? {
            let (Part::Block { start, .. } | Part::Overlong { start, .. }) = &part;
            place.start = *start;
            let read = match (part, &mut json) {
                (Part::Block { bytes, .. }, None) => text::rows(bytes, &place, self.max_line_bytes, receiver),
                (Part::Block { bytes, .. }, Some(json)) => json.rows(&bytes, &place, self.max_line_bytes, receiver),
                (Part::Overlong { head, .. }, _) => {
                    let bad = line::too_long(place.of(0, 0), &head, self.max_line_bytes);
                    receiver.bad_row(bad).map_continue(|()| 1)
                }
            };
            match read {
                ControlFlow::Continue(lines) => place.lines_before = place.lines_before.map(|before| before + lines),
                ControlFlow::Break(()) => break,
            }
        }
        Ok(())
    }
}

/// Where a block stands, for messages.
pub(super) struct Place {
    file: Arc<PlannedFile>,
    start: u64,
    lines_before: Option<u64>,
}

impl Place {
    /// Where a line of the block stands, given how many lines and bytes of the block come before it: `access.log:17`,
    /// or `access.log at byte 8390211` in a piece from the middle of a file.
    pub(super) fn of(&self, lines: u64, bytes: usize) -> String {
        let path = self.file.path();
        match self.lines_before {
            Some(before) => format!("{}:{}", path.display(), before + lines + 1),
            None => format!("{} at byte {}", path.display(), self.start + bytes as u64),
        }
    }
}

#[cfg(test)]
mod tests;
