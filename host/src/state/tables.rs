//! The tables of a checkpoint and their keys.

use std::ops::{Bound, RangeBounds, RangeInclusive};

use redb::TableDefinition;

use crate::model::PartName;

/// What kind of file this is: `format` and its version.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Epoch to plan. Only the plan of the epoch after the committed one is ever there.
pub(super) const PLAN: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("plan");
/// The last committed epoch, one row.
pub(super) const COMMITTED: TableDefinition<'_, (), &[u8]> = TableDefinition::new("committed");
/// Source and sequence to range.
pub(super) const RANGES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("ranges");
/// Stage, bucket and sequence to a piece of state.
pub(super) const STATE: TableDefinition<'_, (&str, u32, u64), &[u8]> = TableDefinition::new("state");

/// The key in [`META`] of the version of everything above.
pub(super) const FORMAT_KEY: &str = "format";
/// The version this code reads and writes.
pub(super) const FORMAT: u64 = 4;

/// All keys of a part.
pub(super) fn of_part(part: &PartName) -> RangeInclusive<(&str, u64)> {
    (part.as_str(), 0)..=(part.as_str(), u64::MAX)
}

/// All pieces of state of a bucket.
pub(super) fn of_bucket(stage: &PartName, bucket: usize) -> RangeInclusive<(&str, u32, u64)> {
    let bucket = bucket as u32;
    (stage.as_str(), bucket, 0)..=(stage.as_str(), bucket, u64::MAX)
}

/// All pieces of state of a stage.
pub(super) fn of_stage(stage: &PartName) -> RangeInclusive<(&str, u32, u64)> {
    (stage.as_str(), 0, 0)..=(stage.as_str(), u32::MAX, u64::MAX)
}

/// All keys of the parts that come after this one.
pub(super) fn after_part(part: Option<&PartName>) -> impl RangeBounds<(&str, u64)> {
    (part.map_or(Bound::Unbounded, |part| Bound::Excluded((part.as_str(), u64::MAX))), Bound::Unbounded)
}

/// The key of a range as messages show it.
pub(super) fn show((part, sequence): (&str, u64)) -> String {
    format!("{part}/{sequence}")
}

/// The key of a piece of state as messages show it.
pub(super) fn show_state((stage, bucket, sequence): (&str, u32, u64)) -> String {
    format!("{stage}/{bucket}/{sequence}")
}
