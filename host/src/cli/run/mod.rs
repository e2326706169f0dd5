//! `tidemill run`: a pipeline in the foreground.

mod progress;
mod savepoints;
mod stop;
mod watch;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;

use self::progress::{Reporter, Show};
use super::{
    PipelineArgs,
    checkpoint::place_of,
    failure::{Failure, output_closed},
    pipeline::prepare,
    plugin, screen,
};
use crate::{
    manifest::{Diagnostics, Manifest, SinkConnector, SinkSpec, parse_duration},
    model::{Epoch, PartName},
    ports::{CheckpointStore, StateChange},
    runtime::{Control, Decisions, Environment, Pipeline, RunError, SystemClock, Watch, drive},
    sink::MemoryTables,
    state::{Description, RedbStore, Saved, Unnamed, check_new},
};

const EXAMPLE: &str = "\
Ctrl-C finishes the epoch, commits it and exits with 0; a second one leaves at
once, with 130. Either way the next start goes on where the checkpoint stands.

Example:
  tidemill run wordcount.toml
  tidemill run wordcount.toml --set trigger=once --checkpoint /tmp/try
  tidemill run wordcount.toml --watch
  tidemill run wordcount.toml --timeout 30s --progress json | jq .batchId
  tidemill run wordcount.toml --from backups/monday --checkpoint /tmp/try
  tidemill run wordcount.toml --rename-state counts=totals
  tidemill run wordcount.toml --drop-state counts";

/// Run a pipeline in the foreground
///
/// Builds and loads its plugins, checks that everything fits, and runs it from where its checkpoint stands until its
/// trigger says it is enough or it is stopped.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Run {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Keep the checkpoint here; otherwise where the manifest says, or in .tidemill/NAME beside it
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Begin a new checkpoint where this savepoint stands
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Let the part NEW go on with what is kept for OLD, which it was called before; can be given several times
    #[arg(long, value_name = "OLD=NEW", value_parser = rename)]
    rename_state: Vec<StateChange>,
    /// Forget what is kept for a part that the manifest has no more, or not as it was; can be given several times
    #[arg(long, value_name = "PART", value_parser = drop_of)]
    drop_state: Vec<StateChange>,
    /// Run an unfinished epoch again with what has changed since, though a sink has what it gave before
    #[arg(long)]
    replay_changed: bool,
    /// Stop after running so long, as Ctrl-C would
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Report every epoch
    #[arg(long, value_enum, default_value_t = Show::Auto)]
    progress: Show,
    /// Rebuild and swap plugins between two epochs when their files or the manifest change
    #[arg(long)]
    watch: bool,
    /// Run on so many workers; otherwise as the manifest says, or one for each core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
}

impl Run {
    pub(super) fn run(self) -> Result<(), Failure> {
        let manifest = self.read()?;
        let checkpoint = self.checkpoint_of(&manifest);
        self.check_place(&checkpoint)?;
        // Looked at before the build, so that a change while it goes on is not missed.
        let watched = self.watch.then(|| Watch::start(&self.pipeline.file, &manifest));
        let loader = Arc::new(plugin::loader()?);
        let prepared = prepare(loader.as_ref(), manifest)?;

        let control = Arc::new(Control::default());
        stop::on_signal(&control)?;
        let clock = Arc::new(SystemClock::start());
        let prints = prepared.manifest.sinks.iter().any(is_console);
        let mut reporter = Reporter::new(self.progress.settle(prints), &prepared, clock.clone(), control.clone());
        let (store, begun) = self.open(&checkpoint)?;
        let (savepoints, name) = (store.savepoints(), prepared.manifest.name.clone());
        let tables = Arc::new(MemoryTables::default());
        let environment = Environment { clock: clock.clone(), control: control.clone(), tables, checkpoint };
        let restored = begun.as_ref().map(|begun| begun.epoch);
        let decisions = Decisions {
            state: self.rename_state.iter().chain(&self.drop_state).cloned().collect(),
            replay_changed: self.replay_changed,
        };
        let started = Pipeline::start(environment, Box::new(store), prepared, &decisions);
        let mut pipeline = started.map_err(|error| self.not_started(error, restored))?;
        if let Some(begun) = begun {
            begun.checkpoint.name()?;
        }
        let _savepoints = savepoints::serve(savepoints, pipeline.checkpoint(), name, clock);

        let _timeout = self.timeout.map(|time| stop::after(time, &control));
        let _watch = watched.map(|watched| watch::spawn(watched, self, loader.clone(), control));
        let outcome = drive(&mut pipeline, &mut reporter);
        let reported = reporter.finish();
        let epochs = outcome.map_err(|error| failure(error, &pipeline.prepared().manifest))?;
        if epochs == 0 {
            // Else a second run, which has nothing left to read, would look like one that does not work.
            screen::line(&format!("nothing new; checkpoint {}", pipeline.checkpoint().display()));
        }
        reported
    }

