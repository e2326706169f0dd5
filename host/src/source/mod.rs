//! The sources: adapters behind `ports::Source`, one module each. What they share is how a line of text becomes a
//! row or a bad row.
//!
//! Messages name the address or the file; the name of the part is added by whoever asked.

mod count;
mod files;
mod line;
mod rate;
mod socket;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use crate::{
    manifest::{SourceConnector, SourceSpec},
    ports::{Clock, Source, SourceError, Wake},
};

/// Opens a source. With a projection it may leave out the columns that are not named, and `schema` of what is
/// returned says which it gives; they stay in the order of the full schema.
pub fn open(
    spec: &SourceSpec,
    projection: Option<Vec<String>>,
    clock: Arc<dyn Clock>,
    wake: Arc<dyn Wake>,
) -> Result<Box<dyn Source>, SourceError> {
    let schema = projected(&schema(&spec.connector), projection.as_deref());
    Ok(match &spec.connector {
        SourceConnector::Socket(settings) => Box::new(socket::Socket::open(settings, wake)?),
        SourceConnector::Files(settings) => Box::new(files::Files::open(settings, schema)?),
        SourceConnector::Rate(settings) => Box::new(rate::Rate::open(settings, schema, clock.now())),
    })
}

/// All columns a source has.
pub fn schema(connector: &SourceConnector) -> SchemaRef {
    match connector {
        SourceConnector::Socket(_) => line::schema(),
        SourceConnector::Files(settings) => files::schema(&settings.format),
        SourceConnector::Rate(_) => rate::schema(),
    }
}

fn projected(schema: &SchemaRef, projection: Option<&[String]>) -> SchemaRef {
    let Some(wanted) = projection else { return schema.clone() };
    let fields = schema.fields().iter().filter(|field| wanted.contains(field.name()));
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}
