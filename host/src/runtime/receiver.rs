//! The end of a split's way into the host: its rows go down the worker's pipe.

use arrow::array::RecordBatch;

use super::RunError;
use crate::{
    manifest::BadRows,
    model::{DeadLetter, Epoch, PartName},
    operator::{Outcome, Pipe},
    ports::{BadRow, Control, RowReceiver, Split},
};

/// Takes what a split reads, and sends it down the worker's pipe.
pub(super) struct SplitReceiver<'a> {
    pub(super) pipe: &'a mut Pipe,
    pub(super) source: usize,
    pub(super) part: &'a PartName,
    pub(super) epoch: Epoch,
    pub(super) bad_rows: BadRows,
    pub(super) taken: Taken,
}

/// What a receiver has taken so far.
#[derive(Default)]
pub(super) struct Taken {
    rows: u64,
    dead_letters: Vec<DeadLetter>,
    failed: Option<RunError>,
}

impl SplitReceiver<'_> {
    /// Reads a split to its end. Returns how many rows it had, and what came of them.
    pub(super) fn read(mut self, split: Box<dyn Split>) -> Result<(u64, Outcome), RunError> {
        let read = split.read(&mut self);
        let SplitReceiver { pipe, part, taken, .. } = self;
        // A failure further down made the split stop, so it goes before what the split says.
        taken.failed.map_or(Ok(()), Err)?;
        read.map_err(|error| RunError::Source { part: part.clone(), error })?;
        let mut outcome = pipe.finish_task()?;
        outcome.dead_letters.splice(0..0, taken.dead_letters);
        Ok((taken.rows, outcome))
    }

    fn fail(&mut self, error: RunError) -> Control {
        self.taken.failed = Some(error);
        Control::Break(())
    }
}

impl RowReceiver for SplitReceiver<'_> {
    fn rows(&mut self, batch: RecordBatch) -> Control {
        self.taken.rows += batch.num_rows() as u64;
        match self.pipe.push_from_source(self.source, &batch) {
            Ok(()) => Control::Continue(()),
            Err(error) => self.fail(error.into()),
        }
    }

    fn bad_row(&mut self, bad: BadRow) -> Control {
        let error = format!("{}: {}", bad.place, bad.error);
        if self.bad_rows == BadRows::Stop {
            return self.fail(RunError::BadRow { part: self.part.clone(), error });
        }
        let (epoch, part) = (self.epoch, self.part.clone());
        self.taken.dead_letters.push(DeadLetter { epoch, part, error, row: bad.row, module: None });
        Control::Continue(())
    }
}
