//! What `wit-bindgen` makes of the WIT package: the host's side of every call, and nothing a plugin names.

wit_bindgen::generate!({
    path: "../wit",
    world: "plugin",
    pub_export_macro: true,
    additional_derives: [Clone, PartialEq],
});
