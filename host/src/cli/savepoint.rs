//! `tidemill savepoint`: a copy of a checkpoint that is kept.
//!
//! A pipeline that runs holds its checkpoint, so it is asked to make the copy itself; it does so beside its epochs.

use std::{
    path::{Path, PathBuf, absolute},
    sync::mpsc,
    time::Duration,
};

use clap::Args;

use super::{
    checkpoint::{CheckpointArgs, Place},
    failure::{Failure, print_text},
};
use crate::{
    manifest::parse_duration,
    ports::Clock,
    runtime::SystemClock,
    state::{Asked, Description, Saved, Standing, Unopened, check_vacant, settle},
};

const EXAMPLE: &str = "\
The pipeline may be running. The savepoint is a folder that is there when it is
complete, and nothing is ever overwritten.

Example:
  tidemill savepoint wordcount.toml --to backups/monday
  tidemill run wordcount.toml --from backups/monday --checkpoint /tmp/try";

/// How often it is looked whether the pipeline has answered.
const GLANCE: Duration = Duration::from_millis(20);

/// How often it is tried whether the checkpoint is free by now: a pipeline that starts at that instant would find it
/// held.
const TRY: Duration = Duration::from_secs(1);

/// A pipeline that runs takes a request within a fraction of this.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

/// Copy a pipeline's checkpoint between two epochs
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Savepoint {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// The folder to be made; it must not exist, or be empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Wait so long for a pipeline that runs
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10m")]
    timeout: Duration,
}

impl Savepoint {
    pub(super) fn run(self) -> Result<(), Failure> {
        let place = self.checkpoint.find()?;
        // It may be another process that makes it, in another folder.
        let to = absolute(&self.to).map_err(|error| Failure::refused(format!("`{}`: {error}", self.to.display())))?;
        check_vacant(&to).map_err(|error| Failure::refused(error.to_string()))?;
        let description = self.make(&place, &to)?;
        print_text(&format!(
            "savepoint `{}` of `{}` after epoch {} ({})\n",
            self.to.display(),
            description.pipeline,
            description.epoch,
            description.batch_time
        ))
    }

    /// Makes it, or has it made: which of the two is possible may change at any time.
    fn make(&self, place: &Place, to: &Path) -> Result<Description, Failure> {
        let clock = SystemClock::start();
        let (_never, rest) = mpsc::channel::<()>();
        let mut asked: Option<(Asked, Duration)> = None;
        let mut tried: Option<Duration> = None;
        loop {
            let now = clock.elapsed();
            if tried.is_none_or(|last| now - last >= TRY) {
                tried = Some(now);
                match Saved::open(&place.dir) {
                    // Whoever held it may have finished the savepoint before it ended.
                    Ok(saved) => match made(to)? {
                        Some(description) => return Ok(description),
                        None => return Ok(saved.savepoint(&place.pipeline, clock.now(), to)?),
                    },
                    Err(Unopened::InUse(_)) => {}
                    Err(refused) => return Err(refused.into()),
                }
            }
            match asked.as_ref().map(|(request, since)| (request.standing(), request, *since)) {
                None | Some((Standing::Gone, ..)) => match made(to)? {
                    Some(description) => return Ok(description),
                    None => asked = Some((Asked::post(&place.dir, to)?, now)),
                },
                Some((Standing::Refused(reason), ..)) => return Err(Failure::failed(reason)),
                Some((Standing::Waiting, request, since)) if now - since >= TAKEN_WITHIN && request.withdraw() => {
                    return Err(Failure::failed(format!(
                        "checkpoint `{}` is held by a process that makes no savepoints, such as another command of tidemill's; wait \
                         until it has ended, and try again",
                        place.dir.display()
                    )));
                }
                Some((Standing::Waiting | Standing::Taken, ..)) => {}
            }
            if now >= self.timeout {
                return Err(Failure::failed(format!(
                    "the pipeline has not finished the savepoint within {:?}; if it still can, `{}` will be there when it has; give \
                     it more --timeout the next time",
                    self.timeout,
                    to.display()
                )));
            }
            let _ = rest.recv_timeout(GLANCE);
        }
    }
}

/// The savepoint, when it is there. Where it was made by another process, its name may not be durable yet.
fn made(to: &Path) -> Result<Option<Description>, Failure> {
    let description = Description::read(to)?;
    if description.is_some() {
        settle(to).map_err(|error| Failure::failed(format!("`{}`: {error}", to.display())))?;
    }
    Ok(description)
}
