//! A grouped aggregation: keys and what is folded for each of them.

use std::{sync::Arc, time::Duration};

use arrow::datatypes::{DataType, Field, Schema};

use super::{
    Batches, Closing, Columns, Extent, Fold, Gap, Group,
    call::build_call,
    node::{compile, duplicate_column, select_columns},
    scope::{EventColumn, Finality, Rows, Scope},
    time::{END, START, event_time, refuse_two_event_times},
};
use crate::{
    checkpoint::{StateKind, StateLayout},
    expr::{AggregateExpr, ScalarExpr},
    manifest::{self, Aggregate, Diagnostic, GroupSpec, Spanned, TransformSpec},
    model::{describe_schema, timestamp_type, type_name},
    ports::Role,
    window::Windows,
};

/// Compiles a grouped aggregation.
pub(super) fn build_group(
    scope: &mut Scope<'_>,
    spec: &TransformSpec,
    group: &GroupSpec,
    rows: &Rows,
) -> Option<Group> {
    let keys = select_columns(scope, &group.by, &rows.schema)?.into_key();
    let (fold, results, value) = build_fold(scope, &group.aggregate, rows)?;
    let (extent, closing) = build_extent(scope, spec, group, &keys, &fold, rows)?;
    let window = match extent {
        Extent::Windows { .. } | Extent::Sessions { .. } => [START, END].as_slice(),
        Extent::Running | Extent::Batch | Extent::Batches(_) => &[],
    };
    let window_fields: Vec<Field> = window.iter().map(|name| Field::new(*name, timestamp_type(), false)).collect();
    let key_fields = keys.schema.fields().iter().map(|field| field.as_ref().clone());
    let fields: Vec<Field> = window_fields.iter().cloned().chain(key_fields).chain(results).collect();
    let twice =
        fields.iter().enumerate().find(|(at, f)| fields[..*at].iter().any(|earlier| earlier.name() == f.name()));
    if let Some((at, field)) = twice {
        let at = at - window.len();
        let place = match &group.aggregate {
            _ if at < group.by.len() => group.by[at].span.clone(),
            Aggregate::Sql(list) => list[at - group.by.len()].0.span.clone(),
            Aggregate::Reduce(call) => call.function.span.clone(),
        };
        duplicate_column(scope, field.name(), place);
        return None;
    }
    let key_fields = window_fields.iter().cloned().chain(keys.schema.fields().iter().map(|f| f.as_ref().clone()));
    let key = describe_schema(&Schema::new(key_fields.collect::<Vec<_>>()));
    let schema = Arc::new(Schema::new(fields));
    let extent = with_condition(scope, extent, &group.extent, &schema)?;
    let columns = match &fold {
        Fold::Sql(aggregates) => describe_columns(aggregates.iter().flat_map(AggregateExpr::state_fields)),
        Fold::Reduce(..) => String::new(),
    };
    let kind = match extent {
        Extent::Running | Extent::Batch => StateKind::Key,
        Extent::Batches(_) => StateKind::Batch,
        Extent::Windows { .. } => StateKind::Window,
        Extent::Sessions { .. } => StateKind::Session,
    };
    let key = format!("{key}{}", describe_extent(&group.extent));
    let layout = StateLayout { kind, keys: keys.count(), key, value, columns, version: 0 };
    Some(Group { keys, fold, extent, closing, layout, schema })
}

/// Adds the condition on which keys stay, which speaks of the columns of the result.
fn with_condition(
    scope: &mut Scope<'_>,
    mut extent: Extent,
    spec: &manifest::Extent,
    schema: &Schema,
) -> Option<Extent> {
    if let (Extent::Batches(batches), manifest::Extent::Batches(spec)) = (&mut extent, spec)
        && let Some(keep) = &spec.keep
    {
        batches.keep = Some(compile(scope, keep, |sql| ScalarExpr::compile_condition(sql, schema))?);
    }
    Some(extent)
}

fn build_fold(scope: &mut Scope<'_>, aggregate: &Aggregate, rows: &Rows) -> Option<(Fold, Vec<Field>, String)> {
    match aggregate {
        Aggregate::Sql(list) => {
            let compiled: Vec<Option<AggregateExpr>> = list
                .iter()
                .map(|(name, sql)| compile(scope, sql, |text| AggregateExpr::compile(&name.value, text, &rows.schema)))
                .collect();
            let aggregates: Vec<AggregateExpr> = compiled.into_iter().collect::<Option<_>>()?;
            let results: Vec<Field> = aggregates.iter().map(AggregateExpr::field).collect();
            let value = list.iter().map(|(name, sql)| format!("{} = {}", name.value, sql.value));
            let value = value.collect::<Vec<_>>().join(", ");
            Some((Fold::Sql(aggregates), results, value))
        }
        Aggregate::Reduce(call) => {
            let (call, function) = build_call(scope, call, rows, &[Role::Reducer])?;
            let results = function.output.fields().iter().map(|field| field.as_ref().clone()).collect();
            let value = format!("{} version {}", call.label, function.state_version);
            Some((Fold::Reduce(call, function.output), results, value))
        }
    }
}

