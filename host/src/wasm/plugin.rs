//! A loaded plugin: its description, and stores with an instance in them.

use std::{sync::Arc, time::Duration};

use wasmtime::{
    Engine, Store, Trap,
    component::{Instance, InstancePre},
};

use super::{
    bindings::exports::tidemill::plugin::{batch_handler, describe, filter, keyed_state, reducer, transform},
    describe::description,
    engine,
    guest::GuestState,
    instance::WasmInstance,
    loader::{TICK, root_words},
};
use crate::{
    manifest::Limits,
    model::{Digest, Epoch, ProcessingTime},
    ports::{self, CallError, CallScope, Description, FunctionUse, LoadError, Plugin, Role},
};

/// A plugin ready to be instantiated. Cloning it is cheap.
#[derive(Clone)]
pub(super) struct WasmPlugin(Arc<Loaded>);

pub(super) struct Loaded {
    instance_pre: InstancePre<GuestState>,
    exports: Exports,
    description: Description,
    digest: Digest,
    imports: Vec<String>,
}

/// Where the component's interfaces are, looked up once.
struct Exports {
    describe: describe::GuestIndices,
    transform: Option<transform::GuestIndices>,
    filter: Option<filter::GuestIndices>,
    reducer: Option<reducer::GuestIndices>,
    keyed_state: Option<keyed_state::GuestIndices>,
    batch_handler: Option<batch_handler::GuestIndices>,
}

/// A store and an instance in it, with the interfaces it exports.
pub(super) struct Live {
    pub(super) store: Store<GuestState>,
    pub(super) describe: describe::Guest,
    pub(super) transform: Option<transform::Guest>,
    pub(super) filter: Option<filter::Guest>,
    pub(super) reducer: Option<reducer::Guest>,
    pub(super) keyed_state: Option<keyed_state::Guest>,
    pub(super) batch_handler: Option<batch_handler::Guest>,
}

impl WasmPlugin {
    /// Asks a component what it is.
    pub(super) fn describe(
        origin: &str,
        digest: Digest,
        instance_pre: InstancePre<GuestState>,
        imports: Vec<String>,
    ) -> Result<Self, LoadError> {
        let exports = Exports {
            describe: describe::GuestIndices::new(&instance_pre).map_err(|error| {
                LoadError(format!(
                    "{origin} does not export the interface `describe` of tidemill:plugin ({}); call `plugin!(...)` in it",
                    root_words(&error)
                ))
            })?,
            transform: transform::GuestIndices::new(&instance_pre).ok(),
            filter: filter::GuestIndices::new(&instance_pre).ok(),
            reducer: reducer::GuestIndices::new(&instance_pre).ok(),
            keyed_state: keyed_state::GuestIndices::new(&instance_pre).ok(),
            batch_handler: batch_handler::GuestIndices::new(&instance_pre).ok(),
        };
        let unnamed = Description { name: origin.to_owned(), version: String::new(), functions: Vec::new() };
        let mut loaded = Loaded { instance_pre, exports, description: unnamed, digest, imports };
        let mut live = loaded.start(Limits::default()).map_err(|error| LoadError(error.to_string()))?;
        let answer = live.describe.call_describe(&mut live.store);
        let answer = answer
            .map_err(|error| LoadError(format!("{origin} failed to describe itself: {}", reason(&live, &error))))?;
        loaded.description = description(answer, |role| loaded.exports.has(role))
            .map_err(|error| LoadError(format!("{origin} describes itself wrongly: {error}")))?;
        Ok(WasmPlugin(Arc::new(loaded)))
    }
}

impl std::ops::Deref for WasmPlugin {
    type Target = Loaded;

    fn deref(&self) -> &Loaded {
        &self.0
    }
}

impl Loaded {
    pub(super) fn name(&self) -> &str {
        &self.description.name
    }

    pub(super) fn description(&self) -> &Description {
        &self.description
    }

