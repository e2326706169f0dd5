//! Lines that are long enough.

use tidemill_sdk::prelude::*;

/// The columns that the function reads, by name and type. All other columns of a row pass by.
#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

/// What the manifest sets with `config = { min_words = 3 }`.
#[config]
struct Settings {
    min_words: usize,
}

/// Keeps lines of at least `min_words` words.
#[filter]
fn long_enough(line: Line<'_>, settings: &Settings) -> bool {
    words(line.value).count() >= settings.min_words
}

plugin!(long_enough);

#[cfg(test)]
mod tests {
    use tidemill_sdk::testing::{Scope, json};

    use super::*;

    #[test]
    fn short_lines_are_dropped() {
        let lines = ["high tide", " ebb "].map(|value| Line { value });
        let scope = Scope::default().config(json!({ "min_words": 2 }));
        assert_eq!(scope.filter::<long_enough>(lines).unwrap(), [true, false]);
    }
}
