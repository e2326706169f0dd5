//! `tidemill verify`: whether a checkpoint or savepoint is what was written.

use std::fmt::{self, Write as _};

use clap::Args;

use super::{
    checkpoint::CheckpointArgs,
    failure::{Failure, print_text},
};
use crate::state::{Saved, Verdict};

const EXAMPLE: &str = "\
Exits with 0 when every value is what was written, with 1 when something is
damaged, and with 2 when there is nothing to look at or a pipeline runs on it.

Example:
  tidemill verify .tidemill/wordcount
  tidemill verify backups/monday && tidemill run wordcount.toml --from backups/monday";

/// Check every value of a checkpoint or savepoint
///
/// Reads all of it, compares every page and every value with its checksum, and decodes it. Nothing in the folder
/// changes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Verify {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
}

impl Verify {
    pub(super) fn run(self) -> Result<(), Failure> {
        let verdict = Saved::verify(&self.checkpoint.find()?.dir)?;
        let text = if verdict.damage.is_empty() { contents(&verdict) } else { damage(&verdict) };
        let text = text.expect("a string takes any text");
        if verdict.damage.is_empty() { print_text(&text) } else { Err(Failure::failed(text)) }
    }
}

fn contents(verdict: &Verdict) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(out, "`{}` is in order: {} bytes", verdict.path.display(), verdict.bytes)?;
    if let Some(description) = &verdict.description {
        writeln!(out, "  savepoint of `{}`, made at {}", description.pipeline, description.made_at)?;
    }
    match &verdict.committed {
        Some(committed) => writeln!(out, "  epoch {} of {} is committed", committed.epoch, committed.batch_time)?,
        None => writeln!(out, "  no epoch is committed")?,
    }
    if let Some(epoch) = verdict.planned {
        writeln!(out, "  epoch {epoch} was under way")?;
    }
    for (source, ranges) in &verdict.sources {
        writeln!(out, "  source `{source}`: ranges {ranges}")?;
    }
    for stage in &verdict.stages {
        writeln!(out, "  stage `{}`: rows {}, values {}, bytes {}", stage.name, stage.rows, stage.values, stage.bytes)?;
    }
    Ok(out)
}

fn damage(verdict: &Verdict) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(out, "checkpoint `{}` is damaged:", verdict.path.display())?;
    for damage in &verdict.damage {
        writeln!(out, "  {}: {}", damage.place, damage.reason)?;
    }
    if verdict.unlisted > 0 {
        writeln!(out, "  and {} more", verdict.unlisted)?;
    }
    write!(
        out,
        "do not go on with it: start from a savepoint with `tidemill run PIPELINE.toml --from SAVEPOINT --checkpoint NEW`, or anew \
         with another --checkpoint"
    )?;
    Ok(out)
}
