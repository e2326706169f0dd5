//! The plan as people and programs read it: a tree from each sink up to its sources, or JSON.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use arrow::datatypes::Schema;
use serde::Serialize;

use super::{Barrier, Node, Plan};
use crate::{
    manifest::{
        Aggregate, Bound, Extent, Gap, Input, Manifest, Operation, OutputMode, SinkConnector, SourceConnector,
        TransformSpec, Trigger, WatermarkSpec, Within,
    },
    model::type_name,
};

/// A plan, described.
#[derive(Debug, Clone, Serialize)]
pub struct Explained {
    /// The pipeline's name.
    pub name: String,
    /// When epochs start.
    pub trigger: Trigger,
    /// Sources, transforms and sinks, each after its inputs.
    pub parts: Vec<ExplainedPart>,
}

/// One part of a plan, described.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedPart {
    /// Its name.
    pub name: String,
    /// `source`, `transform` or `sink`.
    pub kind: &'static str,
    /// The parts its rows come from.
    pub inputs: Vec<String>,
    /// What it does, step by step.
    pub does: Vec<String>,
    /// The columns of its rows; of a batch handler, those of each outlet.
    pub columns: Vec<ExplainedColumn>,
    /// A sink's output mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<OutputMode>,
}

/// A column, described.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedColumn {
    /// Its name; behind an outlet, `outlet.column`.
    pub name: String,
    /// Its type.
    pub data_type: String,
}

/// Describes a plan that was built from this manifest.
pub fn explain(manifest: &Manifest, plan: &Plan) -> Explained {
    let sources = manifest.sources.iter().zip(&plan.sources).map(|(spec, node)| ExplainedPart {
        name: node.name.to_string(),
        kind: "source",
        inputs: Vec::new(),
        does: std::iter::once(describe_source(&spec.connector))
            .chain(spec.watermark.as_ref().map(describe_watermark))
            .collect(),
        columns: columns(&node.schema, None),
        mode: None,
    });
    let transforms = manifest.transforms.iter().zip(&plan.nodes).map(|(spec, node)| ExplainedPart {
        name: node.name.to_string(),
        kind: "transform",
        inputs: spec.inputs.iter().map(|input| describe_input(&input.value)).collect(),
        does: describe_transform(spec, node),
        columns: node.outputs.iter().flat_map(|out| columns(&out.schema, out.outlet.as_deref())).collect(),
        mode: None,
    });
    let sinks = manifest.sinks.iter().zip(&plan.sinks).map(|(spec, node)| ExplainedPart {
        name: node.name.to_string(),
        kind: "sink",
        inputs: spec.inputs.iter().map(|input| describe_input(&input.value)).collect(),
        does: vec![describe_sink(&spec.connector)],
        columns: columns(&node.schema, None),
        mode: Some(node.mode),
    });
    Explained {
        name: manifest.name.clone(),
        trigger: manifest.trigger,
        parts: sources.chain(transforms).chain(sinks).collect(),
    }
}

fn columns(schema: &Schema, outlet: Option<&str>) -> Vec<ExplainedColumn> {
    let name = |column: &str| outlet.map_or_else(|| column.to_owned(), |outlet| format!("{outlet}.{column}"));
    let fields = schema.fields().iter();
    fields.map(|f| ExplainedColumn { name: name(f.name()), data_type: type_name(f.data_type()) }).collect()
}

fn describe_input(input: &Input) -> String {
    match &input.outlet {
        Some(outlet) => format!("{}.{outlet}", input.part),
        None => input.part.to_string(),
    }
}

fn describe_source(connector: &SourceConnector) -> String {
    match connector {
        SourceConnector::Socket(socket) => format!("socket {}", socket.address),
        SourceConnector::Files(files) => format!("files {}", files.path.display()),
        SourceConnector::Rate(rate) => format!("rate {} rows/s", rate.rows_per_second),
    }
}

fn describe_sink(connector: &SinkConnector) -> String {
    match connector {
        SinkConnector::Console(_) => "console".to_owned(),
        SinkConnector::Files(files) => format!("files {}", files.path.display()),
        SinkConnector::Memory(_) => "memory".to_owned(),
    }
}

