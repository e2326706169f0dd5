use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Number {
    n: i64,
}

#[keyed_state]
fn count(_key: Number, state: i64, rows: Rows<Number>, _ctx: &mut KeyContext<Number>) -> Option<i64> {
    Some(state + rows.len() as i64)
}

fn main() {}
