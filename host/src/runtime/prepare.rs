//! From a manifest to a pipeline that is known to fit: plugins built and loaded, every column checked. Nothing of it
//! runs yet.

use std::{fs, path::Path, sync::Arc};

use crate::{
    manifest::{Diagnostic, Diagnostics, Manifest, PluginOrigin, PluginSpec},
    model::Digest,
    plan::{Plan, build},
    ports::{LoadError, Plugin, PluginLoader},
    source, table, toolchain,
};

/// A pipeline that is known to fit.
pub struct Prepared {
    /// What was asked for.
    pub manifest: Manifest,
    /// The identity of the manifest, overrides included.
    pub digest: Digest,
    /// The plugins, in the order of the manifest.
    pub plugins: Vec<Arc<dyn Plugin>>,
    /// The checked plan.
    pub plan: Plan,
}

/// Why a pipeline is not ready.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The manifest and its plugins do not fit together.
    #[error(transparent)]
    Manifest(#[from] Diagnostics),
    /// A plugin's crate does not build.
    #[error(transparent)]
    Build(#[from] toolchain::BuildError),
    /// A plugin's file cannot be read or is not a plugin.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Prepares pipelines.
pub struct Preparer<'a> {
    /// Loads plugins.
    pub loader: &'a dyn PluginLoader,
    /// Told what takes long: building crates, adding the target.
    pub report: &'a mut dyn FnMut(&str),
}

impl Preparer<'_> {
    /// Builds and loads the plugins of a manifest and checks the pipeline.
    pub fn prepare(&mut self, manifest: Manifest) -> Result<Prepared, PrepareError> {
        let plugins =
            manifest.plugins.iter().map(|spec| self.plugin(&manifest, spec)).collect::<Result<Vec<_>, _>>()?;
        let schemas: Vec<_> = manifest.sources.iter().map(|spec| source::schema(&spec.connector)).collect();
        let tables: Vec<_> = manifest.tables.iter().map(table::schema).collect();
        let plan = build(&manifest, &plugins, &schemas, &tables)?;
        let digest = Digest::of(manifest.source.whole().as_bytes());
        Ok(Prepared { manifest, digest, plugins, plan })
    }

    fn plugin(&mut self, manifest: &Manifest, spec: &PluginSpec) -> Result<Arc<dyn Plugin>, PrepareError> {
        let built;
        let path: &Path = match &spec.origin.value {
            PluginOrigin::Path(path) => path,
            PluginOrigin::Crate(folder) => {
                built = toolchain::build(folder, self.report)?;
                &built
            }
        };
        let bytes = fs::read(path).map_err(|error| {
            let mut faults = manifest.diagnostics();
            faults.push(
                Diagnostic::error(format!(
                    "plugin `{}` cannot be read from {}: {error}",
                    spec.name.value,
                    path.display()
                ))
                .at(spec.origin.span.clone(), "")
                .help("build it with `tidemill build`, or name its crate: crate = \"...\""),
            );
            faults
        })?;
        if let Some(expected) = &spec.sha256 {
            let found = Digest::of(&bytes).to_string();
            if found != expected.value.to_lowercase() {
                let mut faults = manifest.diagnostics();
                faults.push(
                    Diagnostic::error(format!("{} is not the module this pipeline expects", path.display()))
                        .at(expected.span.clone(), format!("found {found}"))
                        .help("put the expected file back, or change sha256 to the one found"),
                );
                return Err(faults.into());
            }
        }
        Ok(self.loader.load(&path.display().to_string(), &bytes)?)
    }
}
