//! Reads lines whose keys stand as they stood in the line before.
//!
//! Programs write their lines all alike. So what stands between two values, `,"sensor":` for one, is remembered from
//! line to line, and compared as a whole instead of being taken apart and looked up. Values are read here when they are
//! plain, and handed to the general reader in `row` one by one when they are not.
//!
//! A line with anything wrong is declined and left to the general reader as a whole, so that there is one place that
//! says what is wrong. What is taken here means what it means there; a test compares the two.

use hashbrown::HashMap;

use super::{
    column::Column,
    plain::{self, Plain},
    row,
};

/// How many keys are remembered, and how long they may be: more than lines have, and little memory for those that do.
const MOST_KEYS: usize = 1024;
const LONGEST_KEY: usize = 256;

/// What stood around the values of the lines before, from the beginning to the end of a line.
#[derive(Default)]
pub(super) struct Shape {
    steps: Vec<Step>,
}

/// What stands before a value or at the end of a line. It holds wherever it is found, not only in the line before.
#[derive(Default)]
struct Step {
    text: Prefix,
    next: Next,
}

/// What comes next in a line.
#[derive(Clone, Copy, Default)]
enum Next {
    /// A value for this column.
    Column(usize),
    /// A value that nobody wants.
    Unwanted,
    /// The next line.
    #[default]
    Line,
}

impl Shape {
    /// Sets row `row` of those columns whose keys the first line of the text has, and says how long the line is, its
    /// line end included. None when it declines; then some of those columns may be set.
    pub(super) fn read(
        &mut self,
        text: &str,
        index: &HashMap<String, usize>,
        columns: &mut [Column],
        row: usize,
    ) -> Option<usize> {
        let mut at = 0;
        for step in 0..MOST_KEYS {
            let rest = &text[at..];
            let (length, next) = match self.steps.get(step) {
                Some(step) if step.text.begins(rest.as_bytes()) => (step.text.length, step.next),
                _ => self.learn(step, rest, index)?,
            };
            at += length;
            let rest = &text[at..];
            at += match next {
                Next::Column(column) => set(&mut columns[column], row, rest)?,
                Next::Unwanted => skip(rest)?,
                Next::Line => return Some(at),
            };
        }
        None
    }

    /// Takes apart what the text begins with, and remembers it.
    fn learn(&mut self, step: usize, text: &str, index: &HashMap<String, usize>) -> Option<(usize, Next)> {
        let (length, next) = take_apart(text, step == 0, index)?;
        if length > LONGEST_KEY {
            return None;
        }
        if step == self.steps.len() {
            self.steps.push(Step::default());
        }
        let step = &mut self.steps[step];
        step.text.set(&text.as_bytes()[..length]);
        step.next = next;
        Some((length, next))
    }
}

/// What a line begins with, or what is left of it after a value: how long it is up to the next value or line.
fn take_apart(text: &str, first: bool, index: &HashMap<String, usize>) -> Option<(usize, Next)> {
    let bytes = text.as_bytes();
    let mut at = after_space(bytes, 0);
    let opened = *bytes.get(at)? == if first { b'{' } else { b',' };
    if opened {
        at = after_space(bytes, at + 1);
        if *bytes.get(at)? == b'"' {
            let end = plain::string_end(bytes, at + 1)?;
            let next = index.get(&text[at + 1..end]).map_or(Next::Unwanted, |&column| Next::Column(column));
            at = after_space(bytes, end + 1);
            return (*bytes.get(at)? == b':').then(|| (after_space(bytes, at + 1), next));
        }
    }
    // An object begins before it ends, and does not end after a comma.
    if opened != first || *bytes.get(at)? != b'}' {
        return None;
    }
    at = after_space(bytes, at + 1);
    (*bytes.get(at)? == b'\n').then_some((at + 1, Next::Line))
}

/// Where the space within a line ends that may stand here.
fn after_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Puts the value that the text begins with into a column, and says how long it is.
fn set(column: &mut Column, row: usize, text: &str) -> Option<usize> {
    let Some((value, length)) = plain::value(text) else {
        let length = plain::end(text.as_bytes())?;
        return row::read_value(&text[..length], column, row).is_ok().then_some(length);
    };
    // Of a key that stands twice the last counts.
    column.set_len(row);
    let set = match value {
        Plain::Null => {
            column.set_len(row + 1);
            Ok(())
        }
        Plain::Boolean(value) => column.push_bool(value),
        Plain::Integer(value) => column.push_integer(value.into()),
        Plain::Float(value) => column.push_float(value),
        Plain::Text(value) => column.push_str(value),
    };
    set.is_ok().then_some(length)
}

/// How long the value is that the text begins with.
fn skip(text: &str) -> Option<usize> {
    if let Some((_, length)) = plain::value(text) {
        return Some(length);
    }
    let length = plain::end(text.as_bytes())?;
    row::skip_value(&text[..length]).is_ok().then_some(length)
}

/// What a text may begin with, compared eight bytes at a time: a call into the library would take longer than the few
/// bytes of a key.
#[derive(Default)]
struct Prefix {
    /// The bytes, and which of them count; in the last word not all may.
    words: Vec<(u64, u64)>,
    length: usize,
}

impl Prefix {
    fn set(&mut self, text: &[u8]) {
        self.length = text.len();
        self.words.clear();
        self.words.extend(text.chunks(8).map(|chunk| {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            (u64::from_le_bytes(bytes), u64::MAX >> (64 - 8 * chunk.len()))
        }));
    }

    /// Whether the bytes begin with it. May say no so close to their end that there is no whole word left.
    #[inline]
    fn begins(&self, bytes: &[u8]) -> bool {
        let Some(bytes) = bytes.get(..8 * self.words.len()) else { return false };
        let same = |(bytes, (word, mask)): (&[u8; 8], &(u64, u64))| u64::from_le_bytes(*bytes) & mask == *word;
        bytes.as_chunks().0.iter().zip(&self.words).all(same)
    }
}

#[cfg(test)]
mod tests;
