use tidemill_sdk::prelude::*;

#[config]
struct Length {
    #[serde(alias = "minimum")]
    at_least: usize,
}

fn main() {}
