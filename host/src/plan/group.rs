//! A grouped aggregation: keys and what is folded for each of them.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};

use super::{
    Fold, Group,
    call::build_call,
    node::{compile, duplicate_column, select_columns},
    scope::{Rows, Scope},
};
use crate::{
    checkpoint::StateLayout,
    expr::AggregateExpr,
    manifest::{Aggregate, GroupSpec},
    model::describe_schema,
    ports::Role,
};

/// Compiles a grouped aggregation.
pub(super) fn build_group(scope: &mut Scope<'_>, spec: &GroupSpec, rows: &Rows) -> Option<Group> {
    let keys = select_columns(scope, &spec.by, &rows.schema)?;
    let (fold, results, value) = match &spec.aggregate {
        Aggregate::Sql(list) => {
            let compiled: Vec<Option<AggregateExpr>> = list
                .iter()
                .map(|(name, sql)| compile(scope, sql, |text| AggregateExpr::compile(&name.value, text, &rows.schema)))
                .collect();
            let aggregates: Vec<AggregateExpr> = compiled.into_iter().collect::<Option<_>>()?;
            let results: Vec<Field> = aggregates.iter().map(AggregateExpr::field).collect();
            let value = list.iter().map(|(name, sql)| format!("{} = {}", name.value, sql.value));
            let value = value.collect::<Vec<_>>().join(", ");
            (Fold::Sql(aggregates), results, value)
        }
        Aggregate::Reduce(call) => {
            let (call, function) = build_call(scope, call, rows, &[Role::Reducer])?;
            let results = function.output.fields().iter().map(|field| field.as_ref().clone()).collect();
            let value = format!("{} version {}", call.label, function.state_version);
            (Fold::Reduce(call, function.output), results, value)
        }
    };
    let key_fields = keys.schema.fields().iter().map(|field| field.as_ref().clone());
    let fields: Vec<Field> = key_fields.chain(results).collect();
    let twice =
        fields.iter().enumerate().find(|(at, f)| fields[..*at].iter().any(|earlier| earlier.name() == f.name()));
    if let Some((at, field)) = twice {
        // Keys were checked among themselves, so it is a result.
        let place = match &spec.aggregate {
            Aggregate::Sql(list) => list[at - keys.schema.fields().len()].0.span.clone(),
            Aggregate::Reduce(call) => call.function.span.clone(),
        };
        duplicate_column(scope, field.name(), place);
        return None;
    }
    let layout = StateLayout { key: describe_schema(&keys.schema), value };
    Some(Group { keys, fold, over: spec.over, layout, schema: Arc::new(Schema::new(fields)) })
}
