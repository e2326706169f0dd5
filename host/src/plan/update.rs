//! A function with a state per key: its key read from the `group_by` columns, its rows from the input's.

use std::sync::Arc;

use arrow::datatypes::Schema;

use super::{
    Columns, Update,
    call::build_call,
    node::select_columns,
    scope::{EventColumn, Finality, Rows, Scope},
    time::{expect_column, expect_timestamp, only_event_time},
};
use crate::{
    checkpoint::{StateKind, StateLayout},
    manifest::{Diagnostic, Spanned, TransformSpec, UpdateSpec},
    model::{describe_schema, type_name},
    ports::Role,
};

/// Compiles an `update`, and says what is known of its rows.
pub(super) fn build_update(
    scope: &mut Scope<'_>,
    spec: &TransformSpec,
    update: &UpdateSpec,
    rows: &Rows,
) -> Option<(Update, Rows)> {
    if !rows.are_facts() {
        scope.faults.push(
            Diagnostic::error(format!(
                "`{}` keeps state of the rows of a running total, which would come again each time they change",
                spec.name.value
            ))
            .at(spec.inputs[0].span.clone(), "a running total is above")
            .help("read the rows from before they are grouped, or group by a window that a watermark closes"),
        );
        return None;
    }
    let grouped = select_columns(scope, &update.by, &rows.schema)?.into_key();
    let (call, function) = build_call(scope, &update.call, rows, &[Role::KeyedState])?;
    let mut keys = Vec::with_capacity(function.key.fields().len());
    for wanted in function.key.fields() {
        let found = grouped.expressions.iter().find(|key| key.field().name() == wanted.name());
        match found {
            Some(key) if key.field().data_type() == wanted.data_type() => keys.push(key.clone()),
            _ => {
                let label = &call.label;
                let wants = describe_schema(&function.key);
                scope.faults.push(
                    Diagnostic::error(format!(
                        "`{label}` keeps its state by `{wants}`, but the rows are grouped by `{}`",
                        describe_schema(&grouped.schema)
                    ))
                    .at(update.call.function.span.clone(), format!("wants `{wants}`"))
                    .also(update.by.first().map_or(spec.name.span.clone(), |key| key.span.clone()), "")
                    .help(format!(
                        "make a column `{}` of type {}: group_by = [\"cast(... as ...) as {}\"]",
                        wanted.name(),
                        type_name(wanted.data_type()),
                        wanted.name()
                    )),
                );
                return None;
            }
        }
    }
    if grouped.expressions.len() > keys.len() {
        scope.faults.push(
            Diagnostic::error(format!(
                "the rows are grouped by `{}`, but `{}` keeps its state by `{}` alone",
                describe_schema(&grouped.schema),
                call.label,
                describe_schema(&function.key)
            ))
            .at(update.by[0].span.clone(), "")
            .help("take the other columns out of group_by; the function gets them as columns of its rows"),
        );
        return None;
    }
    let time = only_event_time(scope, &spec.name.value, spec.inputs[0].span.clone(), rows)?;
    let event_time = match &update.event_time {
        Some(column) => Some(event_time_of_output(scope, spec, column, &function.output, rows)?),
        None => None,
    };
    let keys = Columns { expressions: keys, schema: Arc::clone(&function.key) };
    // Keys and columns may have the same names, so keys are known by their place.
    let key_fields = keys.expressions.iter().enumerate();
    let key_fields = key_fields.map(|(at, key)| key.field().with_name(format!("key {at}")).with_nullable(true));
    let fields = key_fields.chain(call.arguments.schema.fields().iter().map(|field| field.as_ref().clone()));
    let layout = StateLayout {
        kind: StateKind::Function,
        keys: keys.count(),
        key: describe_schema(&keys.schema),
        value: format!("the state of {}", call.label),
        columns: String::new(),
        version: function.state_version,
    };
    let update = Update {
        shuffled: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        keys,
        call,
        version: function.state_version,
        visit_all: update.visit_all,
        time: time.map(|time| time.column),
        event_time: event_time.map(|time| time.column),
        layout,
    };
    let rows = Rows {
        schema: function.output,
        finality: Finality::Final,
        fires_again: false,
        event_times: Vec::from_iter(event_time),
        ..rows.clone()
    };
    Some((update, rows))
}

/// The column of the function's rows that holds their event time. It is complete by the watermark of the rows that come
/// in, so there must be one.
fn event_time_of_output(
    scope: &mut Scope<'_>,
    spec: &TransformSpec,
    column: &Spanned<String>,
    output: &Schema,
    rows: &Rows,
) -> Option<EventColumn> {
    let position = expect_column(scope, column, output)?;
    expect_timestamp(scope, &column.value, output.field(position).data_type(), column.span.clone())?;
    let Some(watermark) = rows.watermark else {
        scope.faults.push(
            Diagnostic::error(format!(
                "`{}` puts out rows with an event time, but nothing says how far that of its input is complete",
                spec.name.value
            ))
            .at(column.span.clone(), "")
            .also(spec.inputs[0].span.clone(), "no watermark")
            .help("put `watermark = { on = \"COLUMN\", delay = \"10m\" }` on the input"),
        );
        return None;
    };
    Some(EventColumn { column: position, delay: watermark.delay, clock: scope.new_clock() })
}
