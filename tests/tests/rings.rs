//! The four rings of the host, checked on its source text.
//!
//! An import points inward only, and a third-party name stays in the folder that owns it. The compiler allows far more,
//! so without this the shape would last until the first hurried change. What is checked is what ships: modules are
//! followed from `lib.rs`, and those that exist for tests only are left out.

use std::{
    fmt::Write as _,
    fs,
    iter::Peekable,
    path::{Path, PathBuf},
    str::FromStr,
};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree, token_stream};
use tidemill_tests::repository;

/// The modules of a ring, and whether one of them may name another of the same ring.
struct Ring {
    name: &'static str,
    modules: &'static [&'static str],
    among_themselves: bool,
}

/// From the inside outwards. A ring may name those before it.
const RINGS: [Ring; 4] = [
    Ring {
        name: "pure",
        modules: &["checkpoint", "expr", "manifest", "model", "operator", "plan", "ports", "watermark", "window"],
        among_themselves: true,
    },
    Ring {
        name: "adapters",
        modules: &["scaffold", "sink", "source", "state", "table", "toolchain", "wasm"],
        among_themselves: false,
    },
    Ring { name: "runtime", modules: &["runtime"], among_themselves: true },
    Ring { name: "edge", modules: &["cli", "main"], among_themselves: true },
];

/// What the pure ring is given instead of taking it: time, randomness, threads, files, the network.
const NOT_PURE: [&str; 12] = [
    "rand",
    "rdkafka",
    "redb",
    "rustix",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "tempfile",
    "tokio",
];

/// Names that only the modules beside them may use. A name stands for everything below it, and one that ends in `_` for
/// every crate that begins like it.
const OWNED: [(&str, &[&str]); 15] = [
    ("annotate_snippets", &["manifest"]),
    ("clap", &["cli"]),
    ("ctrlc", &["cli"]),
    ("datafusion_", &["expr", "operator"]),
    ("redb", &["state"]),
    ("std::process::ExitCode", &["cli", "main"]),
    ("std::process::abort", &["cli", "main"]),
    ("std::process::exit", &["cli", "main"]),
    ("std::time::Instant", &["runtime::clock"]),
    ("std::time::SystemTime", &["runtime::clock"]),
    ("toml", &["manifest", "toolchain"]),
    ("tracing_subscriber", &["cli"]),
    ("wasmtime", &["wasm"]),
    ("wasmtime_", &["wasm"]),
    ("wit_component", &["wasm"]),
];

/// A module of the host: its path from the crate's root, and its source.
struct Module {
    path: Vec<String>,
    source: TokenStream,
}

/// Everything that ships obeys the rules, and no module stands outside of the rings.
#[test]
fn imports_point_inward() {
    let modules = shipped(&repository().join("host/src"));
    assert!(modules.len() > 50, "only {} modules were found: the walk has lost its way", modules.len());
    let mut faults = String::new();
    for module in &modules {
        for fault in faults_of(module) {
            writeln!(faults, "  {fault}").expect("a string takes everything");
        }
    }
    assert!(faults.is_empty(), "imports that cross the rings:\n{faults}");
}

/// A check that finds nothing proves little unless it is known to find what is there: every rule, in every way to write
/// an import.
#[test]
fn a_wrong_import_is_noticed() {
    let wrong = [
        ("plan", "use crate::state::RedbStore;"),
        ("plan", "use crate::{model::{Digest, Epoch}, runtime};"),
        ("plan::build", "use super::super::sink;"),
        ("model", "fn now() -> std::time::SystemTime { std::time::SystemTime::now() }"),
        ("model::time", "use std::{fmt, time::{Duration, Instant}};"),
        ("operator", "use std::{fs::{self, File}, sync::Arc};"),
        ("manifest", "fn roll() -> u64 { rand::random() }"),
        ("expr", "use ::tokio::sync::mpsc;"),
        ("sink::files", "use crate::source::Lines;"),
        ("sink", "mod inner { use super::super::source; }"),
        ("source", "use crate::cli;"),
        ("state", "fn leave() { std::process::exit(1) }"),
        ("state", "use std::process; fn leave() { process::exit(1) }"),
        ("runtime", "fn parse() -> impl clap::Parser { todo!() }"),
        ("runtime::driver", "use std::time::Instant;"),
        ("runtime", "#[derive(clap::Args)] struct Options;"),
        ("cli::run", "use wasmtime::Engine;"),
        ("cli", "use datafusion_expr::Expr;"),
        ("elsewhere", "use std::fmt;"),
    ];
    for (path, source) in wrong {
        assert!(!faults_of(&module(path, source)).is_empty(), "`{source}` went unnoticed in {path}");
    }

    let right = [
        ("plan", "use crate::{expr::ScalarExpr, model::Epoch, ports}; use super::model;"),
        ("plan", "#[cfg(test)] mod tests { use std::fs; use crate::sink; } use std::fmt;"),
        ("plan", "#[cfg(test)] use std::fs;"),
        ("plan", "/// Like `std::fs::read`.\nconst HELP: &str = \"use crate::sink;\"; // crate::sink"),
        ("expr", "use datafusion_expr::Expr; use std::{sync::Arc, time::Duration};"),
        ("sink::files", "use crate::ports::Sink; use super::memory; use self::folder::Folder; use std::io;"),
        ("runtime", "use crate::{sink, source, state, toolchain, wasm};"),
        ("runtime::clock", "use std::time::{Instant, SystemTime};"),
        ("toolchain", "use std::process::Command;"),
        ("cli::run::stop", "use std::process; fn leave() { process::exit(130) } use super::super::screen;"),
        ("main", "use std::process::ExitCode; fn main() -> ExitCode { tidemill::cli::main() }"),
    ];
    for (path, source) in right {
        assert_eq!(faults_of(&module(path, source)), [""; 0], "`{source}` in {path}");
    }
}

