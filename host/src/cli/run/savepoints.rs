//! Savepoints of a pipeline that runs: a thread that takes the requests of `tidemill savepoint`.
//!
//! It reads what is committed beside the epochs, which neither wait for it nor see it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    cli::screen,
    ports::Clock,
    state::{Mailbox, Savepoints},
};

/// How often requests are looked for: soon enough for somebody who waits, seldom enough to cost nothing.
const INTERVAL: Duration = Duration::from_millis(100);

/// Requests are taken until this is dropped. One under way is given up then: whoever asked finds the checkpoint free,
/// and makes the savepoint itself.
pub(super) struct Serving {
    ended: Option<Sender<()>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Takes requests for savepoints of the pipeline whose checkpoint is in this folder.
pub(super) fn serve(savepoints: Savepoints, dir: &Path, pipeline: String, clock: Arc<dyn Clock>) -> Serving {
    let mailbox = Mailbox::open(dir);
    let (ended, end) = mpsc::channel();
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let thread = thread::spawn(move || {
        let is_over = || over.load(Ordering::Relaxed);
        while let Err(RecvTimeoutError::Timeout) = end.recv_timeout(INTERVAL) {
            let Some(taken) = mailbox.take() else { continue };
            match savepoints.make(&pipeline, clock.now(), &taken.to, &is_over) {
                Ok(made) => {
                    screen::line(&format!("savepoint `{}` after epoch {}", taken.to.display(), made.epoch));
                    taken.made();
                }
                // Nobody is told: the request ends with this process.
                Err(_) if is_over() => {}
                Err(error) => taken.refused(error.to_string()),
            }
        }
    });
    Serving { ended: Some(ended), is_over, thread: Some(thread) }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        drop(self.ended.take());
        // It holds the checkpoint, which must be free when this process is done with it. A panic of its own has been
        // shown.
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}
