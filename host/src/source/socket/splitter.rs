//! Cuts what comes out of a socket, in pieces of any size, into lines.

use memchr::memchr;

use super::{
    buffer::Line,
    line::{self, EXCERPT_BYTES},
};

/// Keeps the unfinished line between two pieces. Holds at most `max_line_bytes`, then forgets all but the beginning
/// until the line ends.
pub(super) struct Splitter {
    address: String,
    max_line_bytes: usize,
    unfinished: Vec<u8>,
    overlong: bool,
    /// For the places of bad rows: counts from when the source was opened.
    lines: u64,
}

impl Splitter {
    pub(super) fn new(address: String, max_line_bytes: usize) -> Self {
        Splitter { address, max_line_bytes, unfinished: Vec::new(), overlong: false, lines: 0 }
    }

    /// Hands over every line that this piece completes. Stops and returns false when the receiver does.
    pub(super) fn feed(&mut self, mut piece: &[u8], receiver: &mut dyn FnMut(Line) -> bool) -> bool {
        while let Some(end) = memchr(b'\n', piece) {
            self.extend(&piece[..end]);
            piece = &piece[end + 1..];
            if !receiver(self.take_line()) {
                return false;
            }
        }
        self.extend(piece);
        true
    }

    /// Hands over what stands after the last line end, if anything does.
    pub(super) fn finish(&mut self, receiver: &mut dyn FnMut(Line) -> bool) -> bool {
        self.unfinished.is_empty() || receiver(self.take_line())
    }

    /// Forgets an unfinished line: the connection broke in the middle of it.
    pub(super) fn discard(&mut self) {
        self.unfinished = Vec::new();
        self.overlong = false;
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.overlong {
            return;
        }
        // One more than the limit, which may be the carriage return of the line end.
        if bytes.len() <= (self.max_line_bytes + 1).saturating_sub(self.unfinished.len()) {
            self.unfinished.extend_from_slice(bytes);
            return;
        }
        self.overlong = true;
        let head = EXCERPT_BYTES.saturating_sub(self.unfinished.len()).min(bytes.len());
        self.unfinished.extend_from_slice(&bytes[..head]);
        self.unfinished.truncate(EXCERPT_BYTES);
        self.unfinished.shrink_to_fit();
    }

    fn take_line(&mut self) -> Line {
        self.lines += 1;
        let bytes = std::mem::take(&mut self.unfinished);
        let overlong = std::mem::take(&mut self.overlong);
        let text = line::without_cr(&bytes);
        let place = || format!("{} line {}", self.address, self.lines);
        if overlong || text.len() > self.max_line_bytes {
            return Line::Bad(line::too_long(place(), text, self.max_line_bytes));
        }
        match simdutf8::basic::from_utf8(text) {
            Ok(text) => Line::Text(text.to_owned()),
            Err(_) => Line::Bad(line::not_utf8(place(), text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(max_line_bytes: usize, pieces: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::new("host:1".to_owned(), max_line_bytes);
        let mut found = Vec::new();
        let mut receiver = |line| {
            found.push(match line {
                Line::Text(text) => text,
                Line::Bad(bad) => format!("{}: {}", bad.place, &bad.error[..8]),
            });
            true
        };
        for piece in pieces {
            assert!(splitter.feed(piece, &mut receiver));
            assert!(
                splitter.unfinished.len() <= max_line_bytes.max(EXCERPT_BYTES) + 2,
                "the memory of a line is bounded"
            );
        }
        assert!(splitter.finish(&mut receiver));
        found
    }

    /// TCP cuts where it likes, also between `\r` and `\n` and within a character.
    #[test]
    fn where_tcp_cuts_does_not_matter() {
        let whole = "one\r\ntwo é\n\nlast".as_bytes();
        for cut in 0..=whole.len() {
            assert_eq!(lines(100, &[&whole[..cut], &whole[cut..]]), ["one", "two é", "", "last"], "cut at {cut}");
        }
        assert_eq!(lines(100, &[b"a\n"]), ["a"], "nothing follows the last line end");
    }

    /// A line without end must not fill the memory, and costs nothing but itself.
    #[test]
    fn an_overlong_line_is_one_bad_row() {
        let bad = "host:1 line 2: the line";
        assert_eq!(lines(4, &[b"a\nabcde", b"fgh\nb\r\n"]), ["a", bad, "b"]);
        assert_eq!(lines(4, &[b"a\nabcde\n1234\r\n"]), ["a", bad, "1234"]);
        let endless = vec![b'x'; 100_000];
        assert_eq!(lines(50, &[b"a\n", &endless, &endless, b"\nb"]), ["a", bad, "b"]);
    }
}
