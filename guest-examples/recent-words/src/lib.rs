//! A reducer with an inverse: what leaves a window is taken out of its sum, instead of adding up the whole window anew.

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

/// Adds numbers up.
#[reducer(inverse = subtract)]
fn add(sum: i64, value: i64) -> i64 {
    sum + value
}

fn subtract(sum: i64, leaving: i64) -> i64 {
    sum - leaving
}

plugin!(tokenize, add);

#[test]
fn what_leaves_is_taken_out() {
    assert_eq!(subtract(add(add(1, 2), 3), 1), 5);
}
