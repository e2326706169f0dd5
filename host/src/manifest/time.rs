//! What a manifest says of time: watermarks, and how far back a group reaches.

use std::time::Duration;

use super::{
    BatchesSpec, Diagnostic, DistinctSpec, Extent, Gap, SessionSpec, WatermarkSettings, WatermarkSpec, WindowSpec,
    section::Section, value,
};
use crate::watermark::Policy;

/// Each batch of a window has a state for each of its keys.
const MOST_BATCHES: u64 = 10_000;

/// Reads `watermark = { on = "...", delay = "..." }` of a source or transform.
pub(super) fn watermark(section: &mut Section<'_, '_>) -> Option<WatermarkSpec> {
    let read = section.section("watermark", |inner| {
        inner.require("on", r#"on = "timestamp""#);
        inner.require("delay", r#"delay = "10m""#);
        let (on, delay) = (inner.string("on"), inner.duration_or_zero("delay"));
        let (idle, per) = (inner.duration("idle"), inner.string("per"));
        inner.refuse_unknown("a watermark");
        Some(WatermarkSpec { on: on?, delay: delay?, idle, per })
    });
    read.flatten()
}

/// Reads `[watermarks]`: how the watermarks of several inputs become one.
pub(super) fn watermarks(section: &mut Section<'_, '_>) -> WatermarkSettings {
    let policy = section.choice("policy", &[("min", Policy::Min), ("max", Policy::Max)]);
    let after_restart = section.choice("after_restart", &[("forget", false), ("remember", true)]);
    section.refuse_unknown("the watermarks");
    WatermarkSettings {
        policy: policy.map_or(Policy::Min, |choice| choice.value),
        remember_leads: after_restart.is_some_and(|choice| choice.value),
    }
}

/// Reads `over`, `window` and `session`, of which a group has at most one.
pub(super) fn extent(section: &mut Section<'_, '_>) -> Option<Extent> {
    let over = over(section);
    let window = section.section("window", window).map(|window| window.map(Extent::Window));
    let session = section.section("session", session).map(|session| session.map(Extent::Session));
    let given: Vec<_> =
        ["over", "window", "session"].iter().filter_map(|key| Some((*key, section.key(key)?))).collect();
    if let [(first, place), (second, again), ..] = given.as_slice() {
        let both = Diagnostic::error(format!("{} has both `{first}` and `{second}`", section.name()));
        let both =
            both.at(again.clone(), "a second way to say which rows belong together").also(place.clone(), "the first");
        section.problem(both.help("a group reaches back in one way; make two transforms of it"));
    }
    match (over, window, session) {
        (Some(over), ..) => over,
        (_, Some(window), _) => window,
        (.., Some(session)) => session,
        _ => Some(Extent::All),
    }
}

/// `over = "batch"`, or a table for several.
fn over(section: &mut Section<'_, '_>) -> Option<Option<Extent>> {
    let is_table = section.get("over")?.get_ref().is_table();
    if !is_table {
        return Some(section.choice("over", &[("batch", ())]).map(|_| Extent::Batch));
    }
    let span = section.key("over").unwrap_or_default();
    section.section("over", |inner| {
        inner.require("batches", "batches = 12");
        let (size, slide) = (inner.integer("batches", 1..=MOST_BATCHES), inner.integer("slide", 1..=MOST_BATCHES));
        let (inverse, keep) = (inner.bool("inverse").unwrap_or(false), inner.string("keep"));
        inner.refuse_unknown("a window over batches");
        let size = size?;
        let slide = slide.unwrap_or(1);
        Some(Extent::Batches(BatchesSpec { size, slide, inverse, keep, span }))
    })
}

fn window(section: &mut Section<'_, '_>) -> Option<WindowSpec> {
    section.require("on", r#"on = "timestamp""#);
    section.require("size", r#"size = "10m""#);
    let (on, size, slide) = (section.string("on"), section.duration("size"), section.duration("slide"));
    let offset = section.string_that("offset", "a duration, perhaps negative", "such as \"15m\" or \"-5s\"", |text| {
        value::parse_signed(text).is_some()
    });
    section.refuse_unknown("a window");
    let (on, size) = (on?, size?);
    let slide = slide.unwrap_or(size);
    if slide > size {
        let span = section.key("slide").unwrap_or_default();
        let message =
            format!("{} slides by more than its size, so the rows in between would be in no window", section.name());
        section.problem(Diagnostic::error(message).at(span, "").help("make `slide` at most as long as `size`"));
        return None;
    }
    let offset = offset.and_then(|text| value::parse_signed(&text.value)).unwrap_or(0);
    Some(WindowSpec { on, size, slide, offset })
}

fn session(section: &mut Section<'_, '_>) -> Option<SessionSpec> {
    section.require("on", r#"on = "timestamp""#);
    section.require("gap", r#"gap = "30s""#);
    let (on, gap) = (section.string("on"), section.string("gap"));
    section.refuse_unknown("a session");
    let (on, gap) = (on?, gap?);
    let gap = match value::parse_duration(&gap.value) {
        Ok(fixed) if fixed > Duration::ZERO => Gap::Fixed(fixed),
        Ok(_) => {
            let message = format!("`gap` in {} must be longer than nothing", section.name());
            section.problem(Diagnostic::error(message).at(gap.span, ""));
            return None;
        }
        Err(_) => Gap::PerRow(gap),
    };
    Some(SessionSpec { on, gap })
}

/// Reads `drop_duplicates` and what belongs to it.
pub(super) fn distinct(section: &mut Section<'_, '_>) -> Option<DistinctSpec> {
    let by = section.strings("drop_duplicates");
    let within_watermark = section.bool("within_watermark").unwrap_or(false);
    Some(DistinctSpec { by: by?, within_watermark })
}
