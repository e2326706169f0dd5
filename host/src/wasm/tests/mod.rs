//! Calls of real plugins, instance by instance.

mod cache;
mod keyed_state;
mod many;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use super::Loader;
use crate::{
    manifest::Limits,
    model::{Epoch, ProcessingTime},
    ports::{CallScope, FunctionUse, Instance, Plugin, PluginLoader},
    toolchain,
};

/// The plugin with a function of each role that does it right.
static BEHAVING: OnceLock<Arc<dyn Plugin>> = OnceLock::new();
/// The plugin with a function for each thing that can be done wrong.
static MISBEHAVING: OnceLock<Arc<dyn Plugin>> = OnceLock::new();

fn behaving() -> &'static dyn Plugin {
    BEHAVING.get_or_init(|| load("behaving")).as_ref()
}

fn misbehaving() -> &'static dyn Plugin {
    MISBEHAVING.get_or_init(|| load("misbehaving")).as_ref()
}

/// One of the plugins in `tests/plugins`.
fn load(name: &str) -> Arc<dyn Plugin> {
    let loader = Loader::new(None).expect("the engine starts");
    loader.load(name, &component(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// Its file.
fn component(name: &str) -> Vec<u8> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("host/ stands in the repository");
    let crate_dir: PathBuf = repository.join("tests/plugins").join(name);
    let file = toolchain::build(&crate_dir, &mut |line| eprintln!("{line}")).unwrap_or_else(|error| panic!("{error}"));
    fs::read(file).expect("it was just built")
}

/// An instance with one function prepared, in an epoch.
fn instance(plugin: &dyn Plugin, function: &str) -> Box<dyn Instance> {
    let used = FunctionUse { label: format!("guest.{function}"), function: function.to_owned(), config: None };
    let mut instance = plugin.instantiate(&[used], Limits::default()).unwrap_or_else(|error| panic!("{error}"));
    instance.enter(&scope(Epoch::FIRST, ProcessingTime::from_micros(0)));
    instance
}

fn scope(epoch: Epoch, batch_time: ProcessingTime) -> CallScope {
    CallScope { epoch, batch_time, seed: 7 }
}
