//! The text that spans point into: the manifest's file and, behind it, what the command line set.

use super::Override;

/// The text of a manifest with the overrides that were applied to it.
///
/// A span counts bytes through all of it as if the pieces stood one after the other, each followed by a line end.
/// So a value knows its place in one way, wherever it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    name: String,
    text: String,
    overrides: Vec<String>,
}

/// A piece that can be shown by itself.
pub(super) struct Piece<'a> {
    /// Where it comes from.
    pub(super) name: &'a str,
    /// What it says.
    pub(super) text: &'a str,
    /// The first byte of the piece, counted through all of them.
    pub(super) start: usize,
    /// Whether its lines have numbers.
    pub(super) numbered: bool,
}

impl SourceText {
    /// The text of a file, under the name that messages call it by.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        SourceText { name: name.into(), text: text.into(), overrides: Vec::new() }
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of the file, without overrides.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The file and the overrides: what makes one pipeline differ from another.
    pub fn whole(&self) -> String {
        let pieces: Vec<&str> = self.pieces().map(|piece| piece.text).collect();
        pieces.join("\n")
    }

    /// Appends an override and returns where its `key=value` starts.
    pub(super) fn append(&mut self, change: &Override) -> usize {
        const OPTION: &str = "--set ";
        let last = self.pieces().last().expect("the file is always there");
        let start = last.start + last.text.len() + 1;
        self.overrides.push(format!("{OPTION}{change}"));
        start + OPTION.len()
    }

    /// The piece with this byte.
    pub(super) fn piece_at(&self, byte: usize) -> Piece<'_> {
        self.pieces().take_while(|piece| piece.start <= byte).last().expect("the file starts at 0")
    }

    fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let file = Piece { name: &self.name, text: &self.text, start: 0, numbered: true };
        let mut start = self.text.len() + 1;
        let overrides = self.overrides.iter().map(move |text| {
            let piece = Piece { name: "command line", text, start, numbered: false };
            start += text.len() + 1;
            piece
        });
        std::iter::once(file).chain(overrides)
    }
}
