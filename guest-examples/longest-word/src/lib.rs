//! A reducer of one's own: the longest word of a group.

use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

#[derive(Row, Debug, PartialEq)]
struct Word<'a> {
    initial: &'a str,
    word: &'a str,
}

#[derive(Row, Debug, PartialEq)]
struct Longest<'a> {
    longest: &'a str,
}

struct LongestWord;

/// Splits a line into words, each with its initial.
#[transform]
fn tokenize<'a>(line: Line<'a>) -> impl Iterator<Item = Word<'a>> {
    words(line.value).map(|word| Word { initial: &word[..word.chars().next().map_or(0, char::len_utf8)], word })
}

/// The longest word; of two, the one that comes first in the alphabet.
#[reducer]
impl Reducer for LongestWord {
    type Input<'a> = Word<'a>;
    type State = String;
    type Output<'a> = Longest<'a>;

    fn add(&self, longest: &mut String, row: Word) {
        self.merge(longest, row.word.to_owned());
    }

    fn merge(&self, longest: &mut String, other: String) {
        if (other.len(), &*longest) > (longest.len(), &other) {
            *longest = other;
        }
    }

    fn finish<'a>(&self, longest: &'a String) -> Longest<'a> {
        Longest { longest }
    }
}

plugin!(tokenize, LongestWord);

#[test]
fn the_longest_word_stays() {
    let words = ["tide", "time", "tidal", "total"].map(|word| Word { initial: "t", word });
    let longest = tidemill_sdk::testing::reduce::<LongestWord>(words).unwrap();
    assert_eq!(longest.rows::<Longest>(), [Longest { longest: "tidal" }]);
}
