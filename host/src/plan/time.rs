//! Event time in the plan: watermarks where they are declared, and the column that says when a row happened.

use std::{ops::Range, time::Duration};

use arrow::datatypes::{DataType, Schema};

use super::{
    WatermarkNode,
    node::compile,
    scope::{EventColumn, Rows, RowsWatermark, Scope},
};
use crate::{
    expr::ScalarExpr,
    manifest::{Diagnostic, Spanned, WatermarkSpec},
    model::{PartName, describe_schema, nearest, type_name},
    watermark::Lateness,
};

/// The name by which a group refers to the windows of the rows that come in.
const WINDOW: &str = "window";

/// The columns of a window.
pub(super) const START: &str = "window_start";
pub(super) const END: &str = "window_end";

/// Puts a watermark on rows: which it is, by position in the plan. None when it does not fit.
pub(super) fn put_watermark(
    scope: &mut Scope<'_>,
    part: &PartName,
    spec: &WatermarkSpec,
    rows: &mut Rows,
) -> Option<usize> {
    let column = expect_column(scope, &spec.on, &rows.schema)?;
    expect_timestamp(scope, &spec.on.value, rows.schema.field(column).data_type(), spec.on.span.clone())?;
    let per = match &spec.per {
        Some(per) => Some(expect_column(scope, per, &rows.schema)?),
        None => None,
    };
    rows.event_times = vec![EventColumn { column, delay: spec.delay, clock: scope.new_clock() }];
    rows.watermark = Some(RowsWatermark { delay: spec.delay, behind: Duration::ZERO });
    let lateness = Lateness { delay: spec.delay, idle: spec.idle };
    scope.watermarks.push(WatermarkNode { part: part.clone(), column, per, lateness });
    Some(scope.watermarks.len() - 1)
}

/// The column of this name, which must be there.
pub(super) fn expect_column(scope: &mut Scope<'_>, name: &Spanned<String>, schema: &Schema) -> Option<usize> {
    let found = schema.index_of(&name.value).ok();
    if found.is_none() {
        let near = nearest(&name.value, schema.fields().iter().map(|field| field.name().as_str()));
        let label = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
        scope.faults.push(
            Diagnostic::error(format!("there is no column `{}`", name.value))
                .at(name.span.clone(), label)
                .help(format!("the rows have `{}`", describe_schema(schema))),
        );
    }
    found
}

pub(super) fn expect_timestamp(
    scope: &mut Scope<'_>,
    sql: &str,
    data_type: &DataType,
    place: Range<usize>,
) -> Option<()> {
    if matches!(data_type, DataType::Timestamp(..)) {
        return Some(());
    }
    let help = match data_type {
        DataType::Int32 | DataType::Int64 => {
            format!("make one of it in a `select` before: to_timestamp_micros({sql}) as time")
        }
        _ => format!("make one of it in a `select` before: cast({sql} as timestamp) as time"),
    };
    scope.faults.push(
        Diagnostic::error(format!("event time is a timestamp, but `{sql}` is {}", type_name(data_type)))
            .at(place, "")
            .help(help),
    );
    None
}

/// Compiles the event time of a group, and says which of the watermarks above, if any, tells when it is complete.
pub(super) fn event_time(
    scope: &mut Scope<'_>,
    on: &Spanned<String>,
    rows: &Rows,
) -> Option<(ScalarExpr, Option<EventColumn>)> {
    let of_window = on.value == WINDOW && rows.schema.index_of(WINDOW).is_err();
    if let (true, Ok(end)) = (of_window, rows.schema.index_of(END)) {
        // The last moment of the window: its end belongs to the next one.
        let last = format!("{END} - interval '1 microsecond'");
        let time = compile(scope, &Spanned { value: last, span: on.span.clone() }, |sql| {
            ScalarExpr::compile(sql, &rows.schema)
        })?;
        return Some((time, rows.event_times.iter().copied().find(|time| time.column == end)));
    }
    let time = compile(scope, on, |sql| ScalarExpr::compile(sql, &rows.schema))?;
    expect_timestamp(scope, &on.value, time.field().data_type(), on.span.clone())?;
    let watermarked =
        time.plain_column().and_then(|column| rows.event_times.iter().copied().find(|t| t.column == column));
    Some((time, watermarked))
}

/// The column by whose event time the rows of a part are late; none where there is none. Of two that hold different
/// times it must be said which one counts, as in Spark: a row might be in time by one and late by the other.
pub(super) fn only_event_time(
    scope: &mut Scope<'_>,
    part: &PartName,
    place: Range<usize>,
    rows: &Rows,
) -> Option<Option<EventColumn>> {
    match rows.event_times.as_slice() {
        [first, others @ ..] => {
            let other = others.iter().find(|other| other.clock != first.clock);
            other
                .is_none_or(|other| refuse_two_event_times(scope, part, place, rows, [first, other]))
                .then_some(Some(*first))
        }
        [] => Some(None),
    }
}

/// Says that two columns cannot both be the event time. Gives false, for the sake of those who ask.
pub(super) fn refuse_two_event_times(
    scope: &mut Scope<'_>,
    part: &PartName,
    place: Range<usize>,
    rows: &Rows,
    times: [&EventColumn; 2],
) -> bool {
    let [one, other] = times.map(|time| rows.schema.field(time.column).name());
    scope.faults.push(
        Diagnostic::error(format!("the rows for `{part}` have two event times, `{one}` and `{other}`"))
            .at(place, "by which of them is a row late?")
            .help(format!(
                "leave one out with a `select` before, or make a plain column of it: \"{other} + interval '0 seconds' as {other}\""
            )),
    );
    false
}
