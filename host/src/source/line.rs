//! Lines of text as rows: the one column they have, and how a line that cannot be a row is shown.
//!
//! A line ends with `\n` or `\r\n`, neither of which is part of it. What follows the last `\n` is a line too, unless it
//! is nothing; its line end may be cut off within.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::ports::BadRow;

/// How much of a bad line is kept to show it: enough to recognise it by, and little enough that a file of nothing
/// but bad lines does not fill the memory.
pub(super) const EXCERPT_BYTES: usize = 4096;

/// How many rows go into one batch at most. Calls into a plugin are paid per batch, so this is large; the columns a
/// stage works on still fit a core's cache.
pub(super) const BATCH_ROWS: usize = 16_384;

/// No line may be longer, whatever `max_line_bytes` says: the offsets of a column of text have 31 bits.
pub(super) const LONGEST_LINE: usize = 1 << 30;

static SCHEMA: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("value", DataType::Utf8, false)])));

/// `value: utf8`, as Spark's text and socket sources have it.
pub(super) fn schema() -> SchemaRef {
    SCHEMA.clone()
}

/// The line without the carriage return of a `\r\n`.
pub(super) fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The bad row for a line that is not UTF-8.
pub(super) fn not_utf8(place: String, line: &[u8]) -> BadRow {
    let valid = std::str::from_utf8(line).map_or_else(|error| error.valid_up_to(), str::len);
    let byte = line.get(valid).copied().unwrap_or_default();
    let error =
        format!("not UTF-8: byte {valid} of the line is 0x{byte:02x}; convert the input, for example with iconv");
    BadRow { place, row: excerpt(line), error }
}

/// The bad row for a line that is too long, given its beginning.
pub(super) fn too_long(place: String, head: &[u8], max_line_bytes: usize) -> BadRow {
    let error = format!("the line is longer than max_line_bytes = {max_line_bytes}; raise it, or split the line");
    BadRow { place, row: excerpt(head), error }
}

/// The beginning of a line as text; bytes that are not UTF-8 are replaced.
pub(super) fn excerpt(line: &[u8]) -> String {
    if line.len() <= EXCERPT_BYTES {
        return String::from_utf8_lossy(line).into_owned();
    }
    let continues = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    let end = (EXCERPT_BYTES - 3..=EXCERPT_BYTES).rev().find(|&end| !continues(line[end])).unwrap_or(EXCERPT_BYTES);
    String::from_utf8_lossy(&line[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of a bad line is bounded and does not end in half a character.
    #[test]
    fn an_excerpt_is_cut_between_characters() {
        assert_eq!(excerpt(b"a\xffb"), "a\u{fffd}b");
        let long = "x".repeat(EXCERPT_BYTES - 1) + "é and more";
        assert_eq!(excerpt(long.as_bytes()), "x".repeat(EXCERPT_BYTES - 1));
    }
}
