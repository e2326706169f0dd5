//! The first row of each key: which columns make the key, and when it may be forgotten.

use super::{
    Distinct, Forget,
    node::select_columns,
    scope::{Rows, Scope},
    time::only_event_time,
};
use crate::{
    checkpoint::{StateKind, StateLayout},
    manifest::{Diagnostic, DistinctSpec, Spanned, TransformSpec},
    model::describe_schema,
};

/// Compiles a `drop_duplicates`.
pub(super) fn build_distinct(
    scope: &mut Scope<'_>,
    spec: &TransformSpec,
    distinct: &DistinctSpec,
    rows: &Rows,
) -> Option<Distinct> {
    if !rows.are_facts() {
        scope.faults.push(
            Diagnostic::error(format!(
                "`{}` drops duplicates among rows that change: the first version of each would stay for ever",
                spec.name.value
            ))
            .at(spec.inputs[0].span.clone(), "no row of this is final")
            .help("drop duplicates before grouping, or put a watermark on the input so that groups are closed"),
        );
        return None;
    }
    let all: Vec<Spanned<String>>;
    let by = match distinct.by.as_slice() {
        [] => {
            let quoted = rows.schema.fields().iter().map(|field| format!("\"{}\"", field.name().replace('"', "\"\"")));
            all = quoted.map(|value| Spanned { value, span: spec.name.span.clone() }).collect();
            &all
        }
        by => by,
    };
    let keys = select_columns(scope, by, &rows.schema)?.into_key();
    let time = only_event_time(scope, &spec.name.value, spec.inputs[0].span.clone(), rows)?;
    let forget = match (distinct.within_watermark, time) {
        (true, None) => {
            scope.faults.push(
                Diagnostic::error(format!(
                    "`{}` forgets keys by the watermark, but none of its inputs has one",
                    spec.name.value
                ))
                .at(spec.inputs[0].span.clone(), "no watermark")
                .help("put `watermark = { on = \"COLUMN\", delay = \"10m\" }` on the source"),
            );
            return None;
        }
        (true, Some(time)) => Some(Forget::After(time.delay)),
        (false, Some(time)) => {
            keys.expressions.iter().position(|key| key.plain_column() == Some(time.column)).map(Forget::Key)
        }
        (false, None) => None,
    };
    let value = match forget {
        Some(Forget::After(_)) => "seen, and until when",
        _ => "seen",
    };
    let layout = StateLayout {
        kind: StateKind::Key,
        keys: keys.count(),
        key: describe_schema(&keys.schema),
        value: value.to_owned(),
        columns: String::new(),
        version: 0,
    };
    Some(Distinct { keys, forget, time: time.map(|time| time.column), layout })
}
