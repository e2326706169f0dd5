//! A join of two streams: which columns must be equal, how far apart in time two rows may be, and what the result is
//! called.

use std::{sync::Arc, time::Duration};

use arrow::datatypes::{Field, Schema};

use super::{
    Columns, Join, Side,
    node::compile,
    scope::{Clock, EventColumn, Finality, Rows, RowsWatermark, Scope},
    time::only_event_time,
};
use crate::{
    checkpoint::{StateKind, StateLayout},
    expr::ScalarExpr,
    manifest::{Diagnostic, JoinSpec, Spanned, TransformSpec},
    model::{describe_schema, type_name},
};

/// Compiles a `join`. Also gives the watermark of what comes in, and says what is known of what comes out.
pub(super) fn build_join(
    scope: &mut Scope<'_>,
    spec: &TransformSpec,
    join: &JoinSpec,
) -> Option<(Join, Option<RowsWatermark>, Rows)> {
    let [left_input, right_input] = spec.inputs.as_slice() else {
        scope.faults.push(
            Diagnostic::error(format!("`{}` joins {} inputs", spec.name.value, spec.inputs.len()))
                .at(join.span.clone(), "a join has two")
                .help("name the left one first: inputs = [\"orders\", \"payments\"]; join a third one in a transform behind"),
        );
        return None;
    };
    let left = scope.union(&spec.name.value, std::slice::from_ref(left_input))?;
    let right = scope.union(&spec.name.value, std::slice::from_ref(right_input))?;
    for (rows, input) in [(&left, left_input), (&right, right_input)] {
        if !rows.are_facts() {
            scope.faults.push(
                Diagnostic::error(format!(
                    "`{}` joins the rows of a running total, which would match again each time they change",
                    spec.name.value
                ))
                .at(input.span.clone(), "no row of this is final")
                .help("join before grouping, or group by a window that a watermark closes"),
            );
            return None;
        }
    }
    if let Some(filter) = &spec.filter {
        scope.faults.push(
            Diagnostic::error("a join has no `where`: of which side would it be?")
                .at(filter.span.clone(), "")
                .help("put it into a transform before the join, or behind it"),
        );
        return None;
    }
    let keys = build_keys(scope, join, &left, &right)?;
    let key_time = key_time(&keys, [&left, &right]);
    let times = build_times(scope, spec, join, [&left, &right], key_time)?;
    let schema =
        joined_schema(&left.schema, &right.schema, [&keys[0], &keys[1]], join.outer, right_input.value.part.as_str());
    let [left_keys, right_keys] = keys;
    let within = join.within.as_ref().map(|within| within.value);
    let layout = StateLayout {
        kind: StateKind::Side,
        keys: left_keys.count(),
        key: describe_schema(&left_keys.schema),
        value: format!("rows of `{}` and of `{}`", describe_schema(&left.schema), describe_schema(&right.schema)),
        columns: String::new(),
        version: 0,
    };
    let side = |keys: Columns, rows: &Rows, time: Option<EventColumn>| Side {
        keys,
        schema: Arc::clone(&rows.schema),
        time: time.map(|time| time.column),
    };
    let kept: Vec<usize> =
        (0..right.schema.fields().len()).filter(|&at| !is_key_of_both(&right_keys, &left_keys, at)).collect();
    let built = Join {
        sides: [side(left_keys, &left, times[0]), side(right_keys, &right, times[1])],
        before: within.and_then(|within| within.before),
        after: within.and_then(|within| within.after),
        key_time,
        outer: join.outer,
        right_columns: kept,
        schema: Arc::clone(&schema),
        layout,
    };
    let above = RowsWatermark::slowest([left.watermark, right.watermark]);
    let watermark = above.map(|above| RowsWatermark { behind: above.behind + built.holds_back(), ..above });
    let event_times = event_times_behind(scope, &built, &left, &right);
    let place = spec.name.span.clone();
    let rows = Rows { schema, finality: Finality::Final, fires_again: false, event_times, watermark, place };
    Some((built, above, rows))
}

/// The columns of event time of both sides, where they stand in the result. Those of the right hold another time than
/// those of the left, even where both sides are of one source.
fn event_times_behind(scope: &mut Scope<'_>, join: &Join, left: &Rows, right: &Rows) -> Vec<EventColumn> {
    let mut times = left.event_times.clone();
    let mut clocks: Vec<(Clock, Clock)> = Vec::new();
    for time in &right.event_times {
        let Some(at) = join.right_columns.iter().position(|&column| column == time.column) else { continue };
        let known = clocks.iter().find(|(of_right, _)| *of_right == time.clock);
        let clock = known.map_or_else(|| scope.new_clock(), |(_, clock)| *clock);
        clocks.push((time.clock, clock));
        times.push(EventColumn { column: left.schema.fields().len() + at, clock, ..*time });
    }
    times
}

impl Join {
    /// How much longer than its input the rows it puts out may be in coming: as long as a row of one side waits for the
    /// other.
    fn holds_back(&self) -> Duration {
        let longest = [0, 1].into_iter().filter_map(|side| self.waits(side)).max().unwrap_or_default();
        Duration::from_micros(u64::try_from(longest).unwrap_or(0))
    }
}

