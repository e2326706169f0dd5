//! Batch handlers.

use crate::{
    Misbehaving,
    bindings::{exports::tidemill::plugin::batch_handler::Guest, tidemill::plugin::outlets},
    catalog,
    wire::{Batch, Failure, Values, batch, failure, lines, spin, text_batch},
};

impl Guest for Misbehaving {
    fn handle(handle: u32, _: u64, input: Batch) -> Result<(), Failure> {
        match catalog::name(handle) {
            "handler_panics" => panic!("this batch is beyond me"),
            "handler_loops" => spin(),
            "handler_unknown_outlet" => outlets::write("nowhere", &text_batch(&lines(&input))).map_err(failure),
            "handler_misfit" => outlets::write("out", &batch(2, Values::Int64(vec![1, 2]))).map_err(failure),
            // What it writes leaves its memory, so its own limit never stops it.
            _ => loop {
                outlets::write("out", &text_batch(&["x".repeat(1 << 20)])).map_err(failure)?;
            },
        }
    }
}
