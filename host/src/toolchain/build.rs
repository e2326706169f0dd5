//! Building a plugin: one cargo call, a second one when the target had to be added first.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::model::Digest;

use super::{
    TARGET,
    cargo::{self, Tools},
    project::Project,
};

/// Settings that make a plugin small and fast; a crate's own release profile goes before them. With link-time
/// optimisation the SDK's loops are inlined into the plugin's. Names are kept: a trap's backtrace is worth the tenth of
/// size.
const RELEASE_DEFAULTS: [(&str, &str); 3] = [("lto", "true"), ("codegen-units", "1"), ("strip", "\"debuginfo\"")];

/// Why a crate gave no plugin: the compiler's own words, when it has any, and a last line that names the crate.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(pub String);

impl BuildError {
    pub(super) fn no_cargo(error: io::Error) -> Self {
        BuildError(match error.kind() {
            io::ErrorKind::NotFound => {
                "cargo was not found: a plugin crate is built with Rust; install it from https://rustup.rs, or name the plugin's \
                 finished .wasm file instead"
                    .to_owned()
            }
            _ => format!("cargo could not be run: {error}"),
        })
    }
}

/// Builds the plugin crate in this folder and says where its component is.
///
/// `progress` hears what cargo is doing, and, when all went well, the warnings.
pub fn build(crate_dir: &Path, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, BuildError> {
    build_with(&Tools::found(), crate_dir, progress)
}

fn build_with(tools: &Tools, crate_dir: &Path, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, BuildError> {
    let project = Project::read(crate_dir, tools)?;
    let name = &project.package.name;
    if !project.package.is_cdylib() {
        return Err(BuildError(format!(
            "crate `{name}` in `{}` builds no component; write in its Cargo.toml:\n\n[lib]\ncrate-type = [\"cdylib\"]\n",
            crate_dir.display()
        )));
    }
    let mut built = compile(&project, tools, progress)?;
    if built.lacks_target() {
        add_target(&project, tools, progress)?;
        built = compile(&project, tools, progress)?;
        if built.lacks_target() {
            return Err(BuildError(format!(
                "{}rustup has added the Rust target {TARGET}, but to another Rust than the one `{}` builds with: put rustup's \
                 first on the path, or install the target with the package manager that one came from",
                built.outcome.messages,
                tools.cargo.display()
            )));
        }
    }
    match (built.outcome.status.success(), built.component) {
        (true, Some(component)) => {
            built.outcome.messages.lines().for_each(progress);
            Ok(component)
        }
        (true, None) => Err(BuildError(format!(
            "{}crate `{name}` in `{}` was built, but cargo names no .wasm file of it",
            built.outcome.messages,
            crate_dir.display()
        ))),
        (false, _) => Err(BuildError(format!(
            "{}plugin crate `{name}` in `{}` does not build",
            built.outcome.messages,
            crate_dir.display()
        ))),
    }
}

struct Built {
    outcome: cargo::Outcome,
    component: Option<PathBuf>,
}

impl Built {
    /// Whether the compiler failed only because the target's standard library is not installed.
    fn lacks_target(&self) -> bool {
        !self.outcome.status.success()
            && self.outcome.messages.contains(&format!("`{TARGET}` target may not be installed"))
    }
}

/// What cargo says of each thing it has made.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    filenames: Vec<PathBuf>,
}

fn compile(project: &Project, tools: &Tools, progress: &mut dyn FnMut(&str)) -> Result<Built, BuildError> {
    let mut command = tools.cargo(&project.dir);
    command.args(["build", "--lib", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    // Through --config and not RUSTFLAGS, which would take the place of the author's own flags.
    command.args(["--config", &format!("target.{TARGET}.rustflags=[\"-Ctarget-feature=+simd128\"]")]);
    for (setting, value) in RELEASE_DEFAULTS {
        if !project.sets_in_release(setting) {
            command.args(["--config", &format!("profile.release.{setting}={value}")]);
        }
    }
    command.arg("--target-dir").arg(target_dir(project));
    let mut component = None;
    let outcome = cargo::run(
        command,
        |line| {
            // Lines of other kinds lack these fields.
            let Ok(artifact) = serde_json::from_str::<Artifact>(line) else { return };
            let wasm = artifact
                .filenames
                .into_iter()
                .find(|file| file.extension().is_some_and(|extension| extension == "wasm"));
            if artifact.manifest_path == project.package.manifest_path && wasm.is_some() {
                component = wasm;
            }
        },
        progress,
    )
    .map_err(BuildError::no_cargo)?;
    Ok(Built { outcome, component })
}

/// A folder for these builds alone, because their flags are not those of the author's own builds.
fn target_dir(project: &Project) -> PathBuf {
    let ours = project.target.join("tidemill");
    if project.target.starts_with(&project.workspace) {
        return ours;
    }
    // In a folder shared between workspaces (CARGO_TARGET_DIR) cargo takes two crates of one name and version for the
    // same crate, and may hand out the component of the other.
    ours.join(Digest::of(project.workspace.as_os_str().as_encoded_bytes()).short())
}

/// Adds the target where it is missing. Several builds may find that out at the same moment, in threads or in
/// processes, but two rustups at work on one toolchain fail with a conflict; so they take turns, and to all but the
/// first rustup says that the target is there.
fn add_target(project: &Project, tools: &Tools, progress: &mut dyn FnMut(&str)) -> Result<(), BuildError> {
    progress(&format!("the Rust target {TARGET} is missing; adding it: rustup target add {TARGET}"));
    let mut command = tools.rustup(&project.dir);
    command.args(["target", "add", TARGET]);
    let _alone = tools.lock_rustup();
    match cargo::run(command, |_| {}, progress) {
        Ok(outcome) if outcome.status.success() => Ok(()),
        Ok(outcome) => Err(BuildError(format!(
            "{}the Rust target {TARGET} is missing and rustup could not add it: see to what it says, then run `rustup target add \
             {TARGET}` yourself",
            outcome.messages
        ))),
        Err(error) => Err(BuildError(format!(
            "the Rust target {TARGET} is missing and rustup, which would add it, cannot be run: {error}; install the target with \
             the package manager Rust came from, or Rust from https://rustup.rs"
        ))),
    }
}

#[cfg(test)]
mod tests;
