//! A pipeline with one function of the plugin `misbehaving` in it.

use tidemill_tests::{Folder, plugin};

/// Rows from `in`, file by file, through the stage that `stage` says, to `out`, and those set aside to `aside`.
pub(super) fn misbehaving(stage: &str) -> Folder {
    let plugin = plugin("misbehaving").display();
    Folder::with(&format!(
        r#"
        name = "misbehaving"
        trigger = "available-now"
        limits = {{ call_timeout = "500ms", memory = "32MiB" }}

        [plugins.guest]
        path = "{plugin}"

        [sources.lines]
        type = "files"
        path = "in"
        max_files_per_trigger = 1

        [transforms.stage]
        inputs = ["lines"]
        {stage}

        [sinks.out]
        inputs = ["stage"]
        type = "files"
        path = "out"
        format = "json"

        [sinks.aside]
        inputs = ["dead_letters"]
        type = "files"
        path = "aside"
        format = "json"
        "#
    ))
}
