use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Number {
    n: i64,
}

#[derive(Row)]
struct Alert {
    n: i64,
}

#[batch_handler]
fn route(rows: Rows<Number>, errors: Outlet<Alert>) {
    rows.into_iter().for_each(|number| errors.write(number));
}

fn main() {}
