//! The functions by name and role. A handle is a function's place in the list.

use crate::{
    Misbehaving,
    bindings::exports::tidemill::plugin::describe::{Function, Guest, Outlet, Plugin, Role},
    wire::{DataType, field},
};

const FUNCTIONS: &[(Role, &[&str])] = &[
    (
        Role::Transform,
        &[
            // Over the row `bad`.
            "panics",
            "loops",
            "hoards",
            "overflows",
            "exits",
            "refuses",
            // As a whole.
            "gives_up",
            "blames_nobody",
            "writes_to_an_outlet",
            // In what it returns.
            "offsets_descend",
            "offset_negative",
            "offset_beyond",
            "offset_missing",
            "offsets_missing",
            "parents_descend",
            "parent_beyond",
            "parent_missing",
            "parents_missing",
            "column_short",
            "column_missing",
            "column_extra",
            "column_of_another_type",
            "text_not_utf8",
            "text_cut_in_a_character",
            "null_unexpected",
            "validity_short",
            // Nothing that is forbidden.
            "echoes",
            "sleeps",
            "looks_around",
            "rolls_dice",
            "shouts",
            "speaks",
        ],
    ),
    (Role::Filter, &["filter_panics", "filter_loops", "filter_mask_short"]),
    (
        Role::Reducer,
        &[
            "counts",
            "reducer_panics",
            "reducer_loops",
            "states_missing",
            "states_of_text",
            "merge_loses_one",
            "finish_loses_one",
            "finish_panics",
        ],
    ),
    (
        Role::KeyedState,
        &[
            // Over the row `bad`.
            "keyed_panics",
            "keyed_loops",
            "keyed_refuses",
            // As a whole.
            "keyed_gives_up",
            // In what it returns.
            "keyed_states_missing",
            "keyed_states_of_numbers",
            "keyed_states_validity_short",
            "keyed_expiry_short",
            "keyed_expiry_of_numbers",
            "keyed_expiry_validity_short",
            "keyed_rows_missing",
            "keyed_rows_of_numbers",
            "keyed_rows_not_utf8",
            "keyed_groups_missing",
            "keyed_groups_descend",
            "keyed_group_beyond",
            "keyed_timers_without_times",
            "keyed_timers_without_clocks",
            "keyed_timers_without_groups",
            "keyed_timer_beyond",
            "keyed_cancel_beyond",
            "keyed_timer_on_no_clock",
            // When it migrates.
            "migration_panics",
            "migration_fails",
            "migration_loses_one",
            "migration_removes_one",
            "migration_to_text",
            // Nothing that is forbidden.
            "keyed_counts",
        ],
    ),
    (
        Role::BatchHandler,
        &["handler_panics", "handler_loops", "handler_unknown_outlet", "handler_misfit", "handler_hoards"],
    ),
];

/// The function that a handle stands for.
pub(crate) fn name(handle: u32) -> &'static str {
    all().nth(handle as usize).expect("the host uses the handles it was given").1
}

fn all() -> impl Iterator<Item = (Role, &'static str)> {
    FUNCTIONS.iter().flat_map(|(role, names)| names.iter().map(|name| (*role, *name)))
}

impl Guest for Misbehaving {
    fn describe() -> Plugin {
        let functions = all().map(|(role, name)| function(role, name)).collect();
        Plugin { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), functions }
    }

    fn check_config(_: String, _: String) -> Result<(), String> {
        Err("no function here takes a config".to_owned())
    }

    fn prepare(function: String, _: Option<String>) -> Result<u32, String> {
        let place = all().position(|(_, name)| name == function).ok_or("no such function")?;
        Ok(place as u32)
    }
}

fn function(role: Role, name: &str) -> Function {
    let out = match name {
        "column_short" => DataType::Int64,
        _ => DataType::Utf8,
    };
    let has_output = matches!(role, Role::Transform | Role::Reducer | Role::KeyedState);
    let is_keyed = matches!(role, Role::KeyedState);
    let outlet = || Outlet { name: "out".to_owned(), columns: vec![field("out", DataType::Utf8)] };
    Function {
        name: name.to_owned(),
        role,
        doc: name.replace('_', " "),
        input: vec![field("value", DataType::Utf8)],
        key: is_keyed.then(|| field("key", DataType::Utf8)).into_iter().collect(),
        output: has_output.then(|| field("out", out)).into_iter().collect(),
        outlets: matches!(role, Role::BatchHandler).then(outlet).into_iter().collect(),
        config_schema: None,
        default_config: None,
        retracts: false,
        state_version: if is_keyed { 2 } else { 0 },
    }
}
