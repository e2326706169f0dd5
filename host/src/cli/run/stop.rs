//! What ends a run from outside: signals and time.

use std::{
    process,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use crate::{
    cli::{failure::Failure, screen},
    runtime::Control,
};

/// What a shell reports of a process that SIGINT has ended.
const INTERRUPTED: i32 = 130;

/// The first Ctrl-C (or SIGTERM, or a terminal that closes) stops the pipeline between two epochs; the second leaves at
/// once.
pub(super) fn on_signal(control: &Arc<Control>) -> Result<(), Failure> {
    let control = Arc::clone(control);
    let mut asked = false;
    let handler = move || {
        if asked {
            screen::keep_live();
            process::exit(INTERRUPTED);
        }
        asked = true;
        screen::line("stopping after this epoch; press Ctrl-C again to leave at once");
        control.stop();
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::failed(format!("cannot take Ctrl-C: {error}")))
}

/// Stops the pipeline after so long, unless what is returned is dropped before.
pub(super) fn after(time: Duration, control: &Arc<Control>) -> Sender<()> {
    let control = Arc::clone(control);
    let (ended, wait) = mpsc::channel();
    thread::spawn(move || {
        if wait.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
            control.stop();
        }
    });
    ended
}
