//! The lengths of words, for a pipeline to describe each batch by.

use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

#[derive(Row, Debug, PartialEq)]
struct Length {
    length: i64,
}

/// The length of each word of a line, in characters.
#[transform]
fn lengths(line: Line<'_>) -> impl Iterator<Item = Length> {
    words(line.value).map(|word| Length { length: word.chars().count() as i64 })
}

plugin!(lengths);

#[cfg(test)]
mod tests {
    use tidemill_sdk::testing;

    use super::*;

    #[test]
    fn a_length_counts_characters() {
        let found = testing::transform::<lengths>([Line { value: "wait for Ümläute" }]).unwrap();
        assert_eq!(found.rows::<Length>(), [4, 3, 7].map(|length| Length { length }));
    }
}
