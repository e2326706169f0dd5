use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

#[filter]
fn long(line: Line) -> Option<Line> {
    Some(line)
}

fn main() {}
