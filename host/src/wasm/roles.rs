//! What each role lends to the guest and takes back from it.

use arrow::{
    array::{Array, BinaryArray, RecordBatch},
    buffer::BooleanBuffer,
};

use super::{
    bindings::exports::tidemill::plugin::transform::Output,
    instance::WasmInstance,
    keyed_state::{self, LoweredWork},
    lift,
    lower::Lowered,
};
use crate::ports::{CallError, CallScope, HandlerOutput, Instance, KeyedOutcome, KeyedWork, Transformed, UseIndex};

/// An interface the plan has seen the plugin export.
fn exported<T>(interface: &Option<T>) -> &T {
    interface.as_ref().expect("the description was checked against the exports at load")
}

impl Instance for WasmInstance {
    fn enter(&mut self, scope: &CallScope) {
        WasmInstance::enter(self, scope);
    }

    fn transform(&mut self, used: UseIndex, input: &RecordBatch, parents: bool) -> Result<Transformed, CallError> {
        let lowered = Lowered::batch(input);
        let columns = lowered.lend_columns();
        let Output { rows, parents: came_from } = self.call(used, |live, handle| {
            exported(&live.transform).call_apply(&mut live.store, handle, lowered.lend(&columns), parents)
        })?;
        let rows = lift::batch(rows, &self.function(used).output).map_err(|error| self.contract(used, error))?;
        if parents {
            let check = match &came_from {
                Some(came_from) => {
                    let count = input.num_rows();
                    lift::origins(came_from, rows.num_rows(), "parent", count, format_args!("a batch of {count} rows"))
                }
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
        let (lowered_states, lowered) = (Lowered::states(states), Lowered::batch(input));
        let columns = lowered.lend_columns();
        let state = lowered_states.lend_states();
        let new = self.call(used, |live, handle| {
            let reducer = exported(&live.reducer);
            reducer.call_accumulate(&mut live.store, handle, state, groups, lowered.lend(&columns))
        })?;
        lift::states(new, states.len()).map_err(|error| self.contract(used, error))
    }

    fn merge(&mut self, used: UseIndex, left: &BinaryArray, right: &BinaryArray) -> Result<BinaryArray, CallError> {
        let (left_lowered, right_lowered) = (Lowered::states(left), Lowered::states(right));
        let (lend_left, lend_right) = (left_lowered.lend_states(), right_lowered.lend_states());
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
        let (states_lowered, leaving_lowered) = (Lowered::states(states), Lowered::states(leaving));
        let (lend_states, lend_leaving) = (states_lowered.lend_states(), leaving_lowered.lend_states());
        let new = self.call(used, |live, handle| {
            exported(&live.reducer).call_retract(&mut live.store, handle, lend_states, lend_leaving)
        })?;
        lift::states(new, states.len()).map_err(|error| self.contract(used, error))
    }

    fn finish(&mut self, used: UseIndex, states: &BinaryArray) -> Result<RecordBatch, CallError> {
        let lowered = Lowered::states(states);
        let lend = lowered.lend_states();
        let rows =
            self.call(used, |live, handle| exported(&live.reducer).call_finish(&mut live.store, handle, lend))?;
        let rows = lift::batch(rows, &self.function(used).output).map_err(|error| self.contract(used, error))?;
        match rows.num_rows() == states.len() {
            true => Ok(rows),
            false => {
                Err(self.contract(used, format!("finished {} states into {} rows", states.len(), rows.num_rows())))
            }
        }
    }

    fn update(&mut self, used: UseIndex, work: &KeyedWork<'_>) -> Result<KeyedOutcome, CallError> {
        let lowered = LoweredWork::new(work);
        let outcome = lowered.lend(work, |work| {
            self.call(used, |live, handle| exported(&live.keyed_state).call_update(&mut live.store, handle, work))
        })?;
        let lifted = keyed_state::outcome(outcome, work.keys.num_rows(), &self.function(used).output);
        lifted.map_err(|error| self.contract(used, error))
    }

    fn migrate(&mut self, used: UseIndex, from_version: u32, states: &BinaryArray) -> Result<BinaryArray, CallError> {
        let lowered = Lowered::states(states);
        let lend = lowered.lend_states();
        let new = self.call(used, |live, handle| {
            exported(&live.keyed_state).call_migrate(&mut live.store, handle, from_version, lend)
        })?;
        let new = lift::states(new, states.len()).map_err(|error| self.contract(used, error))?;
        match (0..states.len()).find(|&row| states.is_valid(row) && new.is_null(row)) {
            None => Ok(new),
            Some(row) => Err(self.contract(used, format!("migrated the state {row} of {} to none", states.len()))),
        }
    }

    fn handle(&mut self, used: UseIndex, input: &RecordBatch) -> Result<Vec<HandlerOutput>, CallError> {
        let lowered = Lowered::batch(input);
        let columns = lowered.lend_columns();
        let outlets = self.function(used).outlets.clone().into();
        let epoch = self.epoch().number();
        self.call(used, |live, handle| {
            live.store.data_mut().open_outlets(outlets);
            let answer =
                exported(&live.batch_handler).call_handle(&mut live.store, handle, epoch, lowered.lend(&columns))?;
            let written = live.store.data_mut().close_outlets();
            Ok(answer.map(|()| written))
        })
    }
}
