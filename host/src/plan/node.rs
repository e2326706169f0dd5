//! One transform of the manifest: its conditions, its operation and its selection, compiled in that order.

use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use arrow::datatypes::{Schema, SchemaRef};

use super::{
    Barrier, Closing, Columns, Extent, Fold, Gap, Node, Output, Step,
    call::{build_call, kept_columns},
    distinct::build_distinct,
    group::{build_group, event_times_of, finality_of},
    join::build_join,
    lookup::build_lookup,
    modes::settle_mode,
    scope::{EventColumn, Finality, Rows, RowsWatermark, Scope},
    time::put_watermark,
    update::build_update,
};
use crate::{
    expr::ScalarExpr,
    manifest::{CallSpec, Diagnostic, GroupSpec, Operation, OutputMode, Spanned, TransformSpec},
    model::PartName,
    ports::{Outlet, Role},
};

/// The outlet of rows that came too late for all their windows.
const LATE: &str = "late";

/// Compiles a transform. Also says what is known of the rows of each of its outputs. None when something in it is at
/// fault.
pub(super) fn build_node(scope: &mut Scope<'_>, spec: &TransformSpec) -> Option<(Node, Vec<Rows>)> {
    if let Some(Operation::Join(join)) = spec.operation.as_ref().filter(|operation| operation.joins_streams()) {
        let (join, above, rows) = build_join(scope, spec, join)?;
        let mut node = Node::new(&spec.name.value, &rows.schema);
        node.barrier = Some(Barrier::Join(Box::new(join)));
        node.stand_behind(above);
        return finish(scope, spec, node, rows, None);
    }
    let input = scope.union(&spec.name.value, &spec.inputs)?;
    let mut rows = input.clone();
    let mut node = Node::new(&spec.name.value, &rows.schema);
    if let Some(condition) = &spec.filter {
        node.before
            .push(Step::Where(compile(scope, condition, |sql| ScalarExpr::compile_condition(sql, &rows.schema))?));
    }
    match &spec.operation {
        None => {}
        Some(Operation::Join(join)) => {
            let table = join.table.as_ref().expect("a join of two streams is built otherwise");
            let step = build_lookup(scope, spec, join, table, &mut rows)?;
            node.before.push(step);
        }
        Some(Operation::Call(call)) => {
            if let Some(outlets) = add_call(scope, &mut node, spec, call, &mut rows)? {
                return finish_handler(scope, spec, node, outlets);
            }
        }
        Some(Operation::Group(group)) => add_group(scope, &mut node, spec, group, &mut rows)?,
        Some(Operation::Distinct(distinct)) => {
            let distinct = build_distinct(scope, spec, distinct, &rows)?;
            rows.finality = Finality::Final;
            node.barrier = Some(Barrier::Distinct(distinct));
        }
        Some(Operation::Update(update)) => {
            let (update, output) = build_update(scope, spec, update, &rows)?;
            rows = output;
            node.barrier = Some(Barrier::Update(update));
        }
    }
    node.stand_behind(input.watermark);
    finish(scope, spec, node, rows, Some(input))
}

/// What stands behind every operation: the selection, the watermark, and the ways out.
fn finish(
    scope: &mut Scope<'_>,
    spec: &TransformSpec,
    mut node: Node,
    mut rows: Rows,
    input: Option<Rows>,
) -> Option<(Node, Vec<Rows>)> {
    if let Some(select) = &spec.select {
        let columns = select_columns(scope, select, &rows.schema)?;
        rows.event_times = event_times_behind(&columns, &rows.event_times);
        rows.schema = Arc::clone(&columns.schema);
        let steps = if node.barrier.is_some() { &mut node.after } else { &mut node.before };
        steps.push(Step::Select(columns));
    }
    if let Some(watermark) = &spec.watermark {
        node.watermark = Some(put_watermark(scope, &spec.name.value, watermark, &mut rows)?);
    }
    rows.place = spec.name.span.clone();
    node.outputs.push(Output { outlet: None, schema: Arc::clone(&rows.schema), targets: Vec::new() });
    let mut outputs = vec![rows];
    if let (Some(input), true) = (input, node.drops_late_rows()) {
        node.outputs.push(Output {
            outlet: Some(LATE.to_owned()),
            schema: Arc::clone(&node.input),
            targets: Vec::new(),
        });
        outputs.push(input);
    }
    Some((node, outputs))
}

