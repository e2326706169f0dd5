//! Faults of TOML itself, in plain words.

use std::ops::Range;

use toml::de::Error;

use super::Diagnostic;

/// What the parser found wrong. `start` is where the text it was given begins among all the source text.
pub(super) fn diagnostic(error: &Error, text: &str, start: usize) -> Diagnostic {
    // Without a place the fault is the end of the text: something was still open.
    let span = error.span().unwrap_or(text.len()..text.len());
    let place = span.start + start..span.end + start;
    if error.message() == "duplicate key" {
        return duplicate(text, span, place);
    }
    let label = match error.message() {
        message if message.starts_with("string values must be quoted") && span.is_empty() => "a value is missing here",
        message if message.starts_with("string values must be quoted") => "a string must stand in quotes",
        message if message.starts_with("invalid float") => "neither a number nor a string in quotes",
        message if message.starts_with("invalid basic string") => "the string is not closed",
        message if message.starts_with("missing comma between array") => "a comma is missing before this, or a `]`",
        message if message.starts_with("missing comma between key") => "a comma is missing before this, or a `}`",
        message => message.trim_end_matches(", expected nothing"),
    };
    Diagnostic::error("this is not TOML").at(place, label)
}

fn duplicate(text: &str, span: Range<usize>, place: Range<usize>) -> Diagnostic {
    let key = &text[span.clone()];
    let diagnostic = Diagnostic::error(format!("`{key}` is defined twice")).at(place, "defined again here");
    match first_header(text, span.start) {
        Some(first) => {
            diagnostic.also(first, "first defined here").help("rename one of the two, or make them one section")
        }
        None => diagnostic.help("keep one of the two"),
    }
}

/// When the key at `again` is part of the header of a section, the header before it that says the same. The parser
/// does not tell where it is.
fn first_header(text: &str, again: usize) -> Option<Range<usize>> {
    let line = text[..again].rfind('\n').map_or(0, |end| end + 1);
    let header = text[line..].trim_start();
    let header = &header[..=header.find(']')?];
    let mut start = 0;
    for line in text[..line].split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if header.starts_with('[') && line[indent..].starts_with(header) {
            return Some(start + indent..start + indent + header.len());
        }
        start += line.len();
    }
    None
}
