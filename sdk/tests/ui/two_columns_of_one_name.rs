use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Pair {
    left: i64,
    #[row(rename = "left")]
    right: i64,
}

fn main() {}
