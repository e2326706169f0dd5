use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

#[transform]
fn tokenize<'a>(line: Line<'a>) -> impl Clone {
    line.value
}

fn main() {}