    fn read(&self) -> Result<Manifest, Diagnostics> {
        let mut manifest = self.pipeline.read()?;
        manifest.workers = self.workers.map(usize::from).or(manifest.workers);
        Ok(manifest)
    }

    fn checkpoint_of(&self, manifest: &Manifest) -> PathBuf {
        self.checkpoint.clone().unwrap_or_else(|| place_of(manifest, self.pipeline.folder()))
    }

    /// A savepoint stays as it is, and a checkpoint that is there is not begun anew.
    fn check_place(&self, checkpoint: &Path) -> Result<(), Failure> {
        if Description::read(checkpoint)?.is_some() {
            return Err(Failure::refused(format!(
                "`{0}` is a savepoint, which stays as it is: start from it with --from {0}, and keep the checkpoint elsewhere",
                checkpoint.display()
            )));
        }
        match self.from {
            Some(_) => check_new(checkpoint).map_err(|error| Failure::refused(error.to_string())),
            None => Ok(()),
        }
    }

    /// Opens the checkpoint, or begins one where the savepoint stands.
    fn open(&self, checkpoint: &Path) -> Result<(RedbStore, Option<Begun>), Failure> {
        let Some(from) = &self.from else { return Ok((RedbStore::open(checkpoint)?, None)) };
        let saved = Saved::open(from)?;
        let (store, restored) = saved.restore(checkpoint)?;
        let epoch = store.committed()?.map_or(Epoch::FIRST, |committed| committed.epoch);
        screen::line(&match saved.description() {
            Some(Description { pipeline, made_at, .. }) => {
                format!("starting from a savepoint of `{pipeline}` after epoch {epoch}, made at {made_at}")
            }
            None => format!("starting from the checkpoint `{}` after epoch {epoch}", from.display()),
        });
        Ok((store, Some(Begun { checkpoint: restored, epoch })))
    }

    /// Why there was no start. Of a savepoint it is known which of the two is older, and what to do.
    fn not_started(&self, error: RunError, restored: Option<Epoch>) -> Failure {
        match (&error, &self.from, restored) {
            (RunError::Unrecoverable { error, .. }, Some(from), Some(epoch)) => Failure::failed(format!(
                "savepoint `{}` stands after epoch {epoch}, and sink `{sink}` does not: it holds the output of other epochs, and \
                 rows would be missing or come twice; give the sink a new place, such as another `path`, or put its old place \
                 back as it was after epoch {epoch}; no checkpoint was made",
                from.display(),
                sink = error.sink
            )),
            _ => error.into(),
        }
    }
}

/// A checkpoint that begins at a savepoint.
struct Begun {
    checkpoint: Unnamed,
    epoch: Epoch,
}

fn rename(text: &str) -> Result<StateChange, String> {
    match text.split_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() && from != to => {
            Ok(StateChange::Rename { from: PartName::new(from), to: PartName::new(to) })
        }
        _ => Err("write OLD=NEW, the names of two parts".to_owned()),
    }
}

fn drop_of(part: &str) -> Result<StateChange, String> {
    Ok(StateChange::Drop { part: PartName::new(part) })
}

fn is_console(sink: &SinkSpec) -> bool {
    matches!(sink.connector, SinkConnector::Console(_))
}

/// A console sink that finds standard output closed is a pipeline's error like any other, but `tidemill run ... | head`
/// has done what it should.
fn failure(error: RunError, manifest: &Manifest) -> Failure {
    match &error {
        RunError::Sink { part, .. }
            if manifest.sinks.iter().any(|sink| &sink.name.value == part && is_console(sink)) && output_closed() =>
        {
            Failure::Closed
        }
        _ => error.into(),
    }
}
