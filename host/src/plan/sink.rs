//! One sink of the manifest: what it gets, and whether it can take it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{
    SinkNode,
    modes::settle_mode,
    scope::{Finality, Rows, Scope},
};
use crate::{
    manifest::{Diagnostic, FilesSink, OutputFormat, OutputMode, SinkConnector, SinkSpec},
    model::describe_schema,
};

/// Checks a sink. None when something is at fault.
pub(super) fn build_sink(scope: &mut Scope<'_>, spec: &SinkSpec) -> Option<SinkNode> {
    let dead_letters = spec.inputs.iter().any(|input| input.value.part.as_str() == SinkSpec::DEAD_LETTERS);
    if let (true, Some(other)) = (dead_letters, spec.inputs.get(1)) {
        scope.faults.push(
            Diagnostic::error(format!("sink `{}` takes `dead_letters` together with other rows", spec.name.value))
                .at(spec.inputs[0].span.clone(), "")
                .also(other.span.clone(), "other rows")
                .help("dead letters have columns of their own: give them a sink of their own"),
        );
        return None;
    }
    let rows = match dead_letters {
        true => Rows {
            schema: dead_letter_schema(),
            finality: Finality::Final,
            fires_again: false,
            event_times: Vec::new(),
            watermark: None,
            place: spec.inputs[0].span.clone(),
        },
        false => scope.union(&spec.name.value, &spec.inputs)?,
    };
    let mode = settle_mode(scope, &format!("sink `{}`", spec.name.value), spec.mode.as_ref(), &rows)?;
    if let SinkConnector::Files(files) = &spec.connector {
        check_files(scope, spec, files, mode, &rows)?;
    }
    Some(SinkNode { name: spec.name.value.clone(), mode, schema: rows.schema, dead_letters })
}

fn check_files(scope: &mut Scope<'_>, spec: &SinkSpec, files: &FilesSink, mode: OutputMode, rows: &Rows) -> Option<()> {
    if mode != OutputMode::Append {
        let span = spec.mode.as_ref().map_or(spec.name.span.clone(), |mode| mode.span.clone());
        scope.faults.push(
            Diagnostic::error(format!(
                "sink `{}` writes files, which cannot be changed later, but its rows come from a running total",
                spec.name.value
            ))
            .at(span, "")
            .also(rows.place.clone(), "its rows come from here")
            .help(
                "group with over = \"batch\" for the results of each epoch, or by a window that a watermark closes; or send the \
                 running total to the console or memory",
            ),
        );
        return None;
    }
    let text = rows.schema.fields().len() == 1 && rows.schema.field(0).data_type() == &DataType::Utf8;
    if files.format == OutputFormat::Text && !text {
        scope.faults.push(
            Diagnostic::error(format!(
                "sink `{}` writes text, a line a row, so it needs exactly one column of type utf8, but gets `{}`",
                spec.name.value,
                describe_schema(&rows.schema)
            ))
            .at(spec.name.span.clone(), "")
            .also(rows.place.clone(), "its rows come from here")
            .help("make one with `select = [\"concat(...) as value\"]` in the transform before, or take format \"json\" or \"csv\""),
        );
        return None;
    }
    Some(())
}

/// The columns of rows that could not be processed.
pub(super) fn dead_letter_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("epoch", DataType::Int64, false),
        Field::new("part", DataType::Utf8, false),
        Field::new("error", DataType::Utf8, false),
        Field::new("row", DataType::Utf8, false),
        Field::new("module", DataType::Utf8, true),
    ]))
}
