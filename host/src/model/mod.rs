//! The words everything else is written in: names, epochs, times, columns, dead letters.
//!
//! Nothing here does anything: no I/O, no clock, no randomness.

mod dead_letter;
mod digest;
mod epoch;
mod name;
mod nearest;
mod schema;
mod time;

pub use dead_letter::DeadLetter;
pub use digest::Digest;
pub use epoch::Epoch;
pub use name::PartName;
pub use nearest::nearest;
pub use schema::{DataType, describe_schema, is_supported, timestamp_type, type_name};
pub use time::{EventTime, ProcessingTime, Watermark};
