//! `tidemill validate`: everything that can be known before a pipeline runs.

use clap::Args;

use super::{
    PipelineArgs,
    failure::{Failure, print_text},
};

const EXAMPLE: &str = "\
Example:
  tidemill validate wordcount.toml --set sources.lines.address=127.0.0.1:9998";

/// Check a pipeline without running it
///
/// Reads the manifest, builds and loads its plugins, and checks that every column, config and expression fits.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Validate {
    #[command(flatten)]
    pipeline: PipelineArgs,
}

impl Validate {
    pub(super) fn run(self) -> Result<(), Failure> {
        let manifest = self.pipeline.prepare()?.manifest;
        let parts = [
            (manifest.sources.len(), "source"),
            (manifest.transforms.len(), "transform"),
            (manifest.sinks.len(), "sink"),
            (manifest.plugins.len(), "plugin"),
        ];
        let parts = parts.map(|(count, part)| format!("{count} {part}{}", if count == 1 { "" } else { "s" }));
        print_text(&format!("{}: ok ({})\n", self.pipeline.file.display(), parts.join(", ")))
    }
}
