//! When the next epoch starts, until it is enough.

use std::time::Duration;

use super::{Control, Pipeline, Prepared, Progress, RunError, trigger::next_start};
use crate::{manifest::Trigger, model::Epoch};

/// How long a pipeline without a clock of its own waits before it asks sources that cannot wake it, such as folders,
/// whether there is something new.
const POLL: Duration = Duration::from_millis(20);

/// Told what a running pipeline does.
pub trait Observer {
    /// An epoch was committed.
    fn progress(&mut self, progress: &Progress);
    /// The pipeline runs as this from an epoch on.
    fn swapped(&mut self, prepared: &Prepared, from: Epoch);
    /// A change was refused; the next epoch runs as those before it.
    fn refused(&mut self, error: &RunError, next: Epoch);
}

/// Runs epochs until the trigger says it is enough or a stop is asked for. Returns how many were committed.
pub fn drive(pipeline: &mut Pipeline, observer: &mut dyn Observer) -> Result<u64, RunError> {
    let mut epochs = 0;
    let control = pipeline.environment.control.clone();
    let clock = pipeline.environment.clock.clone();
    if pipeline.prepared.manifest.trigger == Trigger::AvailableNow {
        pipeline.freeze()?;
    }
    // One that is planned already is done first: it may hold what a source cannot give again.
    while !control.stopping() || pipeline.planned.is_some() {
        // An epoch that was under way, or planned already, is run as it was planned before anything changes.
        if pipeline.in_flight.is_none() && pipeline.planned.is_none() {
            swap_if_asked(pipeline, &control, observer);
        }
        let began = clock.now();
        let rerun = pipeline.in_flight.is_some();
        let progress = pipeline.run_epoch()?;
        if let Some(progress) = &progress {
            epochs += 1;
            observer.progress(progress);
        }
        match pipeline.prepared.manifest.trigger {
            // What a crash left unfinished comes on top of the one epoch that was asked for.
            _ if rerun => {}
            Trigger::Once => break,
            Trigger::AvailableNow if progress.is_none() => break,
            Trigger::AvailableNow => {}
            Trigger::Every(interval) => {
                let start = next_start(began, interval);
                while !control.stopping() && clock.now() < start {
                    control.wait(start.since(clock.now()), false);
                    swap_if_asked(pipeline, &control, observer);
                }
            }
            Trigger::Continuous if progress.is_none() => control.wait(POLL, true),
            Trigger::Continuous => {}
        }
    }
    Ok(epochs)
}

fn swap_if_asked(pipeline: &mut Pipeline, control: &Control, observer: &mut dyn Observer) {
    let Some(wanted) = control.take_swap() else { return };
    match pipeline.reconcile(wanted) {
        Ok(()) => observer.swapped(pipeline.prepared(), pipeline.next),
        Err(error) => observer.refused(&error, pipeline.next),
    }
}

impl Pipeline {
    fn freeze(&mut self) -> Result<(), RunError> {
        let now = self.environment.clock.now();
        for (source, node) in self.sources.iter_mut().zip(&self.prepared.plan.sources) {
            source.freeze(now).map_err(|error| RunError::Source { part: node.name.clone(), error })?;
        }
        Ok(())
    }
}
