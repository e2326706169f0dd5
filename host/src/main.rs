//! The `tidemill` binary: an allocator, and the command line.

use std::process::ExitCode;

/// Every worker makes and drops buffers all the time; this one keeps them apart by thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidemill::cli::main()
}
