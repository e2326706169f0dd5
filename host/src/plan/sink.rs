//! One sink of the manifest: what it gets, and whether it can take it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{
    SinkNode,
    scope::{Rows, Scope},
};
use crate::{
    manifest::{Diagnostic, FilesSink, OutputFormat, OutputMode, SinkConnector, SinkSpec, Spanned},
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
        true => Rows { schema: dead_letter_schema(), changing: false, place: spec.inputs[0].span.clone() },
        false => scope.union(&spec.name.value, &spec.inputs)?,
    };
    let mode = settle_mode(scope, spec, &rows)?;
    if let SinkConnector::Files(files) = &spec.connector {
        check_files(scope, spec, files, mode, &rows)?;
    }
    Some(SinkNode { name: spec.name.value.clone(), mode, schema: rows.schema, dead_letters })
}

/// The mode that was asked for, if the rows can be had in it, or else the one that fits.
fn settle_mode(scope: &mut Scope<'_>, spec: &SinkSpec, rows: &Rows) -> Option<OutputMode> {
    let Some(Spanned { value: mode, span }) = &spec.mode else {
        return Some(if rows.changing { OutputMode::Update } else { OutputMode::Append });
    };
    let fault = match (mode, rows.changing) {
        (OutputMode::Append, true) => Diagnostic::error(format!(
            "sink `{}` cannot have mode `append`: its rows come from a running total, and no row of it is ever final",
            spec.name.value
        ))
        .help("take mode \"update\" for the rows that changed or \"complete\" for all rows, or group with over = \"batch\""),
        (OutputMode::Complete, false) => Diagnostic::error(format!(
            "sink `{}` cannot have mode `complete`: there is no running total above it, so all rows so far are not kept anywhere",
            spec.name.value
        ))
        .help("take mode \"append\""),
        _ => return Some(*mode),
    };
    scope.faults.push(fault.at(span.clone(), "").also(rows.place.clone(), "its rows come from here"));
    None
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
            .help("group with over = \"batch\" for the results of each epoch, or send the running total to the console or memory"),
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
