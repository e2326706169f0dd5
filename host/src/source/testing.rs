//! What the tests of sources share.

use std::{
    ops::ControlFlow,
    sync::{Condvar, Mutex},
    time::Duration,
};

use arrow::array::{AsArray, RecordBatch};

use crate::ports::{BadRow, Control, Range, RowReceiver, Source, SourceError, Wake};

/// How long a test waits for what must happen: long enough for a busy machine, and the end of a hang.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps what a split gives.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) batches: Vec<RecordBatch>,
    pub(super) bad: Vec<BadRow>,
    /// Says break after so many batches.
    pub(super) enough: Option<usize>,
}

impl RowReceiver for Collected {
    fn rows(&mut self, batch: RecordBatch) -> Control {
        self.batches.push(batch);
        if Some(self.batches.len()) == self.enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn bad_row(&mut self, bad: BadRow) -> Control {
        self.bad.push(bad);
        ControlFlow::Continue(())
    }
}

impl Collected {
    /// The values of the first column, which is text.
    pub(super) fn texts(&self) -> Vec<String> {
        let values = self.batches.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter());
        values.map(|value| value.expect("text has no nulls").to_owned()).collect()
    }
}

/// Reads a range, split after split.
pub(super) fn read(source: &mut dyn Source, range: &Range) -> Result<Collected, SourceError> {
    let mut collected = Collected::default();
    for split in source.read(range)? {
        split.read(&mut collected)?;
    }
    Ok(collected)
}

/// A wake that can be waited for.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Bell {
    fn wake(&self) {
        *self.rung.lock().expect("no test panics with the lock held") = true;
        self.changed.notify_all();
    }
}

impl Bell {
    /// Waits until it rings, or has rung since the last wait.
    pub(super) fn wait(&self) {
        let rung = self.rung.lock().expect("no test panics with the lock held");
        let (mut rung, timeout) =
            self.changed.wait_timeout_while(rung, PATIENCE, |rung| !*rung).expect("no test panics with the lock held");
        assert!(!timeout.timed_out(), "the source did not wake anybody");
        *rung = false;
    }
}
