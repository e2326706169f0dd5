//! `type = "console"`: a table on standard output for each epoch, laid out like Spark's. At-least-once: what has been
//! printed cannot be asked for.

use std::{
    fmt::Write as _,
    io::{self, Write},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    util::{
        display::{ArrayFormatter, FormatOptions},
        pretty::pretty_format_batches_with_schema,
    },
};

use crate::{
    manifest::ConsoleSink,
    model::Epoch,
    ports::{CommitPermit, Marker, Sink, SinkError},
};

const RULE: &str = "-------------------------------------------";

/// Prints the first rows of each epoch when it commits.
pub(super) struct Console {
    settings: ConsoleSink,
    out: Box<dyn Write + Send>,
    shown: Option<Shown>,
}

/// What will be printed: rows beyond the limit are only noted, not kept.
struct Shown {
    schema: SchemaRef,
    rows: Vec<RecordBatch>,
    count: usize,
    more: bool,
}

impl Console {
    pub(super) fn new(settings: &ConsoleSink, out: Box<dyn Write + Send>) -> Self {
        Console { settings: settings.clone(), out, shown: None }
    }
}

impl Sink for Console {
    fn recover(&mut self) -> Result<Marker, SinkError> {
        Ok(Marker::Unknown)
    }

    fn begin(&mut self, _: Epoch, schema: &SchemaRef) -> Result<(), SinkError> {
        self.shown = Some(Shown { schema: schema.clone(), rows: Vec::new(), count: 0, more: false });
        Ok(())
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), SinkError> {
        let shown = self.shown.as_mut().expect("write follows begin");
        let taken = rows.num_rows().min(self.settings.rows - shown.count);
        shown.more |= taken < rows.num_rows();
        if taken > 0 {
            shown.count += taken;
            shown.rows.push(rows.slice(0, taken));
        }
        Ok(())
    }

    fn commit(&mut self, permit: CommitPermit) -> Result<(), SinkError> {
        let shown = self.shown.take().expect("commit follows begin");
        let text = render(permit.epoch(), &shown, &self.settings)
            .map_err(|error| SinkError(format!("the rows cannot be shown as a table: {error}")))?;
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => SinkError(
                "whoever was reading standard output has closed it; keep it open, or write to files instead".to_owned(),
            ),
            _ => SinkError(format!(
                "cannot write to standard output: {error}; redirect it elsewhere, or write to files instead"
            )),
        })
    }

    fn abort(&mut self) {
        self.shown = None;
    }
}

/// The whole output of an epoch, so that it is written in one go.
fn render(epoch: Epoch, shown: &Shown, settings: &ConsoleSink) -> Result<String, ArrowError> {
    let fields: Vec<Field> =
        shown.schema.fields().iter().map(|field| Field::new(printable(field.name()), DataType::Utf8, true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let rows: Result<Vec<_>, _> =
        shown.rows.iter().map(|rows| RecordBatch::try_new(schema.clone(), cells(rows, settings.truncate)?)).collect();
    let table = pretty_format_batches_with_schema(schema, &rows?)?;
    let mut text = format!("{RULE}\nBatch: {epoch}\n{RULE}\n{table}\n");
    if shown.more {
        let rows = if settings.rows == 1 { "row" } else { "rows" };
        writeln!(text, "only showing top {} {rows}", settings.rows).expect("a string takes everything");
    }
    text.push('\n');
    Ok(text)
}

fn cells(rows: &RecordBatch, truncate: Option<usize>) -> Result<Vec<ArrayRef>, ArrowError> {
    let options = FormatOptions::new().with_null("NULL");
    let column = |column: &ArrayRef| {
        let formatter = ArrayFormatter::try_new(column, &options)?;
        let cells = (0..column.len()).map(|row| {
            let value = printable(&formatter.value(row).try_to_string()?);
            Ok(truncate.map_or(value.clone(), |most| truncated(&value, most)))
        });
        Ok(Arc::new(cells.collect::<Result<Vec<_>, ArrowError>>()?.into_iter().map(Some).collect::<StringArray>())
            as ArrayRef)
    };
    rows.columns().iter().map(column).collect()
}

/// At most so many characters, the last three of them dots where something was cut off and there is room; as in Spark.
fn truncated(value: &str, most: usize) -> String {
    let head = |characters| value.chars().take(characters).collect::<String>();
    match value.char_indices().nth(most) {
        None => value.to_owned(),
        Some(_) if most < 4 => head(most),
        Some(_) => head(most - 3) + "...",
    }
}

/// Control characters escaped: a value must not break the table or command the terminal.
fn printable(value: &str) -> String {
    let mut printable = String::with_capacity(value.len());
    for character in value.chars() {
        if character.is_control() {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

#[cfg(test)]
mod tests;