fn describe_transform(spec: &TransformSpec, node: &Node) -> Vec<String> {
    let mut does = Vec::new();
    does.extend(spec.filter.as_ref().map(|filter| format!("where {}", filter.value)));
    match &spec.operation {
        Some(Operation::Call(call)) => does.push(format!("call {}", call.function.value)),
        Some(Operation::Group(group)) => {
            let keys: Vec<&str> = group.by.iter().map(|key| key.value.as_str()).collect();
            does.push(format!("group by {}", if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") }));
            does.push(match &group.aggregate {
                Aggregate::Sql(list) => {
                    list.iter().map(|(n, sql)| format!("{} = {}", n.value, sql.value)).collect::<Vec<_>>().join(", ")
                }
                Aggregate::Reduce(call) => format!("reduce {}", call.function.value),
            });
            does.push(describe_extent(&group.extent));
            let lateness = group.allowed_lateness.as_ref();
            does.extend(lateness.map(|lateness| format!("late rows taken for {:?}", lateness.value)));
        }
        Some(Operation::Join(join)) => {
            let on: Vec<&str> = join.on.iter().map(|on| on.value.as_str()).collect();
            let kind = if join.outer { "left join" } else { "join" };
            let with = join.table.as_ref().map(|table| format!(" with table {}", table.value)).unwrap_or_default();
            does.push(format!("{kind}{with} on {}", on.join(", ")));
            does.extend(join.within.as_ref().map(|within| {
                let Within { before, after } = within.value;
                let (before, after) =
                    (describe_bound(before, "before", "after"), describe_bound(after, "after", "before"));
                format!("the right {before} and {after} the left")
            }));
        }
        Some(Operation::Update(update)) => {
            let by: Vec<&str> = update.by.iter().map(|key| key.value.as_str()).collect();
            does.push(format!("update {} by {}", update.call.function.value, by.join(", ")));
            does.extend(update.event_time.as_ref().map(|time| format!("event time {}", time.value)));
        }
        Some(Operation::Distinct(distinct)) => {
            let by: Vec<&str> = distinct.by.iter().map(|key| key.value.as_str()).collect();
            let within = if distinct.within_watermark { " within the watermark" } else { "" };
            does.push(format!(
                "drop duplicates of {}{within}",
                if by.is_empty() { "all columns".to_owned() } else { by.join(", ") }
            ));
        }
        None => {}
    }
    if !node.behind.is_zero() && node.barrier.as_ref().is_some_and(Barrier::closes) {
        does.push(format!("by a watermark {:?} behind", node.behind));
    }
    let select =
        spec.select.as_ref().map(|list| list.iter().map(|sql| sql.value.as_str()).collect::<Vec<_>>().join(", "));
    does.extend(select.map(|list| format!("select {list}")));
    does.extend(spec.watermark.as_ref().map(describe_watermark));
    does
}

/// `at most 5s before`, or `at least 5s after` for a bound the other way.
fn describe_bound(bound: Option<Bound>, this_way: &str, other_way: &str) -> String {
    let Some(Bound { distance, strict }) = bound else { return format!("any time {this_way}") };
    let (way, most, less) = match distance < 0 {
        false => (this_way, "at most", "less than"),
        true => (other_way, "at least", "more than"),
    };
    let distance = Duration::from_micros(distance.unsigned_abs());
    format!("{} {distance:?} {way}", if strict { less } else { most })
}

fn describe_extent(extent: &Extent) -> String {
    match extent {
        Extent::All => "over all rows so far".to_owned(),
        Extent::Batch => "over one batch".to_owned(),
        Extent::Batches(batches) => format!("over the last {} batches every {}", batches.size, batches.slide),
        Extent::Window(window) if window.slide == window.size => {
            format!("in windows of {:?} on {}", window.size, window.on.value)
        }
        Extent::Window(window) => {
            format!("in windows of {:?} every {:?} on {}", window.size, window.slide, window.on.value)
        }
        Extent::Session(session) => match &session.gap {
            Gap::Fixed(gap) => format!("in sessions with gaps of {gap:?} on {}", session.on.value),
            Gap::PerRow(gap) => format!("in sessions with gaps of {} seconds on {}", gap.value, session.on.value),
        },
    }
}

fn describe_watermark(watermark: &WatermarkSpec) -> String {
    format!("watermark {:?} behind {}", watermark.delay, watermark.on.value)
}

/// A tree from each sink up to its sources. A part that several read from is shown in full once.
impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trigger = match self.trigger {
            Trigger::Every(interval) => format!("every {interval:?}"),
            Trigger::Once => "once".to_owned(),
            Trigger::AvailableNow => "available now".to_owned(),
            Trigger::Continuous => "continuous".to_owned(),
        };
        writeln!(f, "{} (trigger: {trigger})", self.name)?;
        let mut shown = Vec::new();
        let sinks: Vec<&ExplainedPart> = self.parts.iter().filter(|part| part.kind == "sink").collect();
        for (at, sink) in sinks.iter().enumerate() {
            self.branch(f, sink, "", at + 1 == sinks.len(), &mut shown)?;
        }
        Ok(())
    }
}

impl Explained {
    fn branch<'a>(
        &'a self,
        f: &mut fmt::Formatter<'_>,
        part: &'a ExplainedPart,
        indent: &str,
        last: bool,
        shown: &mut Vec<&'a str>,
    ) -> fmt::Result {
        let (corner, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let mut line = format!("{indent}{corner}{} {}: {}", part.kind, part.name, part.does.join("; "));
        if let Some(mode) = part.mode {
            write!(line, " ({mode} mode)")?;
        }
        if shown.contains(&part.name.as_str()) {
            return writeln!(f, "{line} (see above)");
        }
        shown.push(&part.name);
        writeln!(f, "{line}")?;
        let columns: Vec<String> = part.columns.iter().map(|c| format!("{}: {}", c.name, c.data_type)).collect();
        let inputs: Vec<&ExplainedPart> = part.inputs.iter().filter_map(|input| self.input(input)).collect();
        let indent = format!("{indent}{below}");
        writeln!(f, "{indent}{} {}", if inputs.is_empty() { " " } else { "│" }, columns.join(", "))?;
        for (at, input) in inputs.iter().enumerate() {
            self.branch(f, input, &indent, at + 1 == inputs.len(), shown)?;
        }
        Ok(())
    }

    fn input(&self, name: &str) -> Option<&ExplainedPart> {
        let part = name.split_once('.').map_or(name, |(part, _)| part);
        self.parts.iter().find(|known| known.name == part)
    }
}
