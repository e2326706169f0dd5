use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Number {
    n: i64,
}

fn same(number: Number) -> Number {
    number
}

plugin!(same);

fn main() {}
