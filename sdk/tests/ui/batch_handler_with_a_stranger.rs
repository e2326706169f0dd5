use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Number {
    n: i64,
}

#[batch_handler]
fn route(rows: Rows<Number>, errors: Vec<Number>) {
    let _ = (rows, errors);
}

fn main() {}
