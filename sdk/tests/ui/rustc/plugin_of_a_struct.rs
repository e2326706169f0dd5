use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Number {
    n: i64,
}

plugin!(Number);

fn main() {}
