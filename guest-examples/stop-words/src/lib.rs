//! Splits lines into words and drops those that carry no meaning. Which ones the manifest says.

use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

#[derive(Row, Debug, PartialEq)]
struct Word<'a> {
    word: std::borrow::Cow<'a, str>,
}

#[config]
struct StopWords {
    /// The words to drop, in lower case.
    stop_words: std::collections::BTreeSet<String>,
}

/// Splits a line into words in lower case, without the punctuation around them.
#[transform]
fn tokenize<'a>(line: Line<'a>) -> impl Iterator<Item = Word<'a>> {
    let bare = |word: &'a str| word.trim_matches(|c: char| !c.is_alphanumeric());
    words(line.value).map(bare).filter(|word| !word.is_empty()).map(|word| Word { word: lower_ascii(word) })
}

/// Keeps the words that are no stop words.
#[filter]
fn meaningful(word: Word, config: &StopWords) -> bool {
    !config.stop_words.contains(&*word.word)
}

plugin!(tokenize, meaningful);

#[cfg(test)]
mod tests {
    use tidemill_sdk::testing::{self, Scope, json};

    use super::*;

    #[test]
    fn words_are_bare_and_in_lower_case() {
        let words = testing::transform::<tokenize>([Line { value: "“Time — and tide!”" }]).unwrap();
        assert_eq!(words.json(), [json!({ "word": "time" }), json!({ "word": "and" }), json!({ "word": "tide" })]);
    }

    #[test]
    fn stop_words_are_dropped() {
        let scope = Scope::default().config(json!({ "stop_words": ["and", "the"] }));
        let words = ["time", "and", "tide"].map(|word| Word { word: word.into() });
        assert_eq!(scope.filter::<meaningful>(words).unwrap(), [true, false, true]);
    }
}
