//! `tidemill explain`: the checked plan of a pipeline, for people and for programs.

use clap::Args;

use super::{
    Format, PipelineArgs,
    failure::{Failure, print},
};
use crate::plan;

const EXAMPLE: &str = "\
Example:
  tidemill explain wordcount.toml
  tidemill explain wordcount.toml --format json";

/// Show what a pipeline does, from its sinks up to its sources
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Explain {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Explain {
    pub(super) fn run(self) -> Result<(), Failure> {
        let prepared = self.pipeline.prepare()?;
        let explained = plan::explain(&prepared.manifest, &prepared.plan);
        print(match self.format {
            Format::Text => explained.to_string(),
            Format::Json => {
                serde_json::to_string_pretty(&explained).expect("text, numbers and lists can be written as JSON") + "\n"
            }
        })
    }
}
