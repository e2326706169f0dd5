//! What cargo knows of a plugin's crate before it builds it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    BuildError,
    cargo::{self, Tools},
};

/// A crate in its workspace, as `cargo metadata` tells it.
#[derive(Debug)]
pub(super) struct Project {
    /// The folder that was asked for.
    pub(super) dir: PathBuf,
    /// The crate in it.
    pub(super) package: Package,
    /// All crates of the workspace, this one among them.
    pub(super) members: Vec<Package>,
    /// The folder of the workspace, often the crate's own.
    pub(super) workspace: PathBuf,
    /// Where cargo builds this workspace when nobody says otherwise.
    pub(super) target: PathBuf,
}

/// One crate.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Dependency {
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

impl Project {
    /// Asks cargo about the crate in this folder.
    pub(super) fn read(dir: &Path, tools: &Tools) -> Result<Self, BuildError> {
        let shown = dir.display();
        let manifest = dir.join("Cargo.toml");
        // cargo itself would go on to look in the folders above.
        let manifest = manifest.canonicalize().map_err(|error| {
            BuildError(format!(
                "no plugin crate in `{shown}`: `{}` cannot be read: {error}; `tidemill new NAME` makes a crate",
                manifest.display()
            ))
        })?;
        let mut command = tools.cargo(dir);
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let mut json = String::new();
        let outcome = cargo::run(command, |line| json.push_str(line), &mut |_| {}).map_err(BuildError::no_cargo)?;
        if !outcome.status.success() {
            return Err(BuildError(format!("{}cargo cannot make sense of crate `{shown}`", outcome.messages)));
        }
        let metadata: Metadata = serde_json::from_str(&json).map_err(|error| {
            BuildError(format!(
                "`cargo metadata` in `{shown}` gave something unexpected: {error}; is this cargo up to date?"
            ))
        })?;
        let package = metadata
            .packages
            .iter()
            .find(|package| package.manifest_path.canonicalize().is_ok_and(|path| path == manifest));
        let Some(package) = package.cloned() else {
            return Err(BuildError(format!(
                "`{shown}` is a workspace without a crate of its own: name the folder of one crate"
            )));
        };
        Ok(Project {
            dir: dir.to_owned(),
            package,
            members: metadata.packages,
            workspace: metadata.workspace_root,
            target: metadata.target_directory,
        })
    }

    /// A setting of the workspace's release profile, if it has one of its own.
    pub(super) fn sets_in_release(&self, setting: &str) -> bool {
        // cargo has read the file, so it is there and is TOML; if it has vanished since, the build will say so.
        let text = fs::read_to_string(self.workspace.join("Cargo.toml")).unwrap_or_default();
        let root: toml::Table = text.parse().unwrap_or_default();
        ["profile", "release"]
            .iter()
            .try_fold(&root, |table, key| table.get(*key)?.as_table())
            .is_some_and(|release| release.contains_key(setting))
    }
}

impl Package {
    /// Whether it builds what becomes a component.
    pub(super) fn is_cdylib(&self) -> bool {
        self.targets.iter().any(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))
    }

    /// The folders of the crates it depends on by path.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.dependencies.iter().filter_map(|dependency| dependency.path.as_deref())
    }
}
