//! Configs: what a manifest can set for one use of a function.
//!
//! A config is read with serde. Its JSON Schema is written by a trait of our own, because a plugin is a small file and
//! the crates for the purpose are larger than all the rest of one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::de::DeserializeOwned;

/// The settings of a function: `#[config]` above a struct makes it one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a config",
    label = "not a config",
    note = "write `#[config]` above `struct {Self}`"
)]
pub trait Config: Sized + 'static {
    /// Its shape as JSON Schema; none when there is nothing to set.
    fn schema() -> Option<String>;
    /// Reads it from JSON; none when the manifest says nothing. The error names the setting.
    fn parse(json: Option<&str>) -> Result<Self, String>;
}

/// The config of a function that takes none.
#[derive(Debug)]
pub struct NoConfig;

impl Config for NoConfig {
    fn schema() -> Option<String> {
        None
    }

    fn parse(json: Option<&str>) -> Result<Self, String> {
        match json {
            None => Ok(NoConfig),
            Some(_) => Err("takes no config: remove it".to_owned()),
        }
    }
}

/// A value that can be set.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a setting",
    label = "not the type of any setting",
    note = "a setting is a bool, a number, a String, an Option, a Vec, a set or a map by String of settings, or a struct or \
            enum with `#[config]` above it"
)]
pub trait Setting {
    /// Writes the keywords of its JSON Schema, without the braces around them.
    fn keywords(schema: &mut String);
}

/// The shape of a config as JSON Schema: what `#[config]` calls.
pub fn schema<T: Setting>() -> String {
    let mut schema = String::from("{");
    T::keywords(&mut schema);
    schema.push('}');
    schema
}

/// Reads a config, an empty one when the manifest gives none: what `#[config]` calls.
pub fn parse<T: DeserializeOwned>(json: Option<&str>) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_str(json.unwrap_or("{}"));
    let config = serde_path_to_error::deserialize(&mut json).map_err(|error| match error.path().to_string() {
        path if path == "." => without_place(error.inner()),
        path => format!("setting `{path}`: {}", without_place(error.inner())),
    })?;
    json.end().map_err(|error| without_place(&error))?;
    Ok(config)
}

/// The error without its line and column: they count in JSON that the author of a manifest has never seen.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text).to_owned()
}

macro_rules! plain {
    ($keywords:literal: $($setting:ty),+) => {
        $(impl Setting for $setting {
            fn keywords(schema: &mut String) {
                schema.push_str($keywords);
            }
        })+
    };
}

plain!(r#""type":"boolean""#: bool);
plain!(r#""type":"string""#: String);
plain!(r#""type":"number""#: f32, f64);
plain!(r#""type":"integer""#: i8, i16, i32, i64, isize);
plain!(r#""type":"integer","minimum":0"#: u8, u16, u32, u64, usize);

/// Keywords that hold a schema.
macro_rules! nested {
    ($keywords:literal: $($setting:ty),+) => {
        $(impl<T: Setting> Setting for $setting {
            fn keywords(schema: &mut String) {
                schema.push_str($keywords);
                T::keywords(schema);
                schema.push('}');
            }
        })+
    };
}

nested!(r#""type":"array","items":{"#: Vec<T>);
nested!(r#""type":"array","uniqueItems":true,"items":{"#: BTreeSet<T>, HashSet<T>);
nested!(r#""type":"object","additionalProperties":{"#: BTreeMap<String, T>, HashMap<String, T>);

impl<T: Setting> Setting for Option<T> {
    fn keywords(schema: &mut String) {
        schema.push_str(r#""anyOf":[{"type":"null"},{"#);
        T::keywords(schema);
        schema.push_str("}]");
    }
}
