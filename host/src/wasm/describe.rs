//! A plugin's self-description, checked: a function that contradicts itself is refused at load, not at its first row.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use super::bindings::{
    exports::tidemill::plugin::describe::{self as wit, Role as WitRole},
    tidemill::plugin::types::{DataType as WitType, Field as WitField},
};
use crate::{
    model::DataType,
    ports::{Description, Function, Outlet, Role},
};

/// Translates and checks a description. `exports` tells which roles the component has an interface for.
pub(super) fn description(plugin: wit::Plugin, exports: impl Fn(Role) -> bool) -> Result<Description, String> {
    let mut functions: Vec<Function> = Vec::with_capacity(plugin.functions.len());
    for function in plugin.functions {
        let function = self::function(function)?;
        if functions.iter().any(|other| other.name == function.name) {
            return Err(format!("it describes two functions named `{}`; rename one", function.name));
        }
        if matches!(function.role, Role::Transform | Role::Reducer) && function.output.fields().is_empty() {
            return Err(format!("its function `{}` describes no output column; give its row one", function.name));
        }
        if !exports(function.role) {
            return Err(format!(
                "its function `{}` is a {role}, but the component does not export the interface `{role}`",
                function.name,
                role = function.role.name(),
            ));
        }
        functions.push(function);
    }
    if functions.is_empty() {
        return Err("it describes no functions; name them in `plugin!(...)`".to_owned());
    }
    Ok(Description { name: plugin.name, version: plugin.version, functions })
}

fn function(function: wit::Function) -> Result<Function, String> {
    let name = function.name;
    let in_function = |error: String| format!("its function `{name}` {error}");
    Ok(Function {
        role: role(function.role),
        doc: function.doc,
        input: schema(function.input).map_err(in_function)?,
        key: schema(function.key).map_err(in_function)?,
        output: schema(function.output).map_err(in_function)?,
        outlets: function
            .outlets
            .into_iter()
            .map(|outlet| Ok(Outlet { name: outlet.name, columns: schema(outlet.columns)? }))
            .collect::<Result<_, String>>()
            .map_err(in_function)?,
        config_schema: function.config_schema,
        default_config: function.default_config,
        retracts: function.retracts,
        state_version: function.state_version,
        name,
    })
}

fn schema(fields: Vec<WitField>) -> Result<SchemaRef, String> {
    let mut columns: Vec<Field> = Vec::with_capacity(fields.len());
    for field in fields {
        if columns.iter().any(|column| column.name() == &field.name) {
            return Err(format!("describes two columns named `{}`", field.name));
        }
        columns.push(Field::new(field.name, data_type(field.data_type).to_arrow(), field.nullable));
    }
    Ok(Arc::new(Schema::new(columns)))
}

fn role(role: WitRole) -> Role {
    match role {
        WitRole::Transform => Role::Transform,
        WitRole::Filter => Role::Filter,
        WitRole::Reducer => Role::Reducer,
        WitRole::KeyedState => Role::KeyedState,
        WitRole::BatchHandler => Role::BatchHandler,
    }
}

fn data_type(data_type: WitType) -> DataType {
    match data_type {
        WitType::Boolean => DataType::Boolean,
        WitType::Int32 => DataType::Int32,
        WitType::Int64 => DataType::Int64,
        WitType::Float32 => DataType::Float32,
        WitType::Float64 => DataType::Float64,
        WitType::Utf8 => DataType::Utf8,
        WitType::Binary => DataType::Binary,
        WitType::Timestamp => DataType::Timestamp,
        WitType::Date => DataType::Date,
    }
}
