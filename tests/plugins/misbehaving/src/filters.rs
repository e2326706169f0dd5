//! Filters.

use crate::{
    Misbehaving,
    bindings::exports::tidemill::plugin::filter::Guest,
    catalog,
    wire::{BAD, Batch, Failure, lines, spin},
};

impl Guest for Misbehaving {
    fn apply(handle: u32, input: Batch) -> Result<Vec<u8>, Failure> {
        match catalog::name(handle) {
            "filter_panics" if lines(&input).contains(&BAD) => panic!("this row is beyond me"),
            "filter_loops" if lines(&input).contains(&BAD) => spin(),
            "filter_mask_short" => Ok(Vec::new()),
            _ => Ok(vec![0xff; input.rows.div_ceil(8) as usize]),
        }
    }
}