fn module(path: &str, source: &str) -> Module {
    Module { path: segments(path), source: TokenStream::from_str(source).expect("it is Rust") }
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").map(str::to_owned).collect()
}

/// All modules that ship: what `lib.rs` declares, and what that declares, and `main.rs`.
fn shipped(root: &Path) -> Vec<Module> {
    let mut modules = vec![read(vec!["main".to_owned()], &root.join("main.rs"))];
    let library = read(Vec::new(), &root.join("lib.rs"));
    let mut todo: Vec<(Vec<String>, PathBuf)> = children(&library, root);
    while let Some((path, folder)) = todo.pop() {
        let name = path.last().expect("the root itself is not on the list");
        let own_folder = folder.join(name);
        let file = folder.join(format!("{name}.rs"));
        let module = read(path, &if file.exists() { file } else { own_folder.join("mod.rs") });
        todo.extend(children(&module, &own_folder));
        modules.push(module);
    }
    modules
}

fn read(path: Vec<String>, file: &Path) -> Module {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let source = TokenStream::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    Module { path, source }
}

/// The modules declared with `mod name;`, and the folder their files lie in.
fn children(module: &Module, folder: &Path) -> Vec<(Vec<String>, PathBuf)> {
    let tokens: Vec<TokenTree> = shipping(module.source.clone()).collect();
    let declared = tokens.windows(3).filter_map(|window| match window {
        [TokenTree::Ident(keyword), TokenTree::Ident(name), TokenTree::Punct(end)]
            if keyword == "mod" && end.as_char() == ';' =>
        {
            Some(name.to_string())
        }
        _ => None,
    });
    declared.map(|name| (module.path.iter().cloned().chain([name]).collect(), folder.to_owned())).collect()
}

/// The tokens without the items that exist for tests only.
fn shipping(source: TokenStream) -> impl Iterator<Item = TokenTree> {
    let mut tokens = source.into_iter().peekable();
    std::iter::from_fn(move || {
        loop {
            let token = tokens.next()?;
            let is_mark = matches!(&token, TokenTree::Punct(mark) if mark.as_char() == '#');
            if !is_mark || tokens.next_if(is_for_tests).is_none() {
                return Some(token);
            }
            // The item goes up to its semicolon or its braces, whichever comes first.
            tokens.by_ref().find(|token| match token {
                TokenTree::Punct(end) => end.as_char() == ';',
                TokenTree::Group(body) => body.delimiter() == Delimiter::Brace,
                _ => false,
            });
        }
    })
}

/// Whether this is the `[cfg(test)]` of an attribute.
fn is_for_tests(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(attribute) if attribute.to_string().replace(' ', "") == "[cfg(test)]")
}

/// What is wrong with a module's imports and paths.
fn faults_of(module: &Module) -> Vec<String> {
    let shown = module.path.join("::");
    let Some(ring) = ring_of(&module.path[0]) else {
        return vec![format!("{shown} belongs to no ring: add it to one here and in ARCHITECTURE.md")];
    };
    let mut named = Vec::new();
    paths(module.source.clone(), &module.path, &mut named);
    // `use std::process;` makes `process::exit` another way to say `std::process::exit`.
    let modules_of_std: Vec<Vec<String>> =
        named.iter().filter(|path| path.len() == 2 && path[0] == "std").cloned().collect();
    let mut faults: Vec<String> = named
        .into_iter()
        .map(|path| match modules_of_std.iter().find(|of_std| of_std[1] == path[0]) {
            Some(of_std) => of_std.iter().chain(&path[1..]).cloned().collect(),
            None => path,
        })
        .filter_map(|path| Some(format!("{shown} names {}: {}", path.join("::"), fault(&module.path, ring, &path)?)))
        .collect();
    faults.sort();
    faults.dedup();
    faults
}

