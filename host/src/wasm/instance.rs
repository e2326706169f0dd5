//! An instance that is called, and what is left of it after a call that trapped.
//!
//! A trap poisons the whole store, so it is dropped, and the next call starts a fresh one: that takes microseconds.

use wasmtime::Trap;

use super::{
    bindings::tidemill::plugin::types::Failure,
    plugin::{Live, WasmPlugin, reason, ticks},
};
use crate::{
    manifest::Limits,
    model::Epoch,
    ports::{CallError, CallScope, Function, FunctionUse, UseIndex},
};

/// An instance of a plugin with some functions prepared.
pub(super) struct WasmInstance {
    plugin: WasmPlugin,
    uses: Vec<Prepared>,
    limits: Limits,
    scope: Option<CallScope>,
    live: Option<Ready>,
}

/// A function and the config it is prepared with.
struct Prepared {
    label: String,
    function: Function,
    config: Option<String>,
}

/// A running instance and the handle of each prepared function in it.
struct Ready {
    live: Live,
    handles: Vec<u32>,
    /// Whether it has been called.
    used: bool,
}

impl WasmInstance {
    pub(super) fn new(plugin: WasmPlugin, uses: &[FunctionUse], limits: Limits) -> Result<Self, CallError> {
        let prepared = uses.iter().map(|one| {
            let function = plugin.description().function(&one.function).cloned();
            let function = function.ok_or_else(|| {
                CallError::Contract(format!("plugin `{}` has no function `{}`", plugin.name(), one.function))
            })?;
            Ok(Prepared { label: one.label.clone(), function, config: one.config.clone() })
        });
        let uses = prepared.collect::<Result<_, CallError>>()?;
        let mut instance = WasmInstance { plugin, uses, limits, scope: None, live: None };
        instance.live = Some(instance.start()?);
        Ok(instance)
    }

    /// A fresh instance, every function prepared in the same order, so that handles mean the same.
    fn start(&self) -> Result<Ready, CallError> {
        let mut live = self.plugin.start(self.limits)?;
        if let Some(scope) = &self.scope {
            live.store.data_mut().enter(scope);
        }
        let mut handles = Vec::with_capacity(self.uses.len());
        for prepared in &self.uses {
            let function = &prepared.function;
            live.store.data().now.begin_call(&prepared.label);
            let answer = live.describe.call_prepare(&mut live.store, &function.name, prepared.config.as_deref());
            let answer = answer.map_err(|error| self.trapped(&prepared.label, &mut live, &error))?;
            let refused = |message| CallError::Failed(format!("{}: config refused: {message}", prepared.label));
            let handle = answer.map_err(refused)?;
            handles.push(handle);
        }
        Ok(Ready { live, handles, used: false })
    }

    /// Sets what the following calls may know.
    ///
    /// A used instance is given up: what it may have kept since an earlier epoch, such as where the seeds of Rust's
    /// hash tables have got to, would be lost in a restart, and the epoch would not come out the same again. Who is not
    /// called again costs no new one.
    pub(super) fn enter(&mut self, scope: &CallScope) {
        self.scope = Some(*scope);
        self.live = self.live.take().filter(|ready| !ready.used);
        if let Some(ready) = &mut self.live {
            ready.live.store.data_mut().enter(scope);
        }
    }

    /// What a function says of itself.
    pub(super) fn function(&self, used: UseIndex) -> &Function {
        &self.uses[used.0].function
    }

    /// The epoch it runs in.
    pub(super) fn epoch(&self) -> Epoch {
        self.scope.map_or(Epoch::FIRST, |scope| scope.epoch)
    }

    /// Runs one call: the instance made ready, the deadline set, a trap cleaned up after.
    pub(super) fn call<T>(
        &mut self,
        used: UseIndex,
        run: impl FnOnce(&mut Live, u32) -> wasmtime::Result<Result<T, Failure>>,
    ) -> Result<T, CallError> {
        let Ready { mut live, handles, .. } = match self.live.take() {
            Some(ready) => ready,
            None => self.start()?,
        };
        let label = &self.uses[used.0].label;
        live.store.set_epoch_deadline(ticks(self.limits.call_timeout));
        live.store.data_mut().memory.begin_call();
        live.store.data().now.begin_call(label);
        match run(&mut live, handles[used.0]) {
            Ok(answer) => {
                let answer = answer.map_err(|failure| refused(label, failure));
                self.live = Some(Ready { live, handles, used: true });
                answer
            }
            Err(error) => Err(self.trapped(label, &mut live, &error)),
        }
    }

    fn trapped(&self, label: &str, live: &mut Live, error: &wasmtime::Error) -> CallError {
        if let Some(refusal) = live.store.data().memory.refusal() {
            return CallError::Limit(format!("{label} asked for {refusal}, or have the function keep less"));
        }
        if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
            return CallError::Limit(format!(
                "{label} did not come back within {:?}; raise limits.call_timeout in the manifest if it needs longer, or look for a \
                 loop that does not end",
                self.limits.call_timeout,
            ));
        }
        CallError::Failed(format!("{label} stopped: {}", reason(live, error)))
    }

    /// A function has returned something else than it described.
    pub(super) fn contract(&self, used: UseIndex, error: String) -> CallError {
        CallError::Contract(format!("{} {error}; the plugin is at fault, not a row", self.uses[used.0].label))
    }
}

fn refused(label: &str, failure: Failure) -> CallError {
    let message = format!("{label}: {}", failure.message);
    match failure.row {
        Some(row) => CallError::Row { row: row as usize, message },
        None => CallError::Failed(message),
    }
}
