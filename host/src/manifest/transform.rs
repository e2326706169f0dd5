//! `[transforms.NAME]`: which keys go together, and what they make.

use super::{
    Aggregate, CallSpec, Diagnostic, FunctionName, GroupSpec, Operation, Spanned, TransformSpec, UpdateSpec,
    connector::MODES,
    graph::{Graph, Kind, Node},
    join, reference,
    section::Section,
    time,
};
use crate::model::PartName;

/// Reads `[transforms.NAME]`.
pub(super) fn transform(
    name: Spanned<String>,
    section: &mut Section<'_, '_>,
    graph: &mut Graph,
) -> Option<TransformSpec> {
    let name = Spanned { value: PartName::new(name.value), span: name.span };
    let inputs = reference::inputs(section);
    graph.nodes.push(Node { kind: Kind::Transform, name: name.clone(), inputs: inputs.clone() });

    let filter = section.string("where");
    let call = reference::function(section, "call");
    let by = section.strings("group_by");
    let aggregates = section.string_table("aggregates");
    let reduce = reference::function(section, "reduce");
    let update = reference::function(section, "update");
    let visit = section.choice("visit", &[("touched", false), ("all", true)]);
    let event_time = section.string("event_time");
    let extent = time::extent(section);
    let allowed_lateness = section.duration_spanned("allowed_lateness");
    let distinct = time::distinct(section);
    let join = join::join(section, graph);
    let watermark = time::watermark(section);
    let mode = section.choice("mode", &MODES);
    let config = section.json("config");
    let columns = section.string_table("columns").unwrap_or_default();
    let keep = section.strings("keep").unwrap_or_default();
    let select = section.strings("select");
    section.refuse_unknown("a transform");
    check_operation(section);
    check_companions(section);
    if aggregates.as_ref().is_some_and(Vec::is_empty) {
        nothing_computed(section, "aggregates");
    }
    if select.as_ref().is_some_and(Vec::is_empty) {
        let span = section.key("select").unwrap_or_default();
        let message = format!("`select` in {} leaves no columns", section.name());
        section.problem(Diagnostic::error(message).at(span, "name at least one column or expression"));
    }

    graph.calls.extend(call.iter().chain(&reduce).chain(&update).cloned());
    let function = |function: Spanned<FunctionName>| CallSpec { function, config, columns, keep, mode };
    let operation = match (call, by) {
        (Some(call), _) => Some(Operation::Call(function(call))),
        (None, Some(by)) if update.is_some() => Some(Operation::Update(UpdateSpec {
            by,
            call: function(update?),
            visit_all: visit.is_some_and(|visit| visit.value),
            event_time,
        })),
        (None, Some(by)) => {
            let aggregate = match reduce {
                Some(reduce) => Aggregate::Reduce(function(reduce)),
                None => Aggregate::Sql(aggregates?),
            };
            Some(Operation::Group(GroupSpec { by, aggregate, extent: extent?, allowed_lateness }))
        }
        (None, None) => distinct.map(Operation::Distinct).or(join.map(Operation::Join)),
    };
    Some(TransformSpec { name, inputs, filter, operation, select, watermark })
}

/// A transform has at most one operation, and a group is computed in one way.
fn check_operation(section: &mut Section<'_, '_>) {
    const OPERATIONS: [&str; 7] = ["call", "drop_duplicates", "join", "group_by", "aggregates", "reduce", "update"];
    const OF_GROUPS: [&str; 3] = ["aggregates", "reduce", "update"];
    let name = section.name().to_owned();
    let given =
        |keys: &[&'static str]| -> Vec<_> { keys.iter().filter_map(|key| Some((*key, section.key(key)?))).collect() };
    let whole = given(&OPERATIONS[..3]);
    let computed = given(&OF_GROUPS);
    let other = whole.iter().skip(1).cloned().chain(given(&OPERATIONS[3..])).next();
    if let (Some((one, first)), Some((other, span))) = (whole.first(), other) {
        let both = Diagnostic::error(format!("{name} has both `{one}` and `{other}`"));
        let both = both.at(span, "a second operation").also(first.clone(), "the first");
        section
            .problem(both.help("a transform has one operation; make two transforms of it, one the input of the other"));
    } else if let [(one, first), (other, span), ..] = computed.as_slice() {
        let both = Diagnostic::error(format!("{name} has both `{one}` and `{other}`"));
        let both = both.at(span.clone(), "a second operation").also(first.clone(), "the first");
        section.problem(both.help("make two transforms of it, both with the same input"));
    } else if let (Some((key, span)), false) = (computed.first(), section.has("group_by")) {
        let ungrouped = Diagnostic::error(format!("`{key}` in {name} has no `group_by` to go with"));
        let ungrouped = ungrouped.at(span.clone(), "computed for which group?");
        section.problem(ungrouped.help("add `group_by = [\"COLUMN\"]`, or `group_by = []` for one group of all rows"));
    } else if section.key("group_by").is_some() && !OF_GROUPS.iter().any(|key| section.has(key)) {
        nothing_computed(section, "group_by");
    }
}

/// Keys that mean nothing without another.
fn check_companions(section: &mut Section<'_, '_>) {
    const NO_GROUP: &str = "it says how far back a group reaches, and there is no group";
    const COMPANIONS: [(&str, &[&str], &str); 11] = [
        ("over", &["group_by"], NO_GROUP),
        ("window", &["group_by"], NO_GROUP),
        ("session", &["group_by"], NO_GROUP),
        ("allowed_lateness", &["window", "session"], "it is for rows that come after the end of their window"),
        ("within_watermark", &["drop_duplicates"], "it says when a key is forgotten"),
        ("mode", &["call"], "it says which rows of a result a batch handler is called with; sinks have one too"),
        ("visit", &["update"], "it says for which keys a function with a state per key is called"),
        (
            "event_time",
            &["update"],
            "it names the event time of what such a function puts out; elsewhere use `watermark`",
        ),
        ("config", &["call", "reduce", "update"], "it is handed to the function of a `call`, `reduce` or `update`"),
        (
            "columns",
            &["call", "reduce", "update"],
            "it says what the columns of a `call`, `reduce` or `update` are read from; elsewhere use `select`",
        ),
        (
            "keep",
            &["call"],
            "it carries columns past a `call`; a group has its `group_by` columns anyway, and elsewhere use `select`",
        ),
    ];
    for (key, needs, help) in COMPANIONS {
        if let Some(span) = section.key(key)
            && !needs.iter().any(|need| section.has(need))
        {
            let mut needs: Vec<String> = needs.iter().map(|need| format!("`{need}`")).collect();
            let last = needs.pop().expect("a companion needs something");
            let needs = if needs.is_empty() { last } else { format!("{} or {last}", needs.join(", ")) };
            let message = format!("`{key}` in {} has no {needs} to go with", section.name());
            section.problem(Diagnostic::error(message).at(span, "").help(help));
        }
    }
}

fn nothing_computed(section: &mut Section<'_, '_>, key: &str) {
    let span = section.key(key).unwrap_or_default();
    let idle = Diagnostic::error(format!("{} groups rows but computes nothing", section.name())).at(span, "");
    section.problem(idle.help("add `aggregates = { count = \"count(*)\" }`, or `reduce = \"PLUGIN.FUNCTION\"`"));
}
