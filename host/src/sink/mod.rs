//! The sinks: adapters behind `ports::Sink`, one module each.
//!
//! Messages name the folder or the stream; the name of the part is added by whoever asked.

mod console;
mod files;
mod memory;

use crate::{
    manifest::{OutputMode, SinkConnector},
    model::PartName,
    ports::{Sink, SinkError},
};

#[cfg(test)]
pub(crate) use files::{Disk, DiskFile, Files};
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
