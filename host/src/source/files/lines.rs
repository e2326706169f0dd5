//! Reads a piece of a file as blocks of whole lines.
//!
//! A piece is a range of bytes, cut without looking into the file. Its lines are those between the first line end at or
//! after its start and the first line end at or after its end, so every line belongs to exactly one piece; the first
//! piece begins with the first line.

use std::{fs::File, mem, ops::Range, sync::Arc};

use memchr::{memchr, memrchr};
use rustix::{buffer::spare_capacity, io::pread, io::retry_on_intr};

use crate::ports::SourceError;

use super::{line::EXCERPT_BYTES, planned::PlannedFile};

/// How much is read at once.
#[derive(Clone, Copy)]
pub(super) struct ReadSizes {
    /// For lines to hand out: about a batch. Large enough to pay for a call into a plugin; small enough that what is
    /// made of it until it is folded, some five times as much in copies, columns and numbers of groups, about fits into
    /// the cache that a core has for itself. Workers that share the memory are then in each other's way the less.
    pub(super) chunk: u64,
    /// Where only the next line end is wanted.
    pub(super) seek: u64,
}

impl ReadSizes {
    pub(super) const DEFAULT: ReadSizes = ReadSizes { chunk: 256 << 10, seek: 64 << 10 };
}

/// The lines of one piece. Holds at most a chunk and one line of `max_line_bytes`.
pub(super) struct Lines {
    file: File,
    planned: Arc<PlannedFile>,
    max_line_bytes: usize,
    sizes: ReadSizes,
    /// Up to where the file was read.
    position: u64,
    /// The end of the piece.
    end: u64,
    /// Read, but not handed out: the beginning of a line.
    carry: Vec<u8>,
    finished: bool,
}

/// What comes next in a piece.
pub(super) enum Part {
    /// Whole lines, each with its line end.
    Block {
        /// Where the first one begins in the file.
        start: u64,
        /// The lines.
        bytes: Vec<u8>,
    },
    /// A line that is too long to be held.
    Overlong {
        /// Where it begins in the file.
        start: u64,
        /// Its beginning.
        head: Vec<u8>,
    },
}

impl Lines {
    pub(super) fn open(
        planned: Arc<PlannedFile>,
        piece: Range<u64>,
        max_line_bytes: usize,
        sizes: ReadSizes,
    ) -> Result<Self, SourceError> {
        let file = planned.open()?;
        let Range { start: position, end } = piece;
        let mut lines =
            Lines { file, planned, max_line_bytes, sizes, position, end, carry: Vec::new(), finished: false };
        if position > 0 {
            lines.skip_to_first_line()?;
        }
        Ok(lines)
    }

    /// The next lines; none at the end of the piece.
    pub(super) fn next(&mut self) -> Result<Option<Part>, SourceError> {
        let mut bytes = mem::take(&mut self.carry);
        let start = self.position - bytes.len() as u64;
        while !self.finished {
            let within = self.position < self.end;
            let old = bytes.len();
            // As much again as there is of a long line, so that it is not moved at every step; no more than it may
            // have.
            let of_line = old.min((self.max_line_bytes + 2).saturating_sub(old)) as u64;
            self.read_at_most(of_line.max(if within { self.sizes.chunk } else { self.sizes.seek }), &mut bytes)?;
            if let Some(length) = self.whole_lines(&mut bytes, old, within) {
                self.carry = bytes[length..].to_vec();
                bytes.truncate(length);
                return Ok(Some(Part::Block { start, bytes }));
            }
            // The carriage return of the line end does not count.
            if bytes.len() > self.max_line_bytes + 1 {
                bytes.truncate(EXCERPT_BYTES.min(self.max_line_bytes + 1));
                self.skip_line()?;
                return Ok(Some(Part::Overlong { start, head: bytes }));
            }
        }
        Ok(None)
    }

    /// How many of these bytes are whole lines of this piece. Those from `old` on have just been read, from within the
    /// piece or from what follows it; those before are the beginning of a line.
    fn whole_lines(&mut self, bytes: &mut Vec<u8>, old: usize, within: bool) -> Option<usize> {
        let line_end = if within { memrchr(b'\n', &bytes[old..]) } else { memchr(b'\n', &bytes[old..]) };
        let at_end_of_file = self.position == self.planned.size;
        // Past the end of the piece, only the line that reaches over it is wanted.
        self.finished = at_end_of_file || (!within && line_end.is_some());
        if at_end_of_file && (within || line_end.is_none()) {
            if bytes.last().is_some_and(|&last| last != b'\n') {
                bytes.push(b'\n');
            }
            return Some(bytes.len()).filter(|&length| length > 0);
        }
        line_end.map(|at| old + at + 1)
    }

    /// Passes over the line that the piece before this one reads to its end.
    fn skip_to_first_line(&mut self) -> Result<(), SourceError> {
        while self.position < self.end {
            if self.skip_to_line_end()? {
                return Ok(());
            }
        }
        self.finished = true;
        Ok(())
    }

    /// Passes over the rest of a line of this piece.
    fn skip_line(&mut self) -> Result<(), SourceError> {
        while !self.finished {
            let within = self.position < self.end;
            if self.skip_to_line_end()? {
                self.finished = !within;
                break;
            }
            self.finished = self.position == self.planned.size;
        }
        Ok(())
    }

    /// Reads once and goes to just after the first line end. False when there was none.
    fn skip_to_line_end(&mut self) -> Result<bool, SourceError> {
        let mut bytes = Vec::new();
        self.read_at_most(self.sizes.seek, &mut bytes)?;
        let line_end = memchr(b'\n', &bytes);
        if let Some(line_end) = line_end {
            self.position -= (bytes.len() - line_end - 1) as u64;
        }
        Ok(line_end.is_some())
    }

    /// Reads on, up to the end of the piece first and then over it, and nothing at the end of the file.
    fn read_at_most(&mut self, most: u64, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        let stop = if self.position < self.end { self.end } else { self.planned.size };
        let wanted = (stop - self.position).min(most) as usize;
        if wanted == 0 {
            return Ok(());
        }
        let old = bytes.len();
        // One more for the line end that the last line may lack.
        bytes.reserve_exact(wanted + 1);
        let read = retry_on_intr(|| pread(&self.file, spare_capacity(bytes), self.position));
        let read = read.map_err(|error| {
            SourceError::Again(format!("cannot read `{}`: {error}; check the disk", self.planned.path().display()))
        })?;
        if read == 0 {
            return Err(self.planned.is_not_the_same(&format!("it ends after {}", self.position)));
        }
        // More than wanted may have been read, as much as was allocated; it will be read again.
        bytes.truncate(old + wanted);
        self.position += (bytes.len() - old) as u64;
        Ok(())
    }
}
