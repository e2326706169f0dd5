//! The way from text to a manifest: TOML, overrides, every section, then how the parts hang together.

use std::{path::Path, sync::Arc};

use toml::de::DeTable;

use super::{
    BadRows, Diagnostics, Limits, Manifest, Override, SourceText, Trigger, connector,
    graph::Graph,
    join, meaning, plugin,
    section::{Section, one_of},
    syntax, time, transform, value,
};
use crate::model::{Digest, nearest};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Reads a manifest. `file_name` is what messages call it; paths in it are resolved against the folder `base`.
pub fn parse(text: &str, file_name: &str, base: &Path) -> Result<Manifest, Diagnostics> {
    parse_with(text, file_name, base, &[])
}

/// Reads a manifest in which the command line has changed some values. The last change of a key counts.
pub fn parse_with(text: &str, file_name: &str, base: &Path, overrides: &[Override]) -> Result<Manifest, Diagnostics> {
    let mut source = SourceText::new(file_name, text);
    let starts: Vec<usize> = overrides.iter().map(|change| source.append(change)).collect();
    let source = Arc::new(source);
    let mut problems = Diagnostics::of(Arc::clone(&source));

    let mut table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            problems.push(syntax::diagnostic(&error, text, 0));
            return Err(problems);
        }
    };
    for (change, start) in overrides.iter().zip(starts) {
        if let Err(problem) = change.apply(start, &mut table) {
            problems.push(problem);
        }
    }

    let mut graph = Graph::default();
    let manifest = read(&mut Section::top(&table, &mut problems), base, &source, &mut graph);
    let order = graph.check(&mut problems);
    match manifest {
        Some(mut manifest) if problems.is_empty() => {
            manifest.meaning = meaning::of(&table);
            manifest.transforms.sort_by_key(|transform| order.iter().position(|name| *name == transform.name.value));
            Ok(manifest)
        }
        _ => {
            debug_assert!(!problems.is_empty(), "nothing is left out of a manifest without a word");
            Err(problems)
        }
    }
}

fn read(top: &mut Section<'_, '_>, base: &Path, source: &Arc<SourceText>, graph: &mut Graph) -> Option<Manifest> {
    // A name, and not the file's: the checkpoint is found by it, also after the file was moved.
    top.require("name", r#"name = "wordcount""#);
    let name = top.string_that("name", "a name", value::NAME, value::is_name);
    let trigger = trigger(top);
    let workers = top.count("workers", 1..=1024);
    let checkpoint = top.string("checkpoint").map(|path| value::path(base, &path.value));
    let bad_rows = top.choice("bad_rows", &[("set-aside", BadRows::SetAside), ("stop", BadRows::Stop)]);
    let watermarks = top.section("watermarks", time::watermarks).unwrap_or_default();
    let limits = top.section("limits", limits).unwrap_or_default();
    let plugins = top.each_part("plugins", |name, section| plugin::plugin(name, section, base, graph));
    let sources = top.each_part("sources", |name, section| connector::source(name, section, base, graph));
    let tables = top.each_part("tables", |name, section| {
        graph.known_tables.push(name.value.clone());
        join::table(name, section, base)
    });
    let transforms = top.each_part("transforms", |name, section| transform::transform(name, section, graph));
    let sinks = top.each_part("sinks", |name, section| connector::sink(name, section, base, graph));
    top.refuse_unknown("a manifest");

    Some(Manifest {
        name: name?.value,
        trigger,
        workers,
        checkpoint,
        bad_rows: bad_rows.map_or(BadRows::SetAside, |choice| choice.value),
        watermarks,
        limits,
        plugins,
        sources,
        tables,
        transforms,
        sinks,
        source: Arc::clone(source),
        meaning: Digest::of(&[]),
    })
}

/// Spark's default is the next epoch as soon as the last one is done, and so is this.
fn trigger(top: &mut Section<'_, '_>) -> Trigger {
    const KEY: &str = "trigger";
    const WORDS: [(&str, Trigger); 3] =
        [("once", Trigger::Once), ("available-now", Trigger::AvailableNow), ("continuous", Trigger::Continuous)];

    let Some(value) = top.get(KEY) else { return Trigger::Continuous };
    if value.get_ref().is_table() {
        let every = top.section(KEY, |section| {
            section.require("every", r#"every = "5s""#);
            let every = section.duration("every");
            section.refuse_unknown("a trigger");
            every
        });
        return every.flatten().map_or(Trigger::Continuous, Trigger::Every);
    }
    let text = value.get_ref().as_str().unwrap_or_default();
    let words = || WORDS.iter().map(|(word, _)| *word);
    if let Some((_, trigger)) = WORDS.iter().find(|(word, _)| *word == text) {
        return *trigger;
    }
    let label = match nearest(text, words()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if value::parse_duration(text).is_ok() => format!("did you mean `{{ every = \"{text}\" }}`?"),
        None => String::new(),
    };
    top.wrong(KEY, &format!("{{ every = \"5s\" }}, {}", one_of(words())), value, label);
    Trigger::Continuous
}

fn limits(section: &mut Section<'_, '_>) -> Limits {
    let default = Limits::default();
    let call_timeout = section.duration("call_timeout").unwrap_or(default.call_timeout);
    // Below a mebibyte no plugin starts; above four gibibytes its 32-bit addresses end.
    let memory = section.size("memory", MIB..=4 * GIB).map_or(default.memory, |size| size.value);
    // Less would be read from disk again in every epoch.
    let state = section.size("state", 16 * MIB..=u64::MAX).map_or(default.state, |size| size.value);
    section.refuse_unknown("the limits");
    Limits { call_timeout, memory, state }
}
