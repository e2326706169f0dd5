//! Configs: what a manifest can set for one use of a function.

use schemars::JsonSchema;
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

/// The shape of a type as JSON Schema: what `#[config]` calls.
pub fn schema<T: JsonSchema>() -> String {
    schemars::schema_for!(T).as_value().to_string()
}

/// Reads a config, an empty one when the manifest gives none: what `#[config]` calls.
pub fn parse<T: DeserializeOwned>(json: Option<&str>) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_str(json.unwrap_or("{}"));
    let config = serde_path_to_error::deserialize(&mut json).map_err(|error| match error.path().to_string() {
        path if path == "." => error.inner().to_string(),
        path => format!("setting `{path}`: {}", error.inner()),
    })?;
    json.end().map_err(|error| error.to_string())?;
    Ok(config)
}
