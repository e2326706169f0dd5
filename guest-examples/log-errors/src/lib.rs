//! Parses log lines into columns. A line that is none is refused, and so becomes a dead letter.

use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

#[derive(Row, Debug, PartialEq)]
struct Entry<'a> {
    timestamp: Timestamp,
    level: &'a str,
    message: &'a str,
}

/// Parses a line like `2026-01-31T08:00:00Z ERROR disk is full`.
#[transform]
fn parse<'a>(line: Line<'a>) -> Result<Entry<'a>, String> {
    let (time, rest) = line.value.split_once(' ').ok_or("a line starts with a time and a space")?;
    let timestamp = time.parse().map_err(|error| format!("{error}"))?;
    let (level, message) = rest.split_once(' ').ok_or("a level and a space follow the time")?;
    match level {
        "DEBUG" | "INFO" | "WARN" | "ERROR" => Ok(Entry { timestamp, level, message }),
        _ => Err(format!("`{level}` is not a level: it is one of DEBUG, INFO, WARN, ERROR")),
    }
}

plugin!(parse);

#[cfg(test)]
mod tests {
    use tidemill_sdk::testing;

    use super::*;

    #[test]
    fn a_line_becomes_columns() {
        let entries = testing::transform::<parse>([Line { value: "2026-01-31T08:00:00Z ERROR disk is full" }]).unwrap();
        let timestamp = "2026-01-31T08:00:00Z".parse().unwrap();
        assert_eq!(entries.rows::<Entry>(), [Entry { timestamp, level: "ERROR", message: "disk is full" }]);
    }

    #[test]
    fn a_line_of_another_form_is_refused_with_the_reason() {
        let refused = |value| testing::transform::<parse>([Line { value }]).unwrap_err().message;
        assert_eq!(refused("soon ERROR x"), "`soon` is not a time like 2026-01-31T08:30:00Z");
        assert_eq!(
            refused("2026-01-31T08:00:00Z FINE x"),
            "`FINE` is not a level: it is one of DEBUG, INFO, WARN, ERROR"
        );
    }
}
