//! Log lines sent two ways.

use tidemill_sdk::prelude::*;

/// The columns that the function reads, and here also those that it writes.
#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

/// Sends lines that tell of an error one way and all others another.
// Called once an epoch. A sink takes what goes into an outlet as `STAGE.errors`, exactly once where the sink is.
#[batch_handler]
fn route(rows: Rows<Line<'_>>, errors: Outlet<Line<'_>>, others: Outlet<Line<'_>>) {
    for line in rows {
        if line.value.starts_with("ERROR") {
            errors.write(line);
        } else {
            others.write(line);
        }
    }
}

plugin!(route);

#[cfg(test)]
mod tests {
    use tidemill_sdk::testing::{self, json};

    use super::*;

    #[test]
    fn errors_go_their_own_way() {
        let lines = ["INFO open", "ERROR stuck"].map(|value| Line { value });
        let written = testing::handle::<route>(lines).unwrap();
        assert_eq!(
            written["errors"].json(),
            [json!({ "value": "ERROR stuck" })]
        );
        assert_eq!(written["others"].json(), [json!({ "value": "INFO open" })]);
    }
}
