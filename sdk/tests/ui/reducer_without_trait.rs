use tidemill_sdk::prelude::*;

struct Longest;

#[reducer]
impl Longest {}

fn main() {}
