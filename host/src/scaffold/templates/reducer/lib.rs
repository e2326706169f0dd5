//! The longest line of a group.

use tidemill_sdk::prelude::*;

/// The columns that the function reads, and here also the one that it puts out.
#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

/// The longest line of a group.
struct Longest;

#[reducer]
impl Reducer for Longest {
    type Input<'a> = Line<'a>;
    type State = String;
    type Output<'a> = Line<'a>;

    fn add(&self, longest: &mut String, line: Line<'_>) {
        if line.value.len() > longest.len() {
            *longest = line.value.to_owned();
        }
    }

    // Parts of a group may be folded apart: merging their states must give what folding all of it gives.
    fn merge(&self, longest: &mut String, other: String) {
        self.add(longest, Line { value: &other });
    }

    fn finish<'a>(&self, longest: &'a String) -> Line<'a> {
        Line { value: longest }
    }
}

plugin!(Longest);

#[cfg(test)]
mod tests {
    use tidemill_sdk::testing::{self, json};

    use super::*;

    #[test]
    fn the_longest_line_wins() {
        let lines = ["ebb", "high tide", "flood"].map(|value| Line { value });
        let longest = testing::reduce::<Longest>(lines).unwrap();
        assert_eq!(longest.json(), [json!({ "value": "high tide" })]);
    }
}
