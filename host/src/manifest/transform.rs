//! `[transforms.NAME]`: which keys go together, and what they make.

use super::{
    Aggregate, CallSpec, Diagnostic, FunctionName, GroupSpec, Operation, Over, Spanned, TransformSpec,
    graph::{Graph, Kind, Node},
    reference,
    section::Section,
};
use crate::model::PartName;

const UNTIL_THEN: &str =
    "until then `over = \"batch\"` groups the rows of one epoch; without it a group has all rows so far";

const PLANNED: [(&str, &str); 3] = [("window", UNTIL_THEN), ("session", UNTIL_THEN), ("watermark", UNTIL_THEN)];

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
    let over = section.choice("over", &[("batch", Over::Batch)]);
    let config = section.json("config");
    let columns = section.string_table("columns").unwrap_or_default();
    let keep = section.strings("keep").unwrap_or_default();
    let select = section.strings("select");
    section.planned(&PLANNED);
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

    graph.calls.extend(call.iter().chain(&reduce).cloned());
    let function = |function: Spanned<FunctionName>| CallSpec { function, config, columns, keep };
    let operation = match (call, by) {
        (Some(call), _) => Some(Operation::Call(function(call))),
        (None, Some(by)) => {
            let aggregate = match reduce {
                Some(reduce) => Aggregate::Reduce(function(reduce)),
                None => Aggregate::Sql(aggregates?),
            };
            Some(Operation::Group(GroupSpec { by, aggregate, over: over.map_or(Over::All, |over| over.value) }))
        }
        (None, None) => None,
    };
    Some(TransformSpec { name, inputs, filter, operation, select })
}

/// A transform has at most one operation, and a group is computed in one way.
fn check_operation(section: &mut Section<'_, '_>) {
    let name = section.name().to_owned();
    let first_of = |keys: &[&'static str]| keys.iter().find_map(|key| Some((*key, section.key(key)?)));
    if let (Some(call), Some((other, span))) = (section.key("call"), first_of(&["group_by", "aggregates", "reduce"])) {
        let both = Diagnostic::error(format!("{name} has both `call` and `{other}`"));
        let both = both.at(span, "a second operation").also(call, "the first");
        section
            .problem(both.help("a transform has one operation; make two transforms of it, one the input of the other"));
    } else if let (Some(aggregates), Some(reduce)) = (section.key("aggregates"), section.key("reduce")) {
        let both = Diagnostic::error(format!("{name} has both `aggregates` and `reduce`"));
        let both = both.at(reduce, "a second operation").also(aggregates, "the first");
        section.problem(both.help("make two transforms of it, both with the same input"));
    } else if let (Some((key, span)), false) = (first_of(&["aggregates", "reduce"]), section.has("group_by")) {
        let ungrouped = Diagnostic::error(format!("`{key}` in {name} has no `group_by` to go with"));
        let ungrouped = ungrouped.at(span, "computed for which group?");
        section.problem(ungrouped.help("add `group_by = [\"COLUMN\"]`, or `group_by = []` for one group of all rows"));
    } else if section.key("group_by").is_some() && !section.has("aggregates") && !section.has("reduce") {
        nothing_computed(section, "group_by");
    }
}

/// Keys that mean nothing without another.
fn check_companions(section: &mut Section<'_, '_>) {
    const COMPANIONS: [(&str, &[&str], &str); 4] = [
        ("over", &["group_by"], "it says how far back a group reaches, and there is no group"),
        ("config", &["call", "reduce"], "it is handed to the function of a `call` or `reduce`"),
        (
            "columns",
            &["call", "reduce"],
            "it says what the columns of a `call` or `reduce` are read from; elsewhere use `select`",
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
            let needs: Vec<String> = needs.iter().map(|need| format!("`{need}`")).collect();
            let message = format!("`{key}` in {} has no {} to go with", section.name(), needs.join(" or "));
            section.problem(Diagnostic::error(message).at(span, "").help(help));
        }
    }
}

fn nothing_computed(section: &mut Section<'_, '_>, key: &str) {
    let span = section.key(key).unwrap_or_default();
    let idle = Diagnostic::error(format!("{} groups rows but computes nothing", section.name())).at(span, "");
    section.problem(idle.help("add `aggregates = { count = \"count(*)\" }`, or `reduce = \"PLUGIN.FUNCTION\"`"));
}