/// The key of each side: `column`, the same on both, or `left = right`.
pub(super) fn build_keys(scope: &mut Scope<'_>, join: &JoinSpec, left: &Rows, right: &Rows) -> Option<[Columns; 2]> {
    let (mut lefts, mut rights) = (Vec::new(), Vec::new());
    for on in &join.on {
        let (left_sql, right_sql) = on.value.split_once('=').unwrap_or((&on.value, &on.value));
        let part = |sql: &str| Spanned { value: sql.trim().to_owned(), span: on.span.clone() };
        let one = compile(scope, &part(left_sql), |sql| ScalarExpr::compile(sql, &left.schema))?;
        let other = compile(scope, &part(right_sql), |sql| ScalarExpr::compile(sql, &right.schema))?;
        let (one_type, other_type) = (one.field().data_type().clone(), other.field().data_type().clone());
        if one_type != other_type {
            scope.faults.push(
                Diagnostic::error(format!(
                    "`{}` is {} on the left and {} on the right, so the two are never equal",
                    on.value,
                    type_name(&one_type),
                    type_name(&other_type)
                ))
                .at(on.span.clone(), "")
                .help("make them the same type in a `select` before, or here: on = [\"cast(left_column as bigint) = right_column\"]"),
            );
            return None;
        }
        lefts.push(one);
        rights.push(other);
    }
    let columns = |expressions: Vec<ScalarExpr>| {
        // The same names on both sides: they are one key.
        let fields = expressions.iter().enumerate();
        let fields = fields.map(|(at, key)| key.field().with_name(format!("key {at}")).with_nullable(true));
        Columns { schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())), expressions }.into_key()
    };
    Some([columns(lefts), columns(rights)])
}

/// The first key that is an event time of the left, or else of the right. What equals it on the other side is as
/// complete.
fn key_time(keys: &[Columns; 2], sides: [&Rows; 2]) -> Option<usize> {
    keys.iter().zip(sides).find_map(|(keys, rows)| {
        let is_time = |column| rows.event_times.iter().any(|time| Some(time.column) == column);
        keys.expressions.iter().position(|key| is_time(key.plain_column()))
    })
}

/// The column of event time of each side, which a bound in time needs.
fn build_times(
    scope: &mut Scope<'_>,
    spec: &TransformSpec,
    join: &JoinSpec,
    sides: [&Rows; 2],
    key_time: Option<usize>,
) -> Option<[Option<EventColumn>; 2]> {
    let mut times = [None; 2];
    for (at, rows) in sides.into_iter().enumerate() {
        times[at] = only_event_time(scope, &spec.name.value, spec.inputs[at].span.clone(), rows)?;
    }
    let ends = join.within.as_ref().is_some_and(|within| within.value.after.is_some());
    if join.outer && key_time.is_none() && !ends {
        scope.faults.push(
            Diagnostic::error(format!(
                "`{}` keeps rows of the left that match nothing, but nothing says when to give up waiting for a match",
                spec.name.value
            ))
            .at(join.span.clone(), "")
            .help(
                "add a bound in time: within = \"10m\", or within = { before = \"0s\", after = \"10m\" }; or a key that is an event \
                 time, such as the end of a window",
            ),
        );
        return None;
    }
    if let (Some(within), Some(at)) = (&join.within, times.iter().position(Option::is_none)) {
        scope.faults.push(
            Diagnostic::error(format!(
                "`{}` is bounded in time, but the rows of `{}` have no watermark",
                spec.name.value, spec.inputs[at].value
            ))
            .at(within.span.clone(), "within of what?")
            .also(spec.inputs[at].span.clone(), "no watermark")
            .help("put `watermark = { on = \"COLUMN\", delay = \"10m\" }` on both inputs"),
        );
        return None;
    }
    Some(times)
}

/// Whether a column of the right is a key that has the same name on the left: it stands in the result once.
pub(super) fn is_key_of_both(right: &Columns, left: &Columns, column: usize) -> bool {
    let pairs = left.expressions.iter().zip(&right.expressions);
    { pairs }.any(|(one, other)| {
        other.plain_column() == Some(column)
            && one.plain_column().is_some()
            && one.field().name() == other.field().name()
    })
}

/// The columns of the left, then those of the right; a right one whose name is taken has the name of its input in
/// front.
pub(super) fn joined_schema(
    left: &Arc<Schema>,
    right: &Arc<Schema>,
    [left_keys, right_keys]: [&Columns; 2],
    outer: bool,
    right_name: &str,
) -> Arc<Schema> {
    let mut fields: Vec<Field> = left.fields().iter().map(|field| field.as_ref().clone()).collect();
    for (at, field) in right.fields().iter().enumerate() {
        if is_key_of_both(right_keys, left_keys, at) {
            continue;
        }
        let taken = left.index_of(field.name()).is_ok();
        let name = if taken { format!("{right_name}_{}", field.name()) } else { field.name().clone() };
        let nullable = field.is_nullable() || outer;
        fields.push(field.as_ref().clone().with_name(name).with_nullable(nullable));
    }
    Arc::new(Schema::new(fields))
}
