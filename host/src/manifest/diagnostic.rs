//! What is wrong with a manifest, with the place in the file, and how it is shown.

use std::{error::Error, fmt, ops::Range, sync::Arc};

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};

use super::source_text::{Piece, SourceText};

/// One fault, in words and with the places it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    message: String,
    places: Vec<Place>,
    help: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    span: Range<usize>,
    label: String,
    kind: AnnotationKind,
}

impl Diagnostic {
    /// A fault because of which the pipeline cannot run.
    pub fn error(message: impl Into<String>) -> Self {
        Diagnostic { message: message.into(), places: Vec::new(), help: Vec::new() }
    }

    /// Where the fault is. The label may be empty.
    pub fn at(self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.place(span, label, AnnotationKind::Primary)
    }

    /// Another place that has to do with it. The label may be empty.
    pub fn also(self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.place(span, label, AnnotationKind::Context)
    }

    /// What to do about it. Several stand below one another.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// The message, without place and help.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn place(mut self, span: Range<usize>, label: impl Into<String>, kind: AnnotationKind) -> Self {
        self.places.push(Place { span, label: label.into(), kind });
        self
    }

    /// Where it stands among others: by its main place, and those without any first.
    fn position(&self) -> Option<usize> {
        self.places.iter().find(|place| place.kind == AnnotationKind::Primary).map(|place| place.span.start)
    }

    fn render(&self, source: &SourceText, renderer: &Renderer) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(&self.message));
        if self.places.is_empty() {
            group = group.element(Origin::path(source.name()));
        }
        // One snippet for each piece of the source, in the order in which the places name them.
        let mut shown = Vec::new();
        for place in &self.places {
            let piece = source.piece_at(place.span.start);
            if shown.contains(&piece.start) {
                continue;
            }
            shown.push(piece.start);
            let here = self.places.iter().filter(|place| source.piece_at(place.span.start).start == piece.start);
            let snippet = Snippet::source(piece.text).path(piece.name).line_numbering(piece.numbered);
            group = group.element(snippet.annotations(here.map(|place| place.annotation(&piece))));
        }
        renderer
            .render(&[group.elements(self.help.iter().map(|help| Level::HELP.message(normalize_untrusted_str(help))))])
    }
}

impl Place {
    fn annotation(&self, piece: &Piece<'_>) -> Annotation<'_> {
        let label = (!self.label.is_empty()).then_some(&*self.label);
        let within = |byte: usize| (byte - piece.start).min(piece.text.len());
        self.kind.span(within(self.span.start)..within(self.span.end)).label(label)
    }
}

/// Every fault that was found in a manifest. As an error it shows them all, plain, each with its lines of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    source: Arc<SourceText>,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// No faults yet, in a file with this name and text.
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Diagnostics::of(Arc::new(SourceText::new(file, text)))
    }

    /// No faults yet, in a text that is already at hand: that of a [`Manifest`](super::Manifest), for one.
    pub fn of(source: Arc<SourceText>) -> Self {
        Diagnostics { source, list: Vec::new() }
    }

    /// Adds a fault.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The faults, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// The value when there are no faults, otherwise the faults.
    pub fn into_result<T>(self, value: T) -> Result<T, Diagnostics> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    /// What `Display` shows, with colours for a terminal.
    pub fn styled(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let mut in_order: Vec<&Diagnostic> = self.list.iter().collect();
        in_order.sort_by_key(|diagnostic| diagnostic.position());
        let shown: Vec<String> = in_order.iter().map(|diagnostic| diagnostic.render(&self.source, renderer)).collect();
        shown.join("\n\n")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

impl Error for Diagnostics {}