    /// A fresh store with a fresh instance, its clock at 1970 until it is told otherwise.
    pub(super) fn start(&self, limits: Limits) -> Result<Live, CallError> {
        let engine: &Engine = self.instance_pre.engine();
        let mut store = Store::new(engine, GuestState::new(self.name(), limits.memory));
        store.limiter(|state| &mut state.memory);
        // What one call may hand back: no more than it could hold.
        store.set_hostcall_fuel(usize::try_from(limits.memory).unwrap_or(usize::MAX));
        store.set_epoch_deadline(ticks(limits.call_timeout));
        store.data_mut().enter(&AT_LOAD);
        let instance = self.instance_pre.instantiate(&mut store).map_err(|error| {
            let too_much = || store.data().memory.refusal().map(|refusal| format!("it asks for {refusal}"));
            let why = engine::too_many(&error).or_else(too_much).unwrap_or_else(|| root_words(&error));
            CallError::Failed(format!("plugin `{}` does not start: {why}", self.name()))
        })?;
        self.interfaces(store, &instance).map_err(|error| {
            CallError::Contract(format!("plugin `{}` exports something other than it promised: {error:#}", self.name()))
        })
    }

    fn interfaces(&self, mut store: Store<GuestState>, instance: &Instance) -> wasmtime::Result<Live> {
        let exports = &self.exports;
        Ok(Live {
            describe: exports.describe.load(&mut store, instance)?,
            transform: exports.transform.as_ref().map(|i| i.load(&mut store, instance)).transpose()?,
            filter: exports.filter.as_ref().map(|i| i.load(&mut store, instance)).transpose()?,
            reducer: exports.reducer.as_ref().map(|i| i.load(&mut store, instance)).transpose()?,
            keyed_state: exports.keyed_state.as_ref().map(|i| i.load(&mut store, instance)).transpose()?,
            batch_handler: exports.batch_handler.as_ref().map(|i| i.load(&mut store, instance)).transpose()?,
            store,
        })
    }
}

impl Exports {
    fn has(&self, role: Role) -> bool {
        match role {
            Role::Transform => self.transform.is_some(),
            Role::Filter => self.filter.is_some(),
            Role::Reducer => self.reducer.is_some(),
            Role::KeyedState => self.keyed_state.is_some(),
            Role::BatchHandler => self.batch_handler.is_some(),
        }
    }
}

impl Plugin for WasmPlugin {
    fn description(&self) -> &Description {
        &self.description
    }

    fn digest(&self) -> Digest {
        self.digest
    }

    fn imports(&self) -> Vec<String> {
        self.imports.clone()
    }

    fn check_config(&self, function: &str, config: &str) -> Result<(), String> {
        let mut live = self.start(Limits::default()).map_err(|error| error.to_string())?;
        live.store.data().now.begin_call(&format!("{}.{function}", self.name()));
        match live.describe.call_check_config(&mut live.store, function, config) {
            Ok(answer) => answer,
            Err(error) => Err(reason(&live, &error)),
        }
    }

    fn instantiate(&self, uses: &[FunctionUse], limits: Limits) -> Result<Box<dyn ports::Instance>, CallError> {
        Ok(Box::new(WasmInstance::new(self.clone(), uses, limits)?))
    }
}

/// What a guest knows before its first epoch.
const AT_LOAD: CallScope = CallScope { epoch: Epoch::FIRST, batch_time: ProcessingTime::from_micros(0), seed: 0 };

/// A timeout in ticks of the engine; one more, because the first may come at once.
pub(super) fn ticks(timeout: Duration) -> u64 {
    timeout.as_millis().div_ceil(TICK.as_millis()) as u64 + 1
}

/// Why a call trapped. A panic is told by its message alone: the trap that ends it says nothing more.
pub(super) fn reason(live: &Live, error: &wasmtime::Error) -> String {
    let trap = error.downcast_ref::<Trap>();
    let shown = match trap {
        Some(Trap::Interrupt) => "it did not come back in time".to_owned(),
        _ => root_words(error),
    };
    match live.store.data().now.last_words() {
        None => shown,
        Some(said) if trap == Some(&Trap::UnreachableCodeReached) => said,
        Some(said) => format!("{shown}, after it said: {said}"),
    }
}
