//! The least a function can do, so that the boundary is all there is to measure.

use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Reading<'a> {
    id: i64,
    sensor: &'a str,
    value: f64,
}

/// Gives every row back as it came.
#[transform]
fn identity(reading: Reading<'_>) -> Reading<'_> {
    reading
}

/// Keeps about half of the rows.
#[filter]
fn warm(reading: Reading<'_>) -> bool {
    reading.value > 50.0 && reading.id >= 0 && !reading.sensor.is_empty()
}

plugin!(identity, warm);
