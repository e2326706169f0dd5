//! What `wit-bindgen` makes of the WIT package.

wit_bindgen::generate!({
    path: "../../../wit",
    world: "plugin",
    pub_export_macro: true,
    generate_all,
});
