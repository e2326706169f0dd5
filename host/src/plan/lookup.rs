//! A join of a stream with a table of the manifest.

use std::sync::Arc;

use super::{
    Lookup, LookupStep, Step,
    join::{build_keys, is_key_of_both, joined_schema},
    scope::{Rows, Scope},
};
use crate::{
    expr::ScalarExpr,
    manifest::{Diagnostic, JoinSpec, Spanned, TransformSpec},
};

/// Compiles a `join` with a table, and says what is known of the rows behind it.
pub(super) fn build_lookup(
    scope: &mut Scope<'_>,
    spec: &TransformSpec,
    join: &JoinSpec,
    table: &Spanned<String>,
    rows: &mut Rows,
) -> Option<Step> {
    if let Some(within) = &join.within {
        scope.faults.push(
            Diagnostic::error(format!("`{}` joins a table, whose rows have no time", spec.name.value))
                .at(within.span.clone(), "within of what?")
                .help("take `within` out; a row is joined with the table as it is in its epoch"),
        );
        return None;
    }
    let at = scope.manifest.tables.iter().position(|known| known.name == table.value)?;
    let table_rows =
        Rows { schema: Arc::clone(&scope.tables[at]), event_times: Vec::new(), watermark: None, ..rows.clone() };
    let [keys, table_keys] = build_keys(scope, join, rows, &table_rows)?;
    if let Some(timed) = table_keys.expressions.iter().position(ScalarExpr::is_timed) {
        scope.faults.push(
            Diagnostic::error(format!(
                "`{}` joins a table by the time, but a table is read once and stays as it is for many epochs",
                spec.name.value
            ))
            .at(join.on[timed].span.clone(), "asks for the time on the side of the table")
            .help("compute with the time on the side of the stream"),
        );
        return None;
    }
    let schema = joined_schema(&rows.schema, &table_rows.schema, [&keys, &table_keys], join.outer, &table.value);
    let all = 0..table_rows.schema.fields().len();
    let columns = all.filter(|&column| !is_key_of_both(&table_keys, &keys, column)).collect();
    scope.lookups.push(Lookup { table: at, keys: table_keys });
    let lookup = scope.lookups.len() - 1;
    rows.schema = Arc::clone(&schema);
    Some(Step::Lookup(LookupStep { lookup, keys, columns, outer: join.outer, schema }))
}
