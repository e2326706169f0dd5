//! Reducers. Those that do it right count rows; a state is the number as text.

use crate::{
    Misbehaving,
    bindings::exports::tidemill::plugin::reducer::Guest,
    catalog,
    wire::{BAD, Batch, Column, Failure, Values, lines, numbers, spin, states_of, text, text_batch},
};

impl Guest for Misbehaving {
    fn accumulate(handle: u32, states: Column, groups: Vec<u32>, input: Batch) -> Result<Column, Failure> {
        if catalog::name(handle) == "reducer_panics" && lines(&input).contains(&BAD) {
            panic!("this row is beyond me");
        }
        if catalog::name(handle) == "reducer_loops" && lines(&input).contains(&BAD) {
            spin();
        }
        let mut counts = numbers(&states);
        groups.iter().for_each(|&group| counts[group as usize] += 1);
        Ok(match catalog::name(handle) {
            "states_missing" => states_of(&counts[1..]),
            "states_of_text" => {
                Column { values: Values::Utf8(text(counts.iter().map(u64::to_string))), validity: None }
            }
            _ => states_of(&counts),
        })
    }

    fn merge(handle: u32, left: Column, right: Column) -> Result<Column, Failure> {
        let sums: Vec<u64> = numbers(&left).iter().zip(numbers(&right)).map(|(left, right)| left + right).collect();
        Ok(match catalog::name(handle) {
            "merge_loses_one" => states_of(&sums[1..]),
            _ => states_of(&sums),
        })
    }

    fn retract(_: u32, states: Column, _: Column) -> Result<Column, Failure> {
        Ok(states)
    }

    fn finish(handle: u32, states: Column) -> Result<Batch, Failure> {
        let counts: Vec<String> = numbers(&states).iter().map(u64::to_string).collect();
        Ok(match catalog::name(handle) {
            "finish_panics" => panic!("no end is good enough for me"),
            "finish_loses_one" => text_batch(&counts[1..]),
            _ => text_batch(&counts),
        })
    }
}