fn add_group(
    scope: &mut Scope<'_>,
    node: &mut Node,
    spec: &TransformSpec,
    group: &GroupSpec,
    rows: &mut Rows,
) -> Option<()> {
    if !rows.are_facts() {
        scope.faults.push(
            Diagnostic::error(format!(
                "`{}` groups the rows of a running total, which would be counted again each time they change",
                node.name
            ))
            .at(spec.inputs[0].span.clone(), "a running total is above")
            .help(
                "group within one epoch above (over = \"batch\"), or by a window that a watermark closes and that has no \
                 allowed_lateness; or compute both results in one `group_by`",
            ),
        );
        return None;
    }
    let group = build_group(scope, spec, group, rows)?;
    rows.event_times = event_times_of(scope, &group, rows);
    rows.finality = finality_of(&group);
    rows.fires_again = matches!(group.closing, Some(Closing::End(lateness)) if !lateness.is_zero());
    rows.schema = Arc::clone(&group.schema);
    node.barrier = Some(Barrier::Group(Box::new(group)));
    Some(())
}

/// Adds the call of a function. The outlets, when it is a batch handler.
fn add_call(
    scope: &mut Scope<'_>,
    node: &mut Node,
    spec: &TransformSpec,
    call_spec: &CallSpec,
    rows: &mut Rows,
) -> Option<Option<Vec<Outlet>>> {
    let (call, function) = build_call(scope, call_spec, rows, &[Role::Transform, Role::Filter, Role::BatchHandler])?;
    let keep = kept_columns(scope, call_spec, &function, rows)?;
    if let (Some(mode), true) = (&call_spec.mode, function.role != Role::BatchHandler) {
        let fault =
            Diagnostic::error(format!("`mode` does nothing here: `{}` is a {}", call.label, function.role.name()));
        scope.faults.push(fault.at(mode.span.clone(), "only batch handlers and sinks have one"));
        return None;
    }
    match function.role {
        Role::Filter => node.before.push(Step::Filter(call)),
        Role::BatchHandler => {
            let named = format!("batch handler `{}`", spec.name.value);
            node.takes = settle_mode(scope, &named, call_spec.mode.as_ref(), rows)?;
            node.barrier = Some(Barrier::Handle(call));
            return Some(Some(function.outlets));
        }
        _ => {
            let kept = keep.iter().map(|&column| Arc::clone(&rows.schema.fields()[column]));
            let own = function.output.fields().len();
            let fields: Vec<_> = function.output.fields().iter().cloned().chain(kept).collect();
            let schema: SchemaRef = Arc::new(Schema::new(fields));
            let behind = |time: &EventColumn| {
                let position = keep.iter().position(|&column| column == time.column)?;
                Some(EventColumn { column: own + position, ..*time })
            };
            rows.event_times = rows.event_times.iter().filter_map(behind).collect();
            rows.schema = Arc::clone(&schema);
            node.before.push(Step::Transform { call, keep, schema });
        }
    }
    Some(None)
}

/// A batch handler's ways out are its outlets, whose rows are facts of their own.
fn finish_handler(
    scope: &mut Scope<'_>,
    spec: &TransformSpec,
    mut node: Node,
    outlets: Vec<Outlet>,
) -> Option<(Node, Vec<Rows>)> {
    let select = spec.select.as_ref().map(|select| select.first().map_or(spec.name.span.clone(), |s| s.span.clone()));
    let watermark = spec.watermark.as_ref().map(|watermark| watermark.on.span.clone());
    for (key, span) in [("select", select), ("watermark", watermark)] {
        if let Some(span) = span {
            scope.faults.push(
                Diagnostic::error(format!("a batch handler has no `{key}`: its outlets have columns of their own"))
                    .at(span, "")
                    .help(format!("put the `{key}` into a transform behind the outlet")),
            );
            return None;
        }
    }
    let rows = |outlet: &Outlet| Rows {
        schema: Arc::clone(&outlet.columns),
        finality: Finality::Final,
        fires_again: false,
        event_times: Vec::new(),
        watermark: None,
        place: spec.name.span.clone(),
    };
    let outputs = outlets.iter().map(rows).collect();
    let output = |outlet: Outlet| Output { outlet: Some(outlet.name), schema: outlet.columns, targets: Vec::new() };
    node.outputs = outlets.into_iter().map(output).collect();
    Some((node, outputs))
}

/// Where columns of event time are behind a selection: those that it passes on as they are.
fn event_times_behind(columns: &Columns, times: &[EventColumn]) -> Vec<EventColumn> {
    let behind = |(column, expression): (usize, &ScalarExpr)| {
        let time = times.iter().find(|time| expression.plain_column() == Some(time.column))?;
        Some(EventColumn { column, ..*time })
    };
    columns.expressions.iter().enumerate().filter_map(behind).collect()
}

/// Compiles a list of `expression as name`, names all different.
pub(super) fn select_columns(scope: &mut Scope<'_>, list: &[Spanned<String>], input: &Schema) -> Option<Columns> {
    let compiled: Vec<Option<ScalarExpr>> =
        list.iter().map(|sql| compile(scope, sql, |text| ScalarExpr::compile(text, input))).collect();
    let expressions: Vec<ScalarExpr> = compiled.into_iter().collect::<Option<_>>()?;
    let fields: Vec<_> = expressions.iter().map(ScalarExpr::field).collect();
    let mut seen = HashSet::new();
    if let Some(twice) = fields.iter().position(|field| !seen.insert(field.name())) {
        duplicate_column(scope, fields[twice].name(), list[twice].span.clone());
        return None;
    }
    Some(Columns { expressions, schema: Arc::new(Schema::new(fields)) })
}

