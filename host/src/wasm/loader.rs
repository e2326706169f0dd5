//! From the bytes of a file to a plugin that can be instantiated.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use wasmtime::{
    Engine,
    component::{Component, InstancePre, Linker},
};

use super::{
    cache::Cache,
    engine,
    guest::{self, GuestState},
    plugin::WasmPlugin,
};
use crate::{
    model::Digest,
    ports::{LoadError, Plugin, PluginLoader},
};

/// How often running guests are asked whether their deadline has passed: the grain of `call_timeout`.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The name and version of the WIT package, as interface names carry it.
const PACKAGE: &str = "tidemill:plugin/";
const VERSION: &str = "0.1.0";

/// Compiles and loads plugins.
pub struct Loader {
    engine: Engine,
    linker: Linker<GuestState>,
    cache: Cache,
    _ticker: Ticker,
}

impl Loader {
    /// A loader that keeps compiled code in this folder, if one is given.
    pub fn new(cache: Option<PathBuf>) -> Result<Self, LoadError> {
        let build = || -> wasmtime::Result<Self> {
            let engine = engine::start()?;
            let mut linker = Linker::new(&engine);
            guest::link(&mut linker)?;
            Ok(Loader { _ticker: Ticker::start(&engine)?, cache: Cache::open(cache), engine, linker })
        };
        build().map_err(|error| LoadError(format!("the WebAssembly engine does not start here: {error:#}")))
    }

    fn compile(&self, origin: &str, bytes: &[u8]) -> Result<Component, LoadError> {
        let encoded = match kind(bytes) {
            Kind::Component => None,
            Kind::CoreModule => Some(to_component(origin, bytes)?),
            Kind::Other(what) => {
                return Err(LoadError(format!(
                    "{origin} is not a WebAssembly component: {what}; build a plugin with `tidemill build`"
                )));
            }
        };
        Component::new(&self.engine, encoded.as_deref().unwrap_or(bytes)).map_err(|error| {
            let words = root_words(&error);
            let what = engine::too_large(&words)
                .unwrap_or_else(|| format!("is damaged or cut short: {words}; build it again with `tidemill build`"));
            LoadError(format!("{origin} {what}"))
        })
    }

    fn link(&self, origin: &str, component: &Component) -> Result<InstancePre<GuestState>, LoadError> {
        let interfaces: Vec<String> =
            component.component_type().exports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        check_interfaces(origin, &interfaces)?;
        self.linker.instantiate_pre(component).map_err(|error| {
            // The outermost words name the import; the innermost only how it is lacking.
            LoadError(format!("{origin} imports what Tidemill does not offer to plugins: {error}"))
        })
    }
}

impl PluginLoader for Loader {
    fn load(&self, origin: &str, bytes: &[u8]) -> Result<Arc<dyn Plugin>, LoadError> {
        let digest = Digest::of(bytes);
        let cached = self.cache.get(&self.engine, digest);
        let is_new = cached.is_none();
        let component = cached.map_or_else(|| self.compile(origin, bytes), Ok)?;
        let instance_pre = self.link(origin, &component)?;
        let imports = component.component_type().imports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        let plugin = WasmPlugin::describe(origin, digest, instance_pre, imports)?;
        if is_new {
            // Only what has proved to be a plugin is kept.
            self.cache.put(&self.engine, digest, &component);
        }
        Ok(Arc::new(plugin))
    }
}

enum Kind {
    Component,
    CoreModule,
    Other(&'static str),
}

/// What the first eight bytes say: magic number, version, layer.
fn kind(bytes: &[u8]) -> Kind {
    match bytes {
        [b'\0', b'a', b's', b'm', 0x01, 0x00, 0x00, 0x00, ..] => Kind::CoreModule,
        [b'\0', b'a', b's', b'm', _, _, 0x01, 0x00, ..] => Kind::Component,
        [b'\0', b'a', b's', b'm', ..] => Kind::Other("it is of a WebAssembly version this binary does not know"),
        [] => Kind::Other("it is empty"),
        _ => Kind::Other("it does not start with the bytes `\\0asm`"),
    }
}

/// A core module with component metadata, as built for wasm32-unknown-unknown, becomes a component.
fn to_component(origin: &str, module: &[u8]) -> Result<Vec<u8>, LoadError> {
    let unusable = |why: String| {
        LoadError(format!(
            "{origin} is a core module without usable component metadata ({why}); build it for wasm32-wasip2, which \
             `tidemill build` does, or embed the metadata of tidemill:plugin"
        ))
    };
    // From a module without any, the encoder would make a component that exports nothing.
    let (stripped, _) =
        wit_component::metadata::decode(module).map_err(|error| unusable(error.root_cause().to_string()))?;
    stripped.ok_or_else(|| unusable("it has none".to_owned()))?;
    let encode = || wit_component::ComponentEncoder::default().validate(true).module(module)?.encode();
    encode().map_err(|error| unusable(error.root_cause().to_string()))
}

/// A component that is no plugin, or one of another version, is told apart from one that is merely broken.
fn check_interfaces(origin: &str, exports: &[String]) -> Result<(), LoadError> {
    let ours: Vec<&String> = exports.iter().filter(|name| name.starts_with(PACKAGE)).collect();
    if ours.is_empty() {
        return Err(LoadError(format!(
            "{origin} is a component, but no plugin: it exports nothing of tidemill:plugin@{VERSION}; \
             write one with `tidemill new`, or call `plugin!(...)` in this one"
        )));
    }
    let other = ours.iter().find_map(|name| name.split_once('@').map(|(_, v)| v).filter(|v| *v != VERSION));
    match other {
        Some(other) => Err(LoadError(format!(
            "{origin} was built for tidemill:plugin@{other}, but this binary speaks {VERSION}; build it again with the SDK of \
             this binary, or run it with the binary it was built for"
        ))),
        None => Ok(()),
    }
}

/// The innermost reason of an error, on one line.
pub(super) fn root_words(error: &wasmtime::Error) -> String {
    error.root_cause().to_string().lines().next().unwrap_or_default().to_owned()
}

/// Counts the engine's epochs up, so that a guest that runs too long notices.
struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Without it no call would ever run into its time limit.
    fn start(engine: &Engine) -> io::Result<Self> {
        let engine = engine.weak();
        let (stop, stopped): (Sender<()>, Receiver<()>) = mpsc::channel();
        let tick = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => break,
                }
            }
        };
        let thread = thread::Builder::new().name("wasm-ticker".to_owned()).spawn(tick)?;
        Ok(Ticker { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
