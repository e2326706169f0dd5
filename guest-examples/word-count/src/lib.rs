//! Splits lines into words, for a pipeline to count.

use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

#[derive(Row, Debug, PartialEq)]
struct Word<'a> {
    word: &'a str,
}

/// Splits a line into words.
#[transform]
fn tokenize<'a>(line: Line<'a>) -> impl Iterator<Item = Word<'a>> {
    words(line.value).map(|word| Word { word })
}

plugin!(tokenize);

#[cfg(test)]
mod tests {
    use tidemill_sdk::testing;

    use super::*;

    #[test]
    fn a_line_becomes_its_words() {
        let lines = ["time and  tide", "", "\twait"].map(|value| Line { value });
        let words = testing::transform::<tokenize>(lines).unwrap();
        assert_eq!(words.rows::<Word>(), ["time", "and", "tide", "wait"].map(|word| Word { word }));
    }
}
