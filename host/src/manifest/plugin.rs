//! `[plugins.NAME]`: a crate to build or a finished file.

use std::path::Path;

use super::{Diagnostic, PluginOrigin, PluginSpec, Spanned, graph::Graph, section::Section, value};

/// Reads `[plugins.NAME]`.
pub(super) fn plugin(
    name: Spanned<String>,
    section: &mut Section<'_, '_>,
    base: &Path,
    graph: &mut Graph,
) -> Option<PluginSpec> {
    graph.plugins.push(name.value.clone());
    let krate = section.string("crate");
    let path = section.string("path");
    let sha256 = section.string_that("sha256", "a SHA-256", "64 hexadecimal digits", |text| {
        text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit())
    });
    section.refuse_unknown("a plugin");
    check_origin(&name, section);

    let origin = match (krate, path) {
        (Some(krate), _) => Spanned { value: PluginOrigin::Crate(value::path(base, &krate.value)), span: krate.span },
        (None, Some(path)) => Spanned { value: PluginOrigin::Path(value::path(base, &path.value)), span: path.span },
        (None, None) => return None,
    };
    let sha256 = sha256.map(|sha256| Spanned { value: sha256.value.to_ascii_lowercase(), span: sha256.span });
    Some(PluginSpec { name, origin, sha256 })
}

/// A plugin comes from one place, and only a finished file can be pinned.
fn check_origin(name: &Spanned<String>, section: &mut Section<'_, '_>) {
    let title = section.name();
    let problem = match (section.key("crate"), section.key("path"), section.key("sha256")) {
        (Some(krate), Some(path), _) => Diagnostic::error(format!("{title} has both `crate` and `path`"))
            .at(path, "a finished file")
            .also(krate, "a crate to build")
            .help("keep `crate` to have it built when it is needed, or `path` to load a finished .wasm file"),
        (None, None, _) if !section.has("crate") && !section.has("path") => {
            Diagnostic::error(format!("{title} does not say where the plugin is"))
                .at(name.span.clone(), "neither `crate` nor `path`")
                .help("add `crate = \"FOLDER\"` to have it built when it is needed")
                .help("or add `path = \"FILE.wasm\"` to load a finished file")
        }
        (Some(krate), None, Some(sha256)) => {
            Diagnostic::error(format!("`sha256` in {title} pins a crate, which changes with every build"))
                .at(sha256, "goes with `path` only")
                .also(krate, "")
                .help("take `sha256` out, or name the finished file by `path`")
        }
        _ => return,
    };
    section.problem(problem);
}