fn ring_of(module: &str) -> Option<usize> {
    RINGS.iter().position(|ring| ring.modules.contains(&module))
}

/// Why a module of this ring must not name this path.
fn fault(module: &[String], ring: usize, path: &[String]) -> Option<String> {
    let Ring { name, among_themselves, .. } = RINGS[ring];
    if path[0] == "crate" {
        // `pub(crate)` is a path as well, to nowhere.
        let target = path.get(1)?;
        let outward = ring_of(target).is_some_and(|target| target > ring);
        let sideways = ring_of(target) == Some(ring) && target != &module[0] && !among_themselves;
        return match (outward, sideways) {
            (true, _) => Some(format!("`{target}` lies outside of the ring `{name}`; an import points inward only")),
            (_, true) => Some(format!("the {name} never import each other; they meet in `runtime`")),
            _ => None,
        };
    }
    if ring == 0 && NOT_PURE.iter().any(|name| is_below(path, name)) {
        return Some(format!("the ring `{name}` is passed its time, randomness and I/O through `ports`"));
    }
    let (_, owners) = OWNED.iter().find(|(name, _)| is_below(path, name))?;
    let owned = owners.iter().any(|owner| module.starts_with(&segments(owner)));
    (!owned).then(|| format!("this name belongs to {} alone", owners.join(" and ")))
}

fn is_below(path: &[String], name: &str) -> bool {
    match name.strip_suffix('_') {
        Some(_) => path[0].starts_with(name),
        None => path.starts_with(&segments(name)),
    }
}

/// Every path in the tokens, `use` lists taken apart, from the crate's root where it leads to one of its modules.
fn paths(source: TokenStream, module: &[String], found: &mut Vec<Vec<String>>) {
    let tokens: TokenStream = shipping(source).collect();
    let mut tokens = tokens.into_iter().peekable();
    let mut keyword = String::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => paths(group.stream(), module, found),
            TokenTree::Ident(name) if keyword == "mod" => {
                keyword.clear();
                let inner: Vec<String> = module.iter().cloned().chain([name.to_string()]).collect();
                if let Some(TokenTree::Group(body)) = tokens.next_if(|token| matches!(token, TokenTree::Group(_))) {
                    paths(body.stream(), &inner, found);
                }
            }
            TokenTree::Ident(name) => {
                keyword = name.to_string();
                // In `use ::tokio` the path starts after the colons.
                if keyword == "use" {
                    continue;
                }
                path(vec![keyword.clone()], &mut tokens, module, found);
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Follows one path to its end, or to all its ends.
fn path(
    mut so_far: Vec<String>,
    tokens: &mut Peekable<token_stream::IntoIter>,
    module: &[String],
    found: &mut Vec<Vec<String>>,
) {
    while next_is_colon(tokens) {
        tokens.next();
        if !next_is_colon(tokens) {
            // A single colon: a name and its type.
            break;
        }
        tokens.next();
        match tokens.next_if(|token| matches!(token, TokenTree::Ident(_) | TokenTree::Group(_))) {
            Some(TokenTree::Ident(name)) => so_far.push(name.to_string()),
            Some(TokenTree::Group(list)) => return branches(&so_far, &list, module, found),
            _ => break,
        }
    }
    found.push(from_root(so_far, module));
}

fn branches(so_far: &[String], list: &Group, module: &[String], found: &mut Vec<Vec<String>>) {
    let mut tokens = list.stream().into_iter().peekable();
    while let Some(token) = tokens.next() {
        let TokenTree::Ident(name) = token else { continue };
        match name.to_string().as_str() {
            "as" => drop(tokens.next()),
            "self" => found.push(from_root(so_far.to_vec(), module)),
            name => {
                let branch = so_far.iter().cloned().chain([name.to_owned()]).collect();
                path(branch, &mut tokens, module, found);
            }
        }
    }
}

fn next_is_colon(tokens: &mut Peekable<token_stream::IntoIter>) -> bool {
    matches!(tokens.peek(), Some(TokenTree::Punct(mark)) if mark.as_char() == ':')
}

/// A path that starts with `self` or `super`, as one that starts with `crate`.
fn from_root(path: Vec<String>, module: &[String]) -> Vec<String> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    let rest = match (ups, path[0].as_str()) {
        (0, "self") if path.len() > 1 => &path[1..],
        (1.., _) => &path[ups..],
        _ => return path,
    };
    let base = &module[..module.len().saturating_sub(ups)];
    std::iter::once("crate".to_owned()).chain(base.iter().cloned()).chain(rest.iter().cloned()).collect()
}
