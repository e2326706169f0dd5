//! The sinks: adapters behind `ports::Sink`, one module each.
//!
//! Messages name the folder or the stream; the name of the part is added by whoever asked.

mod console;
mod files;
mod memory;

use arrow::datatypes::Schema;

use crate::{
    manifest::{OutputFormat, OutputMode, SinkConnector},
    model::{DataType, PartName, describe_schema},
    ports::{Sink, SinkError},
};

pub use memory::{MemoryTable, MemoryTables, Snapshot};

/// Opens a sink. A table in memory is made in, or taken up from, `tables` under the sink's name.
pub fn open(
    name: &PartName,
    connector: &SinkConnector,
    mode: OutputMode,
    tables: &MemoryTables,
) -> Result<Box<dyn Sink>, SinkError> {
    Ok(match connector {
        SinkConnector::Console(settings) => Box::new(console::Console::new(settings, Box::new(std::io::stdout()))),
        SinkConnector::Files(settings) => Box::new(files::Files::new(settings)),
        SinkConnector::Memory(settings) => Box::new(memory::Memory::new(tables.table(name), settings, mode)),
    })
}

/// Whether a sink can take rows of this schema in this mode; if not, why, and what to do about it.
pub fn accepts(connector: &SinkConnector, mode: OutputMode, schema: &Schema) -> Result<(), String> {
    let SinkConnector::Files(settings) = connector else { return Ok(()) };
    if mode != OutputMode::Append {
        let mode = if mode == OutputMode::Update { "update" } else { "complete" };
        return Err(format!(
            "a files sink cannot take mode = \"{mode}\": a file stays as it was committed, so it cannot hold rows that change \
             later; take mode = \"append\", with over = \"batch\" for a result per epoch, or a console or memory sink"
        ));
    }
    let is_one_text =
        matches!(schema.fields().as_ref(), [field] if DataType::from_arrow(field.data_type()) == Some(DataType::Utf8));
    if settings.format == OutputFormat::Text && !is_one_text {
        return Err(format!(
            "format = \"text\" writes exactly one utf8 column, but the rows have ({}); choose one in the transform before, \
             with select = [\"... as value\"], or write format = \"json\" or \"csv\"",
            describe_schema(schema)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
