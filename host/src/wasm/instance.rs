//! Calls of a plugin's functions, and what is left after one that trapped.
//!
//! A trap poisons the whole store, so it is dropped, and the next call starts a fresh one: that takes microseconds.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, BinaryArray, RecordBatch},
    buffer::BooleanBuffer,
};
use wasmtime::Trap;

use super::{
    bindings::{exports::tidemill::plugin::transform::Output, tidemill::plugin::types::Failure},
    lift,
    lower::Lowered,
    plugin::{Live, WasmPlugin, reason, ticks},
};
use crate::{
    manifest::Limits,
    ports::{CallError, CallScope, Function, FunctionUse, HandlerOutput, Instance, Transformed, UseIndex},
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

    /// Runs one call: the instance made ready, the deadline set, a trap cleaned up after.
    fn call<T>(
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
        live.store.data_mut().memory.refused = None;
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
        let memory = &live.store.data().memory;
        if let Some(wanted) = memory.refused {
            return CallError::Limit(format!(
                "{label} asked for {} MiB of memory where limits.memory allows {} MiB; raise it in the manifest, or have the \
                 function keep less",
                wanted.div_ceil(1 << 20),
                memory.limit() >> 20,
            ));
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

    fn contract(&self, used: UseIndex, error: String) -> CallError {
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

/// An interface the plan has seen the plugin export.
fn exported<T>(interface: &Option<T>) -> &T {
    interface.as_ref().expect("the description was checked against the exports at load")
}

fn states_of(states: &BinaryArray) -> Lowered {
    let states: ArrayRef = Arc::new(states.clone());
    Lowered::column(&states)
}

impl Instance for WasmInstance {
    /// A used instance is given up: what it may have kept since an earlier epoch, such as where the seeds of Rust's hash tables
    /// have got to, would be lost in a restart, and the epoch would not come out the same again.
    fn enter(&mut self, scope: &CallScope) {
        self.scope = Some(*scope);
        self.live = self.live.take().filter(|ready| !ready.used);
        if let Some(ready) = &mut self.live {
            ready.live.store.data_mut().enter(scope);
        }
    }

    fn transform(&mut self, used: UseIndex, input: &RecordBatch, parents: bool) -> Result<Transformed, CallError> {
        let lowered = Lowered::batch(input);
        let columns = lowered.lend_columns();
        let Output { rows, parents: came_from } = self.call(used, |live, handle| {
            exported(&live.transform).call_apply(&mut live.store, handle, lowered.lend(&columns), parents)
        })?;
        let rows = lift::batch(rows, &self.uses[used.0].function.output).map_err(|error| self.contract(used, error))?;
        if parents {
            let check = match &came_from {
                Some(came_from) => lift::parents(came_from, rows.num_rows(), input.num_rows()),
                None if rows.num_rows() == input.num_rows() => Ok(()),
                None => Err(format!(
                    "returned {} rows for {} without saying where they came from",
                    rows.num_rows(),
                    input.num_rows()
                )),
            };
            check.map_err(|error| self.contract(used, error))?;
        }
        Ok(Transformed { rows, parents: came_from.filter(|_| parents) })
    }

    fn filter(&mut self, used: UseIndex, input: &RecordBatch) -> Result<BooleanBuffer, CallError> {
        let lowered = Lowered::batch(input);
        let columns = lowered.lend_columns();
        let bits = self.call(used, |live, handle| {
            exported(&live.filter).call_apply(&mut live.store, handle, lowered.lend(&columns))
        })?;
        lift::selection(bits, input.num_rows()).map_err(|error| self.contract(used, error))
    }

    fn accumulate(
        &mut self,
        used: UseIndex,
        states: &BinaryArray,
        groups: &[u32],
        input: &RecordBatch,
    ) -> Result<BinaryArray, CallError> {
        let (lowered_states, lowered) = (states_of(states), Lowered::batch(input));
        let columns = lowered.lend_columns();
        let state = lowered_states.lend_columns().remove(0);
        let new = self.call(used, |live, handle| {
            let reducer = exported(&live.reducer);
            reducer.call_accumulate(&mut live.store, handle, state, groups, lowered.lend(&columns))
        })?;
        lift::states(new, states.len()).map_err(|error| self.contract(used, error))
    }

    fn merge(&mut self, used: UseIndex, left: &BinaryArray, right: &BinaryArray) -> Result<BinaryArray, CallError> {
        let (left_lowered, right_lowered) = (states_of(left), states_of(right));
        let (lend_left, lend_right) = (left_lowered.lend_columns().remove(0), right_lowered.lend_columns().remove(0));
        let new = self.call(used, |live, handle| {
            exported(&live.reducer).call_merge(&mut live.store, handle, lend_left, lend_right)
        })?;
        lift::states(new, left.len()).map_err(|error| self.contract(used, error))
    }

    fn retract(
        &mut self,
        used: UseIndex,
        states: &BinaryArray,
        leaving: &BinaryArray,
    ) -> Result<BinaryArray, CallError> {
        let (states_lowered, leaving_lowered) = (states_of(states), states_of(leaving));
        let (lend_states, lend_leaving) =
            (states_lowered.lend_columns().remove(0), leaving_lowered.lend_columns().remove(0));
        let new = self.call(used, |live, handle| {
            exported(&live.reducer).call_retract(&mut live.store, handle, lend_states, lend_leaving)
        })?;
        lift::states(new, states.len()).map_err(|error| self.contract(used, error))
    }

    fn finish(&mut self, used: UseIndex, states: &BinaryArray) -> Result<RecordBatch, CallError> {
        let lowered = states_of(states);
        let lend = lowered.lend_columns().remove(0);
        let rows =
            self.call(used, |live, handle| exported(&live.reducer).call_finish(&mut live.store, handle, lend))?;
        let rows = lift::batch(rows, &self.uses[used.0].function.output).map_err(|error| self.contract(used, error))?;
        match rows.num_rows() == states.len() {
            true => Ok(rows),
            false => {
                Err(self.contract(used, format!("finished {} states into {} rows", states.len(), rows.num_rows())))
            }
        }
    }

    fn handle(&mut self, used: UseIndex, input: &RecordBatch) -> Result<Vec<HandlerOutput>, CallError> {
        let lowered = Lowered::batch(input);
        let columns = lowered.lend_columns();
        let outlets = self.uses[used.0].function.outlets.clone().into();
        let epoch = self.scope.map_or(0, |scope| scope.epoch.number());
        self.call(used, |live, handle| {
            live.store.data_mut().open_outlets(outlets);
            let answer =
                exported(&live.batch_handler).call_handle(&mut live.store, handle, epoch, lowered.lend(&columns))?;
            let written = live.store.data_mut().close_outlets();
            Ok(answer.map(|()| written))
        })
    }
}
