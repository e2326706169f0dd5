//! How the parts hang together: names are unique, inputs lead somewhere, nothing goes round in a circle, and no row
//! goes nowhere.

use std::collections::BTreeMap;

use super::{Diagnostic, Diagnostics, FunctionName, Input, SinkSpec, Spanned};
use crate::model::PartName;
use crate::model::nearest;

/// What the sections of a manifest say of each other, gathered while they are read, faulty ones too: a part that is
/// only half right still has a name that others may use.
#[derive(Default)]
pub(super) struct Graph {
    /// Sources, transforms, sinks.
    pub(super) nodes: Vec<Node>,
    /// The names of the plugins.
    pub(super) plugins: Vec<String>,
    /// The functions that are called.
    pub(super) calls: Vec<Spanned<FunctionName>>,
    /// The names of the tables.
    pub(super) known_tables: Vec<String>,
    /// The tables that are joined.
    pub(super) tables: Vec<Spanned<String>>,
}

/// A source, transform or sink.
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) name: Spanned<PartName>,
    pub(super) inputs: Vec<Spanned<Input>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Source,
    Transform,
    Sink,
}

/// The parts by name.
type ByName<'a> = BTreeMap<&'a PartName, &'a Node>;

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Source => "source",
            Kind::Transform => "transform",
            Kind::Sink => "sink",
        }
    }
}

impl Graph {
    /// Writes down what is wrong, and gives the transforms each after its inputs, otherwise in the order of the file.
    pub(super) fn check(&self, problems: &mut Diagnostics) -> Vec<PartName> {
        let by_name = self.names(problems);
        self.plugins(problems);
        self.tables(problems);
        for node in &self.nodes {
            for input in &node.inputs {
                self.input(node, input, &by_name, problems);
            }
        }
        let order = self.order(&by_name, problems);
        // Any other fault may be the reason why a part seems to be missing, or why nobody reads it.
        if problems.is_empty() {
            self.ends(problems);
        }
        if problems.is_empty() {
            self.unread(problems);
        }
        order
    }

    /// The parts by name. The first of several with one name counts.
    fn names(&self, problems: &mut Diagnostics) -> ByName<'_> {
        let mut by_name = ByName::new();
        for node in &self.nodes {
            let (name, span) = (&node.name.value, node.name.span.clone());
            if name.as_str() == SinkSpec::DEAD_LETTERS {
                let taken = Diagnostic::error(format!("a {} cannot be called `{name}`", node.kind.name()))
                    .at(span, "choose another name");
                problems.push(
                    taken.help("as an input of a sink this name stands for the rows that could not be processed"),
                );
                continue;
            }
            let first = *by_name.entry(name).or_insert(node);
            if !std::ptr::eq(first, node) {
                let message = format!("`{name}` is the name of a {} and of a {}", first.kind.name(), node.kind.name());
                let twice = Diagnostic::error(message)
                    .at(span, "used again here")
                    .also(first.name.span.clone(), "first used here");
                problems.push(twice.help("sources, transforms and sinks share their names; rename one of the two"));
            }
        }
        by_name
    }

    fn tables(&self, problems: &mut Diagnostics) {
        let names: Vec<&str> = self.known_tables.iter().map(String::as_str).collect();
        for table in self.tables.iter().filter(|table| !names.contains(&table.value.as_str())) {
            let unknown = Diagnostic::error(format!("there is no table `{}`", table.value));
            problems.push(match nearest(&table.value, names.iter().copied()) {
                Some(near) => {
                    unknown.at(table.span.clone(), format!("did you mean \"{near}\"?")).help(list("tables", &names))
                }
                None => unknown
                    .at(table.span.clone(), "")
                    .help(format!("add a section [tables.{}] with its `path`, `format` and `schema`", table.value)),
            });
        }
    }

    fn plugins(&self, problems: &mut Diagnostics) {
        let names: Vec<&str> = self.plugins.iter().map(String::as_str).collect();
        for call in &self.calls {
            let plugin = &call.value.plugin;
            if names.contains(&plugin.as_str()) {
                continue;
            }
            let unknown = Diagnostic::error(format!("there is no plugin `{plugin}`"));
            problems.push(match nearest(plugin, names.iter().copied()) {
                Some(near) => unknown
                    .at(call.span.clone(), format!("did you mean \"{near}.{}\"?", call.value.function))
                    .help(list("plugins", &names)),
                None => unknown
                    .at(call.span.clone(), format!("calls `{}` of `{plugin}`", call.value.function))
                    .help(format!("add a section [plugins.{plugin}] with its `crate` or `path`")),
            });
        }
    }

    fn input(&self, node: &Node, input: &Spanned<Input>, by_name: &ByName<'_>, problems: &mut Diagnostics) {
        let Input { part, outlet } = &input.value;
        let fault = |message: String, label: &str| Diagnostic::error(message).at(input.span.clone(), label);
        let plain = format!("write \"{part}\"");
        problems.push(match (by_name.get(part), outlet) {
            (None, outlet) if part.as_str() == SinkSpec::DEAD_LETTERS => match (node.kind, outlet) {
                (Kind::Sink, None) => return,
                (Kind::Sink, Some(_)) => fault(format!("`{part}` has no outlets"), &plain),
                _ => fault(format!("a {} cannot take `{part}`", node.kind.name()), "only a sink can"),
            },
            (None, _) => {
                let parts = self.nodes.iter().filter(|node| node.kind != Kind::Sink);
                let names: Vec<&str> = parts.map(|node| node.name.value.as_str()).collect();
                let near =
                    nearest(part.as_str(), names.iter().copied()).map(|near| format!("did you mean \"{near}\"?"));
                fault(format!("there is no source or transform `{part}`"), near.as_deref().unwrap_or("no such part"))
                    .help(list("sources and transforms", &names))
            }
            (Some(Node { kind: Kind::Sink, name, inputs }), _) => {
                let inputs: Vec<String> = inputs.iter().map(|input| format!("\"{}\"", input.value)).collect();
                fault(format!("`{part}` is a sink: nothing comes out of it"), "cannot be an input")
                    .also(name.span.clone(), "")
                    .help(format!("for the same rows name what it reads itself: {}", inputs.join(", ")))
            }
            (Some(Node { kind: Kind::Source, name, .. }), Some(_)) => {
                fault(format!("`{part}` is a source and has no outlets"), &plain).also(name.span.clone(), "")
            }
            (Some(_), _) => return,
        });
    }

    /// Takes again and again the first transform of the file whose inputs are all taken. When there is none, the rest
    /// holds a circle.
    fn order(&self, by_name: &ByName<'_>, problems: &mut Diagnostics) -> Vec<PartName> {
        let named = |node: &&Node| by_name.get(&node.name.value).is_some_and(|first| std::ptr::eq(*first, *node));
        let transforms = self.nodes.iter().filter(|node| node.kind == Kind::Transform);
        let mut waiting: Vec<&Node> = transforms.filter(named).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while !waiting.is_empty() {
            match waiting.iter().position(|node| blocking(node, &waiting).is_none()) {
                Some(ready) => order.push(waiting.remove(ready).name.value.clone()),
                None => {
                    let circle = circle(&waiting);
                    problems.push(describe_circle(&circle));
                    waiting.retain(|node| !circle.iter().any(|(member, _)| std::ptr::eq(*member, *node)));
                }
            }
        }
        order
    }

    fn ends(&self, problems: &mut Diagnostics) {
        for (kind, example) in [
            (
                Kind::Source,
                "a section such as [sources.lines] with `type = \"socket\"` and `address = \"127.0.0.1:9999\"`",
            ),
            (Kind::Sink, "a section such as [sinks.out] with `type = \"console\"` and the `inputs` it shows"),
        ] {
            if !self.nodes.iter().any(|node| node.kind == kind) {
                problems.push(
                    Diagnostic::error(format!("the pipeline has no {}", kind.name())).help(format!("add {example}")),
                );
            }
        }
    }

    fn unread(&self, problems: &mut Diagnostics) {
        let is_read =
            |name: &PartName| self.nodes.iter().flat_map(|node| &node.inputs).any(|input| input.value.part == *name);
        for node in self.nodes.iter().filter(|node| node.kind != Kind::Sink && !is_read(&node.name.value)) {
            let name = &node.name.value;
            let unread =
                Diagnostic::error(format!("nothing reads `{name}`")).at(node.name.span.clone(), "its rows go nowhere");
            problems.push(
                unread.help(format!("add \"{name}\" to the inputs of a sink or transform, or take this section out")),
            );
        }
    }
}

