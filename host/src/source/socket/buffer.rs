//! The lines that were received and not yet committed, in blocks that are ready to be read.

use std::{
    collections::VecDeque,
    mem,
    net::{Shutdown, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};

use crate::ports::{BadRow, Wake};

use super::line::{self, BATCH_ROWS};

/// What a line costs beyond its own bytes: its place in the offsets, rounded up so that empty lines count.
const LINE_OVERHEAD: usize = 8;

/// A block is closed at this size, so that one block is one batch for one worker.
const BLOCK_BYTES: usize = 1 << 20;

/// A line as the reading thread hands it over.
pub(super) enum Line {
    /// A row.
    Text(String),
    /// Not a row.
    Bad(BadRow),
}

impl Line {
    fn cost(&self) -> usize {
        LINE_OVERHEAD
            + match self {
                Line::Text(text) => text.len(),
                Line::Bad(bad) => mem::size_of::<BadRow>() + bad.place.len() + bad.row.len() + bad.error.len(),
            }
    }
}

/// Lines that will not change: a batch of those that are rows, and the others.
#[derive(Debug, Clone)]
pub(super) struct Block {
    rows: RecordBatch,
    bad: Arc<[BadRow]>,
    cost: usize,
}

impl Block {
    /// How many lines it stands for.
    pub(super) fn lines(&self) -> u64 {
        (self.rows.num_rows() + self.bad.len()) as u64
    }

    /// Its rows, and its lines that are none.
    pub(super) fn into_rows(self) -> (RecordBatch, Arc<[BadRow]>) {
        (self.rows, self.bad)
    }
}

/// The buffer between the reading thread and the source.
pub(super) struct Shared {
    buffer: Mutex<Buffer>,
    /// Signalled when there is room again, and to stop.
    changed: Condvar,
    limit: usize,
    wake: Arc<dyn Wake>,
}

/// What the lock protects.
#[derive(Default)]
pub(super) struct Buffer {
    /// How many lines came before the first one kept.
    before: u64,
    blocks: VecDeque<Block>,
    open: OpenBlock,
    /// What all kept lines cost, those of the open block included.
    cost: usize,
    connection: Option<TcpStream>,
    stopped: bool,
}

#[derive(Default)]
struct OpenBlock {
    rows: StringBuilder,
    lines: usize,
    bad: Vec<BadRow>,
    cost: usize,
}

impl Shared {
    pub(super) fn new(limit: usize, wake: Arc<dyn Wake>) -> Self {
        Shared { buffer: Mutex::default(), changed: Condvar::new(), limit, wake }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Buffer> {
        // No method leaves the buffer half changed, so a panic elsewhere does not make it unusable.
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, waiting for room; a single line larger than the whole buffer waits until it is alone. False once
    /// the source is gone.
    pub(super) fn push(&self, line: Line) -> bool {
        let cost = line.cost();
        let full = |buffer: &Buffer| !buffer.stopped && buffer.cost > 0 && buffer.cost + cost > self.limit;
        let mut buffer = self.lock();
        if full(&buffer) {
            // Only an epoch makes room, and nobody has told the epoch loop yet.
            self.wake.wake();
            buffer = self.changed.wait_while(buffer, |buffer| full(buffer)).unwrap_or_else(PoisonError::into_inner);
        }
        if !buffer.stopped {
            buffer.push(line, cost);
        }
        !buffer.stopped
    }

    /// Tells the epoch loop that lines have been added.
    pub(super) fn wake(&self) {
        self.wake.wake();
    }

    /// Waits, or returns false at once when the source is gone.
    pub(super) fn pause(&self, wait: Duration) -> bool {
        let result = self.changed.wait_timeout_while(self.lock(), wait, |buffer| !buffer.stopped);
        let (buffer, _) = result.unwrap_or_else(PoisonError::into_inner);
        !buffer.stopped
    }

    /// Registers the connection, so that `stop` can end a read under way. False once the source is gone.
    pub(super) fn connected(&self, connection: TcpStream) -> bool {
        let mut buffer = self.lock();
        buffer.connection = Some(connection);
        !buffer.stopped
    }

    /// Gives up the lines up to this number.
    pub(super) fn forget(&self, end: u64) {
        self.lock().forget(end);
        self.changed.notify_all();
    }

    /// Ends the reading thread wherever it waits, except in a name lookup, which nothing can end.
    pub(super) fn stop(&self) {
        let mut buffer = self.lock();
        buffer.stopped = true;
        if let Some(connection) = buffer.connection.take() {
            // Fails only when the connection has ended by itself.
            let _ = connection.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }
}

impl Buffer {
    /// Closes the open block and returns the number of the last line.
    pub(super) fn seal(&mut self) -> u64 {
        if self.open.lines > 0 {
            self.blocks.push_back(mem::take(&mut self.open).close());
        }
        self.before + self.blocks.iter().map(Block::lines).sum::<u64>()
    }

    /// Counts the kept lines from here on.
    pub(super) fn number_from(&mut self, before: u64) {
        self.before = before;
    }

    /// The kept lines after `start` up to and including `end`. Ranges end where a block was closed, so these are
    /// whole blocks.
    pub(super) fn blocks(&self, start: u64, end: u64) -> Vec<Block> {
        let mut before = self.before;
        let mut found = Vec::new();
        for block in &self.blocks {
            if before >= start && before < end {
                found.push(block.clone());
            }
            before += block.lines();
        }
        found
    }

    #[cfg(test)]
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    fn forget(&mut self, end: u64) {
        while let Some(block) = self.blocks.pop_front_if(|block| self.before + block.lines() <= end) {
            self.before += block.lines();
            self.cost -= block.cost;
        }
    }

    fn push(&mut self, line: Line, cost: usize) {
        self.cost += cost;
        let open = &mut self.open;
        open.cost += cost;
        open.lines += 1;
        match line {
            Line::Text(text) => open.rows.append_value(text),
            Line::Bad(bad) => open.bad.push(bad),
        }
        if open.lines >= BATCH_ROWS || open.cost >= BLOCK_BYTES {
            self.seal();
        }
    }
}

impl OpenBlock {
    fn close(mut self) -> Block {
        let rows: ArrayRef = Arc::new(self.rows.finish());
        let rows = RecordBatch::try_new(line::schema(), vec![rows]).expect("one column of text is the schema");
        Block { rows, bad: self.bad.into(), cost: self.cost }
    }
}
