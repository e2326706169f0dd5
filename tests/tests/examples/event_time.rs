//! `sensor-windows` and `user-visits`: windows and sessions, closed by a watermark.

use crate::{
    run::{Example, examples, text},
    table::quoted,
};

/// Both pipelines show their result in their first lines, where people read it who learn what a watermark does. It
/// comes out in the second batch, because the first has only moved the watermark.
#[test]
fn what_is_over_comes_out_as_shown() {
    for pipeline in ["sensor-windows/pipeline.toml", "user-visits/pipeline.toml"] {
        let mut example = Example::new(pipeline);
        if pipeline.starts_with("sensor") {
            example = example.set_path("sinks.late.path", "late");
        }
        let mut shown = example.run();
        let last = shown.pop().unwrap_or_else(|| panic!("{pipeline} shows nothing"));
        assert!(last.batch == 1 && shown.iter().all(|table| table.rows.is_empty()), "{pipeline}: {shown:?} {last:?}");
        assert_eq!(last.sorted(), quoted(&text(&examples().join(pipeline))), "{pipeline}");
    }
}
