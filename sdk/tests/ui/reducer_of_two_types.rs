use tidemill_sdk::prelude::*;

#[reducer]
fn add(a: i64, b: i32) -> i64 {
    a + i64::from(b)
}

fn main() {}
