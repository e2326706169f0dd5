//! `tidemill inspect`: what a plugin file says of itself.

use std::{
    fmt::{self, Write as _},
    path::PathBuf,
};

use arrow::datatypes::Schema;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::{
    Format,
    failure::{Failure, print, print_text},
    plugin::{self, PluginFile},
};
use crate::{
    model::{describe_schema, type_name},
    ports::{Function, Role},
};

const EXAMPLE: &str = "\
Example:
  tidemill inspect words.wasm
  tidemill inspect words.wasm --format json";

/// Show a plugin's functions, columns, imports and digest
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Inspect {
    /// The plugin, or the folder of its crate, which is built first
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Inspect {
    pub(super) fn run(self) -> Result<(), Failure> {
        let file = plugin::load(&self.file)?;
        match self.format {
            Format::Text => print_text(&text(&file).expect("a string takes any text")),
            Format::Json => {
                print(serde_json::to_string_pretty(&Inspected::of(&file)).expect("it is made for JSON") + "\n")
            }
        }
    }
}

fn text(file: &PluginFile) -> Result<String, fmt::Error> {
    let description = file.plugin.description();
    let mut out = String::new();
    writeln!(out, "{} {}", description.name, description.version)?;
    writeln!(out, "  {}, {} bytes", file.path.display(), file.bytes)?;
    writeln!(out, "  sha256 {}", file.plugin.digest())?;
    for function in &description.functions {
        writeln!(out, "\n{} {}", function.role.name(), function.name)?;
        function.doc.lines().try_for_each(|line| writeln!(out, "  {}", line.trim()))?;
        if function.role == Role::KeyedState {
            writeln!(out, "  key     {}", columns(&function.key))?;
        }
        writeln!(out, "  in      {}", columns(&function.input))?;
        match function.role {
            Role::Filter => {}
            Role::BatchHandler => {
                for outlet in &function.outlets {
                    writeln!(out, "  outlet  {} ({})", outlet.name, columns(&outlet.columns))?;
                }
            }
            _ => writeln!(out, "  out     {}", columns(&function.output))?,
        }
        if let Some(schema) = &function.config_schema {
            writeln!(out, "  config  {schema}")?;
        }
        if let Some(config) = &function.default_config {
            writeln!(out, "  default {config}")?;
        }
        if matches!(function.role, Role::Reducer | Role::KeyedState) {
            let retracts = if function.retracts { ", with an inverse" } else { "" };
            writeln!(out, "  state   version {}{retracts}", function.state_version)?;
        }
    }
    let imports = file.plugin.imports();
    if !imports.is_empty() {
        writeln!(out, "\nimports")?;
        imports.iter().try_for_each(|import| writeln!(out, "  {import}"))?;
    }
    Ok(out)
}

fn columns(schema: &Schema) -> String {
    if schema.fields().is_empty() { "no columns".to_owned() } else { describe_schema(schema) }
}

#[derive(Serialize)]
struct Inspected {
    name: String,
    version: String,
    path: String,
    bytes: u64,
    sha256: String,
    functions: Vec<InspectedFunction>,
    imports: Vec<String>,
}

#[derive(Serialize)]
struct InspectedFunction {
    name: String,
    role: &'static str,
    doc: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    key: Vec<Column>,
    input: Vec<Column>,
    output: Vec<Column>,
    outlets: Vec<Outlet>,
    config_schema: Option<Value>,
    default_config: Option<Value>,
    retracts: bool,
    state_version: u32,
}

#[derive(Serialize)]
struct Outlet {
    name: String,
    columns: Vec<Column>,
}

#[derive(Serialize)]
struct Column {
    name: String,
    data_type: String,
    nullable: bool,
}

impl Inspected {
    fn of(file: &PluginFile) -> Self {
        let description = file.plugin.description();
        Inspected {
            name: description.name.clone(),
            version: description.version.clone(),
            path: file.path.display().to_string(),
            bytes: file.bytes,
            sha256: file.plugin.digest().to_string(),
            functions: description.functions.iter().map(InspectedFunction::of).collect(),
            imports: file.plugin.imports(),
        }
    }
}

impl InspectedFunction {
    fn of(function: &Function) -> Self {
        let outlets = function.outlets.iter();
        InspectedFunction {
            name: function.name.clone(),
            role: function.role.name(),
            doc: function.doc.clone(),
            key: Column::all(&function.key),
            input: Column::all(&function.input),
            output: Column::all(&function.output),
            outlets: outlets.map(|o| Outlet { name: o.name.clone(), columns: Column::all(&o.columns) }).collect(),
            config_schema: function.config_schema.as_deref().map(json),
            default_config: function.default_config.as_deref().map(json),
            retracts: function.retracts,
            state_version: function.state_version,
        }
    }
}

impl Column {
    fn all(schema: &Schema) -> Vec<Self> {
        let fields = schema.fields().iter();
        let column = |field: &arrow::datatypes::FieldRef| Column {
            name: field.name().clone(),
            data_type: type_name(field.data_type()),
            nullable: field.is_nullable(),
        };
        fields.map(column).collect()
    }
}

/// What a plugin gives as JSON; should it be none, the text, for people to see.
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}
