//! A call of a plugin's function: found, its config checked, its columns read from the input's.

use std::{ops::Range, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema};

use super::{
    Call, Columns,
    node::{compile, duplicate_column},
    scope::{Rows, Scope},
};
use crate::{
    expr::ScalarExpr,
    manifest::{CallSpec, Diagnostic},
    model::{describe_schema, nearest, type_name},
    ports::{Function, FunctionUse, Role},
};

/// Compiles a call of a function that has one of these roles.
pub(super) fn build_call(
    scope: &mut Scope<'_>,
    spec: &CallSpec,
    rows: &Rows,
    roles: &[Role],
) -> Option<(Call, Function)> {
    let (plugin, function) = find_function(scope, spec)?;
    check_role(scope, spec, &function, roles)?;
    let config = check_config(scope, spec, plugin, &function)?;
    let arguments = arguments(scope, spec, &function, rows)?;
    let label = spec.function.value.to_string();
    let used =
        scope.use_function(plugin, FunctionUse { label: label.clone(), function: function.name.clone(), config });
    Some((Call { plugin, used, label, arguments }, function))
}

fn find_function(scope: &mut Scope<'_>, spec: &CallSpec) -> Option<(usize, Function)> {
    let name = &spec.function.value;
    let plugin = scope.manifest.plugins.iter().position(|plugin| plugin.name.value == name.plugin)?;
    let description = scope.plugins[plugin].description();
    if let Some(function) = description.function(&name.function) {
        return Some((plugin, function.clone()));
    }
    let names: Vec<&str> = description.functions.iter().map(|function| function.name.as_str()).collect();
    let label = match nearest(&name.function, names.iter().copied()) {
        Some(nearest) => format!("did you mean `{}.{nearest}`?", name.plugin),
        None => String::new(),
    };
    let fault = Diagnostic::error(format!("plugin `{}` has no function `{}`", name.plugin, name.function))
        .at(spec.function.span.clone(), label)
        .help(format!("it has: {}", names.join(", ")));
    scope.faults.push(fault);
    None
}

fn check_role(scope: &mut Scope<'_>, spec: &CallSpec, function: &Function, roles: &[Role]) -> Option<()> {
    if roles.contains(&function.role) {
        return Some(());
    }
    let label = format!("{}.{}", spec.function.value.plugin, function.name);
    let help = match function.role {
        Role::Reducer => format!("a reducer folds groups: write `group_by = [...]` and `reduce = \"{label}\"`"),
        Role::KeyedState => format!("it keeps a state per key: write `group_by = [...]` and `update = \"{label}\"`"),
        Role::Transform | Role::Filter | Role::BatchHandler => {
            format!("write `call = \"{label}\"`, without `group_by`")
        }
    };
    let fault = Diagnostic::error(format!("`{label}` is a {} and cannot be used here", function.role.name()))
        .at(spec.function.span.clone(), "")
        .help(help);
    scope.faults.push(fault);
    None
}

fn check_config(scope: &mut Scope<'_>, spec: &CallSpec, plugin: usize, function: &Function) -> Option<Option<String>> {
    let label = &spec.function.value.function;
    let fault = match (&spec.config, &function.config_schema, &function.default_config) {
        (None, None, _) | (None, Some(_), Some(_)) => return Some(None),
        (None, Some(schema), None) => Diagnostic::error(format!("`{label}` needs a config"))
            .at(spec.function.span.clone(), "")
            .help(format!("add `config = {{ ... }}`; its shape is {schema}")),
        (Some(config), None, _) => Diagnostic::error(format!("`{label}` takes no config"))
            .at(config.span.clone(), "")
            .help("remove it, or give the function a `config` parameter"),
        (Some(config), Some(_), _) => {
            let json = config.value.to_string();
            match scope.plugins[plugin].check_config(&function.name, &json) {
                Ok(()) => return Some(Some(json)),
                Err(error) => {
                    Diagnostic::error(format!("`{label}` does not accept this config")).at(config.span.clone(), error)
                }
            }
        }
    };
    scope.faults.push(fault);
    None
}

/// An expression for each column the function wants: as mapped, or else the input's column of that name.
fn arguments(scope: &mut Scope<'_>, spec: &CallSpec, function: &Function, rows: &Rows) -> Option<Columns> {
    for (column, _) in &spec.columns {
        if function.input.index_of(&column.value).is_err() {
            let fault = Diagnostic::error(format!("`{}` has no column `{}` to map", function.name, column.value))
                .at(column.span.clone(), "")
                .help(format!("it wants: {}", describe_schema(&function.input)));
            scope.faults.push(fault);
            return None;
        }
    }
    let found: Vec<Option<ScalarExpr>> =
        function.input.fields().iter().map(|wanted| argument(scope, spec, wanted, rows)).collect();
    let expressions = found.into_iter().collect::<Option<_>>()?;
    Some(Columns { expressions, schema: Arc::clone(&function.input) })
}