/// The first input of a transform that is itself still waiting, and the transform it comes from.
fn blocking<'a>(node: &'a Node, waiting: &[&'a Node]) -> Option<(&'a Node, &'a Spanned<Input>)> {
    node.inputs.iter().find_map(|input| {
        let from = waiting.iter().find(|from| from.name.value == input.value.part)?;
        Some((*from, input))
    })
}

/// A circle among transforms of which each waits for another: the transforms in the order in which rows would go
/// round, each with the input it reads the one before by.
fn circle<'a>(waiting: &[&'a Node]) -> Vec<(&'a Node, &'a Spanned<Input>)> {
    let mut path: Vec<(&Node, &Spanned<Input>)> = Vec::new();
    let mut node = waiting[0];
    loop {
        let (from, input) = blocking(node, waiting).expect("a transform that waits for none would have been taken");
        path.push((node, input));
        if let Some(start) = path.iter().position(|(earlier, _)| std::ptr::eq(*earlier, from)) {
            let mut circle = path.split_off(start);
            circle.reverse();
            let first = (0..circle.len()).min_by_key(|&i| circle[i].0.name.span.start).unwrap_or(0);
            circle.rotate_left(first);
            return circle;
        }
        node = from;
    }
}

fn describe_circle(circle: &[(&Node, &Spanned<Input>)]) -> Diagnostic {
    let names: Vec<&str> = circle.iter().chain(circle.first()).map(|(node, _)| node.name.value.as_str()).collect();
    if let [(node, input)] = circle {
        let itself = Diagnostic::error(format!("`{}` reads itself: {}", node.name.value, names.join(" -> ")));
        return itself
            .at(input.span.clone(), "its own rows")
            .help("a transform can only read sources and other transforms");
    }
    let mut diagnostic = Diagnostic::error(format!("transforms read each other in a circle: {}", names.join(" -> ")));
    for (i, (node, input)) in circle.iter().enumerate() {
        let label = format!("`{}` reads `{}`", node.name.value, input.value);
        diagnostic =
            if i == 0 { diagnostic.at(input.span.clone(), label) } else { diagnostic.also(input.span.clone(), label) };
    }
    diagnostic.help("rows go one way, from sources to sinks; take one of these inputs out")
}

fn list(what: &str, names: &[&str]) -> String {
    if names.is_empty() { format!("there are no {what}") } else { format!("{what}: {}", names.join(", ")) }
}
