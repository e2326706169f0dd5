use tidemill_sdk::prelude::*;

mod left {
    use super::*;

    #[derive(Row)]
    pub struct Number {
        n: i64,
    }

    #[transform]
    pub fn same(number: Number) -> Number {
        number
    }
}

mod right {
    use super::{left::Number, *};

    #[transform]
    pub fn same(number: Number) -> Number {
        number
    }
}

plugin!(left::same, right::same);

fn main() {}
