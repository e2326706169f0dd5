use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Count {
    count: usize,
}

fn main() {}
