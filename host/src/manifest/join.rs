//! What a manifest says of joins, and of the tables that streams are joined with.

use std::path::Path;

use super::{
    Bound, Diagnostic, JoinSpec, Spanned, TableFormat, TableSpec, Within, connector, graph::Graph, section::Section,
    value,
};

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

/// A bound for both directions, or one for each. Of a table, a direction that is not named has the bound of nothing.
fn within(section: &mut Section<'_, '_>) -> Option<Spanned<Within>> {
    const NOTHING: Option<Bound> = Some(Bound { distance: 0, strict: false });
    let is_table = section.get("within")?.get_ref().is_table();
    let span = section.key("within").unwrap_or_default();
    let value = if is_table {
        section.section("within", |inner| {
            let (before, after) = (bound(inner, "before"), bound(inner, "after"));
            inner.refuse_unknown("a bound in time");
            Within { before: before.unwrap_or(NOTHING), after: after.unwrap_or(NOTHING) }
        })?
    } else {
        let both = bound(section, "within")?;
        Within { before: both, after: both }
    };
    let (fault, help) = match value {
        Within { before: None, after: None } => (
            "is unbounded in both directions, which is no bound",
            "leave `within` out, or bound a direction: within = { before = \"unbounded\", after = \"10m\" }",
        ),
        Within { before: Some(before), after: Some(after) }
            if before.distance + after.distance < i64::from(before.strict || after.strict) =>
        {
            (
                "leaves no time in which rows could match",
                "a row of the right from 5 to 10 minutes later, for example, is within = { before = \"-5m\", after = \"10m\" }",
            )
        }
        _ => return Some(Spanned { value, span }),
    };
    let message = format!("`within` in {} {fault}", section.name());
    section.problem(Diagnostic::error(message).at(span, "").help(help));
    None
}

/// `"10m"`, `"-10m"` for at least that much the other way, `"<10m"` for less than that, or `"unbounded"`.
fn bound(section: &mut Section<'_, '_>, key: &'static str) -> Option<Option<Bound>> {
    let accepted =
        r#"such as "10m", "<10m" for less than that, "-10m" for at least that much the other way, or "unbounded""#;
    let text = section.string_that(key, "a bound in time", accepted, |text| parse_bound(text).is_some())?;
    parse_bound(&text.value)
}

fn parse_bound(text: &str) -> Option<Option<Bound>> {
    if text == "unbounded" {
        return Some(None);
    }
    let (strict, text) = text.strip_prefix('<').map_or((false, text), |rest| (true, rest.trim_start()));
    Some(Some(Bound { distance: value::parse_signed(text)?, strict }))
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
