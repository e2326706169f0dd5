//! One transform of the manifest: its conditions, its operation and its selection, compiled in that order.

use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
    sync::Arc,
};

use arrow::datatypes::{Schema, SchemaRef};

use super::{
    Barrier, Columns, Fold, Node, Output, Step,
    call::{build_call, kept_columns},
    group::build_group,
    scope::{Rows, Scope},
};
use crate::{
    expr::ScalarExpr,
    manifest::{CallSpec, Diagnostic, Operation, Over, Spanned, TransformSpec},
    ports::Role,
};

/// Compiles a transform. Also says whether its rows may replace earlier ones. None when something in it is at fault.
pub(super) fn build_node(scope: &mut Scope<'_>, spec: &TransformSpec) -> Option<(Node, bool)> {
    let rows = scope.union(&spec.name.value, &spec.inputs)?;
    let mut node = Node {
        name: spec.name.value.clone(),
        input: Arc::clone(&rows.schema),
        before: Vec::new(),
        barrier: None,
        after: Vec::new(),
        outputs: vec![Output::only(Arc::clone(&rows.schema))],
        modes: BTreeSet::new(),
    };
    let mut changing = rows.changing;
    if let Some(condition) = &spec.filter {
        node.before
            .push(Step::Where(compile(scope, condition, |sql| ScalarExpr::compile_condition(sql, &rows.schema))?));
    }
    match &spec.operation {
        None => {}
        Some(Operation::Call(call)) => add_call(scope, &mut node, call, &rows)?,
        Some(Operation::Group(group)) => {
            if rows.changing {
                scope.faults.push(
                    Diagnostic::error(format!(
                        "`{}` groups the rows of a running total, which would be counted again each time they change",
                        node.name
                    ))
                    .at(spec.inputs[0].span.clone(), "a running total is above")
                    .help("group within one epoch above (over = \"batch\"), or compute both results in one `group_by`"),
                );
                return None;
            }
            changing = group.over == Over::All;
            let group = build_group(scope, group, &rows)?;
            node.outputs = vec![Output::only(Arc::clone(&group.schema))];
            node.barrier = Some(Barrier::Group(group));
        }
    }
    if let Some(select) = &spec.select {
        if node.outputs.iter().any(|output| output.outlet.is_some()) {
            let span = select.first().map_or(spec.name.span.clone(), |first| first.span.clone());
            scope.faults.push(
                Diagnostic::error("a batch handler has no `select`: its outlets have columns of their own")
                    .at(span, "")
                    .help("put the `select` into a transform behind the outlet"),
            );
            return None;
        }
        let columns = select_columns(scope, select, &node.outputs[0].schema)?;
        node.outputs = vec![Output::only(Arc::clone(&columns.schema))];
        let steps = if node.barrier.is_some() { &mut node.after } else { &mut node.before };
        steps.push(Step::Select(columns));
    }
    Some((node, changing))
}

fn add_call(scope: &mut Scope<'_>, node: &mut Node, spec: &CallSpec, rows: &Rows) -> Option<()> {
    let (call, function) = build_call(scope, spec, rows, &[Role::Transform, Role::Filter, Role::BatchHandler])?;
    let keep = kept_columns(scope, spec, &function, rows)?;
    match function.role {
        Role::Filter => node.before.push(Step::Filter(call)),
        Role::BatchHandler => {
            let outlet = |outlet: &crate::ports::Outlet| Output {
                outlet: Some(outlet.name.clone()),
                schema: Arc::clone(&outlet.columns),
                targets: Vec::new(),
            };
            node.outputs = function.outlets.iter().map(outlet).collect();
            node.barrier = Some(Barrier::Handle(call));
        }
        _ => {
            let kept = keep.iter().map(|&column| Arc::clone(&rows.schema.fields()[column]));
            let fields: Vec<_> = function.output.fields().iter().cloned().chain(kept).collect();
            let schema: SchemaRef = Arc::new(Schema::new(fields));
            node.outputs = vec![Output::only(Arc::clone(&schema))];
            node.before.push(Step::Transform { call, keep, schema });
        }
    }
    Some(())
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
    /// The columns of its input it reads, by position; none when it may want all of them.
    pub(super) fn columns_read(&self) -> Option<BTreeSet<usize>> {
        let mut columns = BTreeSet::new();
        let mut read =
            |expressions: &[ScalarExpr]| columns.extend(expressions.iter().flat_map(|e| e.columns().to_vec()));
        for step in &self.before {
            match step {
                Step::Where(condition) => read(std::slice::from_ref(condition)),
                Step::Filter(call) => read(&call.arguments.expressions),
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
            Barrier::Group(group) => {
                read(&group.keys.expressions);
                match &group.fold {
                    Fold::Reduce(call, _) => read(&call.arguments.expressions),
                    Fold::Sql(aggregates) => columns.extend(aggregates.iter().flat_map(|a| a.columns().to_vec())),
                }
            }
        }
        Some(columns)
    }
}