/// How far back groups reach, and what closes them.
fn build_extent(
    scope: &mut Scope<'_>,
    spec: &TransformSpec,
    group: &GroupSpec,
    keys: &Columns,
    fold: &Fold,
    rows: &Rows,
) -> Option<(Extent, Option<Closing>)> {
    let lateness = group.allowed_lateness.as_ref().map_or(Duration::ZERO, |lateness| lateness.value);
    let (extent, closing) = match &group.extent {
        manifest::Extent::All => {
            let place_of =
                |time: &EventColumn| keys.expressions.iter().position(|key| key.plain_column() == Some(time.column));
            let times: Vec<&EventColumn> = rows.event_times.iter().filter(|time| place_of(time).is_some()).collect();
            if let Some(other) = times.iter().find(|time| time.clock != times[0].clock) {
                refuse_two_event_times(scope, &spec.name.value, group.by[0].span.clone(), rows, [times[0], other]);
                return None;
            }
            (Extent::Running, times.first().and_then(|time| place_of(time)).map(Closing::Key))
        }
        manifest::Extent::Batch => (Extent::Batch, None),
        manifest::Extent::Batches(spec) => (Extent::Batches(build_batches(scope, group, spec, fold)?), None),
        manifest::Extent::Window(window) => {
            let (time, watermark) = event_time(scope, &window.on, rows)?;
            let windows = Windows::new(window.size, window.slide, window.offset)
                .expect("the manifest has a slide of more than nothing and at most the size");
            (Extent::Windows { time, windows }, watermark.map(|_| Closing::End(lateness)))
        }
        manifest::Extent::Session(session) => {
            if group.by.is_empty() {
                scope.faults.push(
                    Diagnostic::error(format!("`{}` has sessions without a key", spec.name.value))
                        .at(session.on.span.clone(), "sessions of what?")
                        .help("add a key, such as group_by = [\"user\"]; all rows together would be one session without end"),
                );
                return None;
            }
            let (time, watermark) = event_time(scope, &session.on, rows)?;
            let gap = match &session.gap {
                manifest::Gap::Fixed(gap) => Gap::Fixed(*gap),
                manifest::Gap::PerRow(sql) => Gap::PerRow(build_gap(scope, sql, rows)?),
            };
            (Extent::Sessions { time, gap }, watermark.map(|_| Closing::End(lateness)))
        }
    };
    if let (Some(lateness), None) = (&group.allowed_lateness, closing) {
        scope.faults.push(
            Diagnostic::error(format!("`{}` allows late rows, but no watermark says which are late", spec.name.value))
                .at(lateness.span.clone(), "")
                .help("put `watermark = { on = \"COLUMN\", delay = \"10m\" }` on the source and window by that column"),
        );
        return None;
    }
    Some((extent, closing))
}

fn build_batches(
    scope: &mut Scope<'_>,
    group: &GroupSpec,
    spec: &manifest::BatchesSpec,
    fold: &Fold,
) -> Option<Batches> {
    let retracts = match (fold, &group.aggregate) {
        (Fold::Reduce(call, _), Aggregate::Reduce(_)) => scope.retracts(call),
        _ => false,
    };
    if spec.inverse && !retracts {
        scope.faults.push(
            Diagnostic::error(
                "the inverse of this aggregation is not known, so what leaves a window cannot be taken out",
            )
            .at(spec.span.clone(), "inverse = true")
            .help("take a reducer with a `retract` function, or leave `inverse` out: then each window is merged anew"),
        );
        return None;
    }
    Some(Batches { size: spec.size, slide: spec.slide, inverse: spec.inverse, keep: None })
}

fn build_gap(scope: &mut Scope<'_>, sql: &Spanned<String>, rows: &Rows) -> Option<ScalarExpr> {
    let gap = compile(scope, sql, |text| ScalarExpr::compile(text, &rows.schema))?;
    let data_type = gap.field().data_type().clone();
    if !data_type.is_numeric() {
        scope.faults.push(
            Diagnostic::error(format!(
                "a gap is a duration or a number of seconds, but this is {}",
                type_name(&data_type)
            ))
            .at(sql.span.clone(), "")
            .help("write gap = \"30s\", or an expression such as \"case when kind = 'slow' then 60 else 5 end\""),
        );
        return None;
    }
    Some(gap.cast(&DataType::Float64))
}

/// What of an extent the columns of the key do not tell, but the meaning of the state depends on.
fn describe_extent(extent: &manifest::Extent) -> String {
    match extent {
        manifest::Extent::All | manifest::Extent::Batch => String::new(),
        manifest::Extent::Batches(batches) => {
            let inverse = if batches.inverse { " with inverse" } else { "" };
            format!(" (the last {} batches every {}{inverse})", batches.size, batches.slide)
        }
        manifest::Extent::Window(window) => {
            format!(
                " (windows of {:?} every {:?} from {} us on {})",
                window.size, window.slide, window.offset, window.on.value
            )
        }
        manifest::Extent::Session(session) => format!(" (sessions on {})", session.on.value),
    }
}

/// The columns of a group's result that hold event time.
pub(super) fn event_times_of(scope: &mut Scope<'_>, group: &Group, rows: &Rows) -> Vec<EventColumn> {
    // All watermarks of a pipeline move together, so any delay above will do.
    let Some(delay) = rows.event_times.first().map(|time| time.delay) else { return Vec::new() };
    let column = match group.closing {
        // A window is known when it ends. Its start lies behind the watermark by then: rows would be late by it.
        Some(Closing::End(_)) => 1,
        Some(Closing::Key(column)) => column,
        None => return Vec::new(),
    };
    vec![EventColumn { column, delay, clock: scope.new_clock() }]
}

/// Whether the rows of a group's result may be replaced by later ones.
pub(super) fn finality_of(group: &Group) -> Finality {
    match (&group.extent, group.closing) {
        (Extent::Batch | Extent::Batches(_), _) => Finality::Final,
        (Extent::Sessions { .. }, closing) => Finality::Sessions { closing: closing.is_some() },
        (_, Some(_)) => Finality::Closing,
        (_, None) => Finality::Changing,
    }
}

fn describe_columns(fields: impl Iterator<Item = Field>) -> String {
    fields.map(|field| format!("{}: {}", field.name(), field.data_type())).collect::<Vec<_>>().join(", ")
}
