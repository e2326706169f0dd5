use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

struct Length {
    at_least: usize,
}

#[filter]
fn long(line: Line, config: &Length) -> bool {
    line.value.len() >= config.at_least
}

fn main() {}
