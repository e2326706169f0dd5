//! Words out of lines.

use tidemill_sdk::prelude::*;

/// The columns that the function reads, by name and type.
#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

/// The columns that it puts out.
#[derive(Row)]
struct Word<'a> {
    word: &'a str,
}

/// Splits a line into words.
// A transform may also return a row, or `Option<Word>`, and each of them in a `Result`.
#[transform]
fn tokenize<'a>(line: Line<'a>) -> impl Iterator<Item = Word<'a>> {
    words(line.value).map(|word| Word { word })
}

plugin!(tokenize);

#[cfg(test)]
mod tests {
    use tidemill_sdk::testing::{self, json};

    use super::*;

    #[test]
    fn a_line_becomes_its_words() {
        let lines = ["time  and", " tide"].map(|value| Line { value });
        let words = testing::transform::<tokenize>(lines).unwrap();
        let wanted = ["time", "and", "tide"].map(|word| json!({ "word": word }));
        assert_eq!(words.json(), wanted);
    }
}