pub(super) fn duplicate_column(scope: &mut Scope<'_>, name: &str, span: Range<usize>) {
    scope.faults.push(
        Diagnostic::error(format!("two columns would be named `{name}`"))
            .at(span, "the second one")
            .help("name it otherwise with `... as other_name`"),
    );
}

/// Compiles an expression, with its faults shown at its place.
pub(super) fn compile<T>(
    scope: &mut Scope<'_>,
    sql: &Spanned<String>,
    compile: impl FnOnce(&str) -> Result<T, crate::expr::ExprError>,
) -> Option<T> {
    match compile(&sql.value) {
        Ok(compiled) => Some(compiled),
        Err(error) => {
            scope
                .faults
                .push(Diagnostic::error("this expression cannot be used").at(sql.span.clone(), error.to_string()));
            None
        }
    }
}

impl Node {
    fn new(name: &PartName, input: &SchemaRef) -> Self {
        Node {
            name: name.clone(),
            input: Arc::clone(input),
            before: Vec::new(),
            barrier: None,
            after: Vec::new(),
            outputs: Vec::new(),
            watermark: None,
            behind: Duration::ZERO,
            takes: OutputMode::Append,
            modes: BTreeSet::new(),
        }
    }

    /// Notes the watermark of the rows that come to its barrier. What was closed by one watermark cannot be carried on
    /// by another: windows in between would come out twice, or never. So it is part of the layout.
    fn stand_behind(&mut self, watermark: Option<RowsWatermark>) {
        self.behind = watermark.map_or(Duration::ZERO, |watermark| watermark.behind);
        if let (false, Some(barrier)) = (self.behind.is_zero(), &mut self.barrier)
            && barrier.closes()
            && let Some(layout) = barrier.layout_mut()
        {
            layout.value = format!("{} (by a watermark {:?} behind)", layout.value, self.behind);
        }
    }

    /// Whether a watermark makes rows come too late for it.
    pub fn drops_late_rows(&self) -> bool {
        match &self.barrier {
            Some(Barrier::Group(group)) => group.closing.is_some(),
            Some(Barrier::Distinct(distinct)) => distinct.time.is_some(),
            Some(Barrier::Update(update)) => update.time.is_some(),
            _ => false,
        }
    }

    /// Whether somebody takes the rows that come too late for it.
    pub fn takes_late_rows(&self) -> bool {
        self.drops_late_rows() && !self.outputs[1].targets.is_empty()
    }

    /// The columns of its input it reads, by position; none when it may want all of them.
    pub(super) fn columns_read(&self) -> Option<BTreeSet<usize>> {
        let mut columns = BTreeSet::new();
        let mut read =
            |expressions: &[ScalarExpr]| columns.extend(expressions.iter().flat_map(|e| e.columns().to_vec()));
        for step in &self.before {
            match step {
                Step::Where(condition) => read(std::slice::from_ref(condition)),
                Step::Filter(call) => read(&call.arguments.expressions),
                // All columns go on.
                Step::Lookup(_) => return None,
                // From here on the input's columns are no longer to be had.
                Step::Select(selected) => {
                    read(&selected.expressions);
                    return Some(columns);
                }
                Step::Transform { call, keep, .. } => {
                    read(&call.arguments.expressions);
                    columns.extend(keep);
                    return Some(columns);
                }
            }
        }
        match self.barrier.as_ref()? {
            Barrier::Handle(call) => read(&call.arguments.expressions),
            // The whole row goes on.
            Barrier::Distinct(_) | Barrier::Join(_) => return None,
            // So does a late one, if anybody takes it.
            Barrier::Group(_) | Barrier::Update(_) if self.takes_late_rows() => return None,
            Barrier::Update(update) => {
                read(&update.keys.expressions);
                read(&update.call.arguments.expressions);
                columns.extend(update.time);
            }
            Barrier::Group(group) => {
                read(&group.keys.expressions);
                match &group.extent {
                    Extent::Running | Extent::Batch | Extent::Batches(_) => {}
                    Extent::Windows { time, .. } | Extent::Sessions { time, gap: Gap::Fixed(_) } => {
                        read(std::slice::from_ref(time));
                    }
                    Extent::Sessions { time, gap: Gap::PerRow(gap) } => {
                        read(std::slice::from_ref(time));
                        read(std::slice::from_ref(gap));
                    }
                }
                match &group.fold {
                    Fold::Reduce(call, _) => read(&call.arguments.expressions),
                    Fold::Sql(aggregates) => columns.extend(aggregates.iter().flat_map(|a| a.columns().to_vec())),
                }
            }
        }
        Some(columns)
    }
}
