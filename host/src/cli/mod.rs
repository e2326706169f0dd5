//! The command line: the outermost ring, and the only one that knows clap, signals and exit codes.
//!
//! One command a file. What they share: `pipeline` reads and prepares what a manifest names, `checkpoint` finds where
//! its checkpoint is, `plugin` loads one file, `failure` decides how a command ends, `screen` and `log` are standard
//! error.

mod build;
mod checkpoint;
mod explain;
mod failure;
mod inspect;
mod log;
mod new;
mod pipeline;
mod plugin;
mod run;
mod savepoint;
mod screen;
mod state;
mod test;
mod validate;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use failure::Failure;
use pipeline::PipelineArgs;

const EXIT_CODES: &str = "\
Exit codes:
  0    all is well; a pipeline that was stopped has committed its epoch
  1    the command or the pipeline failed, or a checkpoint is damaged; what
       was committed stays so
  2    the command line is wrong, or a manifest or plugin was refused:
       nothing has run
  130  left at once by a second Ctrl-C; the next start goes on after the
       last committed epoch

Environment:
  TIDEMILL_LOG    what is logged to standard error: error, warn, info (the
                  default), debug, trace; or one for each target, as in
                  info,plugin=debug
  NO_COLOR        when set, no colours
  XDG_CACHE_HOME  its folder tidemill keeps compiled plugins; otherwise
                  ~/.cache/tidemill

Example:
  tidemill new words && cd words && tidemill run pipeline.toml";

/// Stream processing in one binary, with your code as sandboxed WebAssembly components
#[derive(Debug, Parser)]
#[command(name = "tidemill", version, after_long_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::New),
    Build(build::Build),
    Inspect(inspect::Inspect),
    Test(test::Test),
    Validate(validate::Validate),
    Explain(explain::Explain),
    Run(run::Run),
    Savepoint(savepoint::Savepoint),
    Verify(verify::Verify),
    State(state::State),
}

/// How a description is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that nobody reads any more is no failure.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(failure::REFUSED));
        }
    };
    match log::start().and_then(|()| cli.command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

impl Command {
    fn run(self) -> Result<(), Failure> {
        match self {
            Command::New(new) => new.run(),
            Command::Build(build) => build.run(),
            Command::Inspect(inspect) => inspect.run(),
            Command::Test(test) => test.run(),
            Command::Validate(validate) => validate.run(),
            Command::Explain(explain) => explain.run(),
            Command::Run(run) => run.run(),
            Command::Savepoint(savepoint) => savepoint.run(),
            Command::Verify(verify) => verify.run(),
            Command::State(state) => state.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Two options with one letter, or a default that does not parse, would only be found by whoever runs into it.
    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// Whoever reads a command's help wants to see it used.
    #[test]
    fn every_command_has_a_line_and_an_example() {
        for command in Cli::command().get_subcommands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && !about.contains('\n'), "{}: {about:?}", command.get_name());
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains(&format!("tidemill {} ", command.get_name())), "{}: {after:?}", command.get_name());
        }
    }
}
