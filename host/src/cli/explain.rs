//! `tidemill explain`: the checked plan of a pipeline, for people and for programs.

use clap::Args;

use super::{
    Format, PipelineArgs,
    failure::{Failure, print, print_text},
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
        match self.format {
            Format::Text => print_text(&explained.to_string()),
            Format::Json => {
                let json = serde_json::to_string_pretty(&explained);
                print(json.expect("text, numbers and lists can be written as JSON") + "\n")
            }
        }
    }
}
