//! How the outside reaches a running pipeline: to stop it, to change it, to tell it of new rows.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::Prepared;
use crate::ports::Wake;

/// Shared by a running pipeline and whoever steers it. The pipeline looks at it between two epochs.
#[derive(Default)]
pub struct Control {
    wishes: Mutex<Wishes>,
    changed: Condvar,
}

#[derive(Default)]
struct Wishes {
    stop: bool,
    awake: bool,
    /// Only the newest matters: an older one not yet taken is replaced.
    swap: Option<Prepared>,
}

impl Control {
    /// Asks the pipeline to finish its epoch, commit it, and stop.
    pub fn stop(&self) {
        self.wishes().stop = true;
        self.changed.notify_all();
    }

    /// Whether a stop was asked for.
    pub fn stopping(&self) -> bool {
        self.wishes().stop
    }

    /// Asks for a change to this between two epochs.
    pub fn swap(&self, wanted: Prepared) {
        self.wishes().swap = Some(wanted);
        self.changed.notify_all();
    }

    /// Whether anything was asked for that must wait for no further epoch.
    pub(super) fn wants_something(&self) -> bool {
        let wishes = self.wishes();
        wishes.stop || wishes.swap.is_some()
    }

    /// The change that was asked for, if any.
    pub(super) fn take_swap(&self) -> Option<Prepared> {
        self.wishes().swap.take()
    }

    /// Waits until something is wished, a source has new rows (when `for_rows`), or the time is over.
    pub(super) fn wait(&self, longest: Duration, for_rows: bool) {
        let quiet = |wishes: &mut Wishes| !(wishes.stop || wishes.swap.is_some() || (for_rows && wishes.awake));
        let waited = self.changed.wait_timeout_while(self.wishes(), longest, quiet);
        let (mut wishes, _) = waited.unwrap_or_else(PoisonError::into_inner);
        wishes.awake = false;
    }

    /// Wishes are plain values, whole at every instant, so a panic elsewhere does not spoil them.
    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Control {
    fn wake(&self) {
        self.wishes().awake = true;
        self.changed.notify_all();
    }
}
