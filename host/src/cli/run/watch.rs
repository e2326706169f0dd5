//! `--watch`: a thread that prepares the pipeline anew when a file of it changes.

use std::{
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread,
};

use super::Run;
use crate::{
    cli::{failure::Reason, pipeline::prepare, screen},
    ports::PluginLoader,
    runtime::{Control, Watch},
};

/// Watches until what is returned is dropped. The thread is not waited for: it may be in the middle of a build that
/// nobody needs any more.
pub(super) fn spawn(watched: Watch, run: Run, loader: Arc<dyn PluginLoader>, control: Arc<Control>) -> Sender<()> {
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        let mut prepare = || {
            screen::line("a file has changed");
            prepare(loader.as_ref(), run.read()?)
        };
        let mut report = |error| {
            screen::line(&format!("refused, the pipeline runs on as it was:\n{}", Reason::from(error).shown()));
        };
        watched.run(&control, &end, &mut prepare, &mut report);
    });
    ended
}
