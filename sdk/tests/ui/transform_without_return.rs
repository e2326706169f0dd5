use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

#[transform]
fn tokenize(line: Line) {
    let _ = line.value;
}

fn main() {}
