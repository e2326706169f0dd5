//! `tidemill new`: a plugin crate that builds, whose test passes, with a pipeline that runs it at once.

mod name;
mod sdk;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::ports::Role;

pub use sdk::SdkLocation;

/// Why there is no new crate. The text says what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ScaffoldError(pub String);

/// A file of the new crate, and its text with places to fill in.
type Template = (&'static str, &'static str);

const SHARED: [Template; 3] = [
    ("Cargo.toml", include_str!("templates/manifest.toml")),
    ("README.md", include_str!("templates/README.md")),
    (".gitignore", include_str!("templates/gitignore")),
];

/// Makes the crate `name` in the folder `dir` and says which files it is made of.
pub fn create(dir: &Path, name: &str, role: Role, sdk: &SdkLocation) -> Result<Vec<PathBuf>, ScaffoldError> {
    name::check(name)?;
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(ScaffoldError(format!(
            "`{}` is there already and not empty: choose another name or place",
            dir.display()
        )));
    }
    let sdk = sdk.folder()?;
    let sdk = sdk.to_str().ok_or_else(|| {
        ScaffoldError(format!("the SDK lies in `{}`, which a Cargo.toml cannot name: put it elsewhere", sdk.display()))
    })?;
    let version = env!("CARGO_PKG_VERSION");
    // A path as JSON is a path as TOML.
    let path = serde_json::to_string(sdk).expect("a string can always be written as JSON");
    let input = match role {
        Role::KeyedState => "input.jsonl",
        _ => "input.txt",
    };
    let places = [
        ("{{name}}", name),
        ("{{role}}", role.name()),
        ("{{run}}\n", include_str!("templates/run.md")),
        ("{{input}}", input),
        ("{{sdk}}", &path),
        ("{{version}}", version),
    ];
    SHARED
        .iter()
        .chain(of_role(role))
        .map(|(file, template)| {
            let text = places.iter().fold((*template).to_owned(), |text, (place, value)| text.replace(place, value));
            write(&dir.join(file), &text)
        })
        .collect()
}

/// The function and its test, and a pipeline with its input.
fn of_role(role: Role) -> &'static [Template] {
    match role {
        Role::Transform => &[
            ("src/lib.rs", include_str!("templates/transform/lib.rs")),
            ("pipeline.toml", include_str!("templates/transform/pipeline.toml")),
            ("input.txt", include_str!("templates/transform/input.txt")),
        ],
        Role::Filter => &[
            ("src/lib.rs", include_str!("templates/filter/lib.rs")),
            ("pipeline.toml", include_str!("templates/filter/pipeline.toml")),
            ("input.txt", include_str!("templates/filter/input.txt")),
        ],
        Role::Reducer => &[
            ("src/lib.rs", include_str!("templates/reducer/lib.rs")),
            ("pipeline.toml", include_str!("templates/reducer/pipeline.toml")),
            ("input.txt", include_str!("templates/reducer/input.txt")),
        ],
        Role::KeyedState => &[
            ("src/lib.rs", include_str!("templates/keyed-state/lib.rs")),
            ("pipeline.toml", include_str!("templates/keyed-state/pipeline.toml")),
            ("input.jsonl", include_str!("templates/keyed-state/input.jsonl")),
        ],
        Role::BatchHandler => &[
            ("src/lib.rs", include_str!("templates/batch-handler/lib.rs")),
            ("pipeline.toml", include_str!("templates/batch-handler/pipeline.toml")),
            ("input.txt", include_str!("templates/batch-handler/input.txt")),
        ],
    }
}

fn write(path: &Path, text: &str) -> Result<PathBuf, ScaffoldError> {
    let folder = path.parent().expect("every template lies in a folder");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| ScaffoldError(format!("cannot write `{}`: {error}; choose another place", path.display())))?;
    Ok(path.to_owned())
}
