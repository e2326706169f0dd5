use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Number {
    n: i64,
}

#[transform]
fn same<T: Into<Number>>(number: T) -> Number {
    number.into()
}

fn main() {}
