//! How a command ends when it does not end well, and how that is told: the one place that shows errors to people.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::screen;
use crate::{
    manifest::Diagnostics,
    ports::{CallError, CheckpointError, LoadError},
    runtime::{PrepareError, RunError},
    scaffold::ScaffoldError,
    toolchain::BuildError,
};

const FAILED: u8 = 1;
pub(super) const REFUSED: u8 = 2;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(super) enum Failure {
    /// What was given is wrong, and nothing has run.
    Refused(Reason),
    /// It went wrong on the way.
    Failed(Reason),
    /// Whoever was reading standard output has gone: there is no one left to work for.
    Closed,
}

/// An error, as it will be shown.
#[derive(Debug)]
pub(super) enum Reason {
    Text(String),
    Manifest(Diagnostics),
    /// A crate that does not build: mostly a compiler's words, in colour if it was asked for that.
    Build(BuildError),
}

impl Failure {
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Failure::Refused(Reason::Text(text.into()))
    }

    pub(super) fn failed(text: impl Into<String>) -> Self {
        Failure::Failed(Reason::Text(text.into()))
    }

    /// Shows it and says how the process ends.
    pub(super) fn report(self) -> ExitCode {
        let (code, reason) = match self {
            Failure::Refused(reason) => (REFUSED, reason),
            Failure::Failed(reason) => (FAILED, reason),
            Failure::Closed => return ExitCode::SUCCESS,
        };
        screen::line(&reason.shown());
        ExitCode::from(code)
    }
}

impl Reason {
    /// The whole text for standard error.
    pub(super) fn shown(&self) -> String {
        match self {
            Reason::Manifest(faults) if screen::coloured() => faults.styled(),
            Reason::Manifest(faults) => faults.to_string(),
            // A compiler's words begin like this by themselves.
            Reason::Build(BuildError(text)) if text.starts_with("error") || text.starts_with("warning") => text.clone(),
            Reason::Build(BuildError(text)) => format!("{} {text}", screen::bold_red("error:")),
            Reason::Text(text) => format!("{} {}", screen::bold_red("error:"), screen::printable(text)),
        }
    }
}

impl From<PrepareError> for Reason {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::Manifest(faults) => Reason::Manifest(faults),
            PrepareError::Build(error) => Reason::Build(error),
            PrepareError::Load(error) => Reason::Text(error.to_string()),
        }
    }
}

impl From<PrepareError> for Failure {
    fn from(error: PrepareError) -> Self {
        Failure::Refused(error.into())
    }
}

impl From<Diagnostics> for Failure {
    fn from(faults: Diagnostics) -> Self {
        Failure::Refused(Reason::Manifest(faults))
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Failure::refused(error.to_string())
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Failure::Failed(Reason::Build(error))
    }
}

impl From<ScaffoldError> for Failure {
    fn from(error: ScaffoldError) -> Self {
        Failure::refused(error.to_string())
    }
}

impl From<CheckpointError> for Failure {
    fn from(error: CheckpointError) -> Self {
        Failure::failed(error.to_string())
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Failure::failed(error.to_string())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Failure::failed(error.to_string())
    }
}

/// Whether whoever was reading standard output has closed it.
pub(super) fn output_closed() -> bool {
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut watched, Some(&now)).is_ok() && watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// Writes text for people to standard output. What plugins say of themselves may be in it.
pub(super) fn print_text(text: &str) -> Result<(), Failure> {
    print(screen::printable(text))
}

/// Writes a command's result to standard output.
pub(super) fn print(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_ref()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::failed(format!("cannot write to standard output: {error}")),
    })
}
