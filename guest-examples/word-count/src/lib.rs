//! Splits lines into words, for a pipeline to count.

use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

#[derive(Row)]
struct Word<'a> {
    word: &'a str,
}

/// Splits a line into words.
#[transform]
fn tokenize<'a>(line: Line<'a>) -> impl Iterator<Item = Word<'a>> {
    words(line.value).map(|word| Word { word })
}

plugin!(tokenize);
