//! What `wit-bindgen` makes of the WIT package, for a plugin without keyed state.

wit_bindgen::generate!({
    path: "../../../wit",
    inline: "
        package tidemill:misbehaving;

        world misbehaving {
            import tidemill:plugin/log@0.1.0;
            import tidemill:plugin/context@0.1.0;
            import tidemill:plugin/outlets@0.1.0;
            export tidemill:plugin/describe@0.1.0;
            export tidemill:plugin/transform@0.1.0;
            export tidemill:plugin/filter@0.1.0;
            export tidemill:plugin/reducer@0.1.0;
            export tidemill:plugin/batch-handler@0.1.0;
        }
    ",
    world: "tidemill:misbehaving/misbehaving",
    pub_export_macro: true,
    generate_all,
});
