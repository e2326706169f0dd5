//! A well-behaved plugin with a function of each role, to be used wrongly.

use tidemill_sdk::prelude::*;

/// A line of text.
#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

/// A word.
#[derive(Row)]
struct Word<'a> {
    word: &'a str,
}

/// How long a word is.
#[derive(Row)]
struct Length {
    length: i64,
}

/// Splits a line into words.
#[transform]
fn tokenize<'a>(line: Line<'a>) -> impl Iterator<Item = Word<'a>> {
    words(line.value).map(|word| Word { word })
}

/// Measures a word.
#[transform]
fn measure(word: Word<'_>) -> Length {
    Length { length: word.word.len() as i64 }
}

/// Doubles a length.
#[transform]
fn double(length: Length) -> Length {
    Length { length: length.length * 2 }
}

/// What `longer` is set to.
#[config]
struct Than {
    than: usize,
}

/// Keeps words of more than so many bytes.
#[filter]
fn longer(word: Word<'_>, settings: &Than) -> bool {
    word.word.len() > settings.than
}

/// The longest word of a group.
struct Longest;

#[reducer]
impl Reducer for Longest {
    type Input<'a> = Word<'a>;
    type State = String;
    type Output<'a> = Word<'a>;

    fn add(&self, longest: &mut String, word: Word<'_>) {
        if word.word.len() > longest.len() {
            *longest = word.word.to_owned();
        }
    }

    fn merge(&self, longest: &mut String, other: String) {
        self.add(longest, Word { word: &other });
    }

    fn finish<'a>(&self, longest: &'a String) -> Word<'a> {
        Word { word: longest }
    }
}

/// Sends short words one way and long words another.
#[batch_handler]
fn route(rows: Rows<Word<'_>>, short: Outlet<Word<'_>>, long: Outlet<Word<'_>>) {
    for word in rows {
        if word.word.len() < 5 { short.write(word) } else { long.write(word) }
    }
}

plugin!(tokenize, measure, double, longer, Longest, route);
