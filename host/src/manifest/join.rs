//! What a manifest says of joins, and of the tables that streams are joined with.

use std::{path::Path, time::Duration};

use super::{Diagnostic, JoinSpec, Spanned, TableFormat, TableSpec, connector, graph::Graph, section::Section, value};

/// Reads `join = { on = [...], within = "10m", type = "inner" }`.
pub(super) fn join(section: &mut Section<'_, '_>, graph: &mut Graph) -> Option<JoinSpec> {
    let span = section.key("join").unwrap_or_default();
    let read = section.section("join", |inner| {
        inner.require("on", r#"on = ["order_id"]"#);
        let table = inner.string("table");
        graph.tables.extend(table.clone());
        let on = inner.strings("on");
        let kind = inner.choice("type", &[("inner", false), ("left", true)]);
        let within = within(inner);
        inner.refuse_unknown("a join");
        let on = on?;
        if on.is_empty() {
            let message = format!("{} has no key", inner.name());
            let place = inner.key("on").unwrap_or_default();
            inner.problem(Diagnostic::error(message).at(place, "name at least one column that must be equal"));
        }
        Some(JoinSpec { table, on, within, outer: kind.is_some_and(|kind| kind.value), span })
    });
    read.flatten()
}

/// A bound for both directions, or one for each.
fn within(section: &mut Section<'_, '_>) -> Option<Spanned<(Duration, Duration)>> {
    let is_table = section.get("within")?.get_ref().is_table();
    let span = section.key("within").unwrap_or_default();
    if !is_table {
        let both = section.duration_or_zero("within")?;
        return Some(Spanned { value: (both, both), span });
    }
    let each = section.section("within", |inner| {
        let (before, after) = (inner.duration_or_zero("before"), inner.duration_or_zero("after"));
        inner.refuse_unknown("a bound in time");
        (before.unwrap_or_default(), after.unwrap_or_default())
    });
    each.map(|value| Spanned { value, span })
}

/// Reads `[tables.NAME]`.
pub(super) fn table(name: Spanned<String>, section: &mut Section<'_, '_>, base: &Path) -> Option<TableSpec> {
    section.require("path", r#"path = "rates.csv""#);
    section.require("schema", r#"schema = { currency = "utf8", rate = "float64" }"#);
    let path = section.string("path");
    let format = section.choice("format", &[("csv", TableFormat::Csv), ("json", TableFormat::Json)]);
    section.require("format", r#"format = "csv""#);
    let schema = connector::columns(section);
    section.refuse_unknown("a table");
    Some(TableSpec { name: name.value, path: value::path(base, &path?.value), format: format?.value, schema: schema? })
}
