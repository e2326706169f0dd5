//! Names of the parts of a pipeline.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a source, transform or sink. It is the part's identity: state belongs to it across deployments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartName(String);

impl PartName {
    /// Wraps a name the manifest has already checked.
    pub fn new(name: impl Into<String>) -> Self {
        PartName(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for PartName {
    fn from(name: &str) -> Self {
        PartName(name.to_owned())
    }
}
