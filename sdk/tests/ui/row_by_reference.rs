use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

#[derive(Row)]
struct Number {
    n: i64,
}

#[transform]
fn length(line: &Line) -> Number {
    Number { n: line.value.len() as i64 }
}

fn main() {}