fn argument(scope: &mut Scope<'_>, spec: &CallSpec, wanted: &Field, rows: &Rows) -> Option<ScalarExpr> {
    let mapped = spec.columns.iter().find(|(column, _)| &column.value == wanted.name());
    let given = match mapped {
        Some((_, sql)) => compile(scope, sql, |text| ScalarExpr::compile(text, &rows.schema))?,
        None => match rows.schema.index_of(wanted.name()) {
            Ok(_) => {
                let quoted = format!("\"{}\"", wanted.name().replace('"', "\"\""));
                ScalarExpr::compile(&quoted, &rows.schema).expect("the column is there")
            }
            Err(_) => {
                missing_column(scope, spec, wanted, rows);
                return None;
            }
        },
    };
    let given_type = given.field().data_type().clone();
    if &given_type != wanted.data_type() && !widens(&given_type, wanted.data_type()) {
        let given = mapped.map_or((wanted.name().as_str(), &spec.function.span), |(_, sql)| (&sql.value, &sql.span));
        wrong_type(scope, spec, wanted, &given_type, given, rows);
        return None;
    }
    Some(given.cast(wanted.data_type()))
}

fn missing_column(scope: &mut Scope<'_>, spec: &CallSpec, wanted: &Field, rows: &Rows) {
    let label = format!("{}.{}", spec.function.value.plugin, spec.function.value.function);
    let wants = format!("{}: {}", wanted.name(), type_name(wanted.data_type()));
    let gives = describe_schema(&rows.schema);
    let same_type = rows.schema.fields().iter().find(|field| field.data_type() == wanted.data_type());
    let example = same_type.map_or("...", |field| field.name().as_str());
    scope.faults.push(
        Diagnostic::error(format!("`{label}` wants a column `{wants}`, but the rows it gets have `{gives}`"))
            .at(spec.function.span.clone(), format!("wants `{wants}`"))
            .also(rows.place.clone(), format!("gives `{gives}`"))
            .help(format!("say which column to read: columns = {{ {} = \"{example}\" }}", wanted.name())),
    );
}

/// `sql` is what the column is read from, and where that is said.
fn wrong_type(
    scope: &mut Scope<'_>,
    spec: &CallSpec,
    wanted: &Field,
    given: &DataType,
    (sql, place): (&str, &Range<usize>),
    rows: &Rows,
) {
    let label = format!("{}.{}", spec.function.value.plugin, spec.function.value.function);
    let (wants, gives) = (type_name(wanted.data_type()), type_name(given));
    let sql_type = match wanted.data_type() {
        DataType::Utf8 => "varchar",
        DataType::Int32 => "int",
        DataType::Int64 => "bigint",
        DataType::Float32 => "real",
        DataType::Float64 => "double",
        DataType::Timestamp(..) => "timestamp",
        DataType::Date32 => "date",
        DataType::Boolean => "boolean",
        _ => "bytea",
    };
    let name = wanted.name();
    scope.faults.push(
        Diagnostic::error(format!("`{label}` wants `{name}: {wants}`, but gets `{name}: {gives}`"))
            .at(place.clone(), format!("wants {wants}"))
            .also(rows.place.clone(), format!("gives {gives}"))
            .help(format!("convert it: columns = {{ {name} = \"cast({sql} as {sql_type})\" }}")),
    );
}

/// Whether every value of one type is a value of the other.
fn widens(given: &DataType, wanted: &DataType) -> bool {
    matches!(
        (given, wanted),
        (DataType::Int32, DataType::Int64 | DataType::Float64)
            | (DataType::Float32, DataType::Float64)
            | (DataType::Date32, DataType::Timestamp(..))
            | (DataType::Utf8, DataType::Binary)
    )
}

/// The columns to carry along beside what a transform returns, by position.
pub(super) fn kept_columns(
    scope: &mut Scope<'_>,
    spec: &CallSpec,
    function: &Function,
    rows: &Rows,
) -> Option<Vec<usize>> {
    let mut kept: Vec<usize> = Vec::with_capacity(spec.keep.len());
    if let (Some(first), true) = (spec.keep.first(), function.role != Role::Transform) {
        let why = match function.role {
            Role::Filter => "a filter keeps all columns by itself",
            _ => "only a transform can carry columns along",
        };
        scope.faults.push(Diagnostic::error(format!("`keep` does nothing here: {why}")).at(first.span.clone(), ""));
        return None;
    }
    for column in &spec.keep {
        let Ok(position) = rows.schema.index_of(&column.value) else {
            no_column(scope, &column.value, column.span.clone(), &rows.schema);
            return None;
        };
        if function.output.index_of(&column.value).is_ok() || kept.contains(&position) {
            duplicate_column(scope, &column.value, column.span.clone());
            return None;
        }
        kept.push(position);
    }
    Some(kept)
}

fn no_column(scope: &mut Scope<'_>, name: &str, span: Range<usize>, schema: &Schema) {
    let near = nearest(name, schema.fields().iter().map(|field| field.name().as_str()));
    let label = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
    scope.faults.push(
        Diagnostic::error(format!("there is no column `{name}`"))
            .at(span, label)
            .help(format!("the rows have `{}`", describe_schema(schema))),
    );
}
