use tidemill_sdk::prelude::*;

#[transform]
struct Line {
    value: String,
}

fn main() {}
