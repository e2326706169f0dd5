//! A plugin as the host calls it: the exports of the component, led to the functions that `plugin!` lists.

use std::{cell::RefCell, rc::Rc, sync::Once};

use crate::{
    bindings::exports::tidemill::plugin::{batch_handler, describe, filter, keyed_state, reducer, transform},
    function::{Definition, Prepared},
    log,
    wire::{Batch, Column, Failure},
};

/// A plugin: `plugin!` makes one.
pub trait Plugin {
    /// The crate's name.
    const NAME: &'static str;
    /// The crate's version.
    const VERSION: &'static str;

    /// The functions, each under the name that a manifest calls it by.
    fn functions() -> Vec<(&'static str, Definition)>;
}

thread_local! {
    /// The functions that have been prepared; a handle is a place in this list. The host prepares each use of a
    /// function in a pipeline once, so it stays as short as the pipeline.
    static PREPARED: RefCell<Vec<Rc<(String, Prepared)>>> = const { RefCell::new(Vec::new()) };
}

/// The function of a handle.
fn prepared(handle: u32) -> Result<Rc<(String, Prepared)>, Failure> {
    PREPARED
        .with_borrow(|prepared| prepared.get(handle as usize).cloned())
        .ok_or_else(|| Failure::of_call(format!("no function has been prepared under the handle {handle}")))
}

/// The failure of a function that is called through the interface of a role it does not have.
#[cold]
fn no(role: &str, (name, prepared): &(String, Prepared)) -> Failure {
    Failure::of_call(format!("`{name}` is a {} and was called as a {role}", prepared.role()))
}

fn definition<P: Plugin>(function: &str) -> Result<Definition, String> {
    let mut functions = P::functions();
    match functions.iter().position(|(name, _)| *name == function) {
        Some(index) => Ok(functions.swap_remove(index).1),
        None => {
            let names: Vec<&str> = functions.iter().map(|(name, _)| *name).collect();
            Err(format!("plugin `{}` has no function `{function}`, only {}", P::NAME, names.join(", ")))
        }
    }
}

/// Sends the message of a panic, which ends the instance, to the host's log.
fn report_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log::write(log::Level::Error, &panic.to_string())));
    });
}

impl<P: Plugin> describe::Guest for P {
    fn describe() -> describe::Plugin {
        report_panics();
        let functions = P::functions().iter().map(|(name, definition)| definition.describe(name)).collect();
        describe::Plugin { name: P::NAME.to_owned(), version: P::VERSION.to_owned(), functions }
    }

    fn check_config(function: String, config: String) -> Result<(), String> {
        report_panics();
        definition::<P>(&function)?.prepare(Some(&config)).map(drop)
    }

    fn prepare(function: String, config: Option<String>) -> Result<u32, String> {
        report_panics();
        let prepared = definition::<P>(&function)?.prepare(config.as_deref())?;
        PREPARED.with_borrow_mut(|list| {
            list.push(Rc::new((function, prepared)));
            u32::try_from(list.len() - 1).map_err(|_| "too many functions have been prepared".to_owned())
        })
    }
}

impl<P: Plugin> transform::Guest for P {
    fn apply(handle: u32, input: Batch, parents: bool) -> Result<transform::Output, Failure> {
        match &*prepared(handle)? {
            (_, Prepared::Transform(apply)) => apply(&input, parents),
            other => Err(no("transform", other)),
        }
    }
}

impl<P: Plugin> filter::Guest for P {
    fn apply(handle: u32, input: Batch) -> Result<Vec<u8>, Failure> {
        match &*prepared(handle)? {
            (_, Prepared::Filter(apply)) => apply(&input),
            other => Err(no("filter", other)),
        }
    }
}

impl<P: Plugin> reducer::Guest for P {
    fn accumulate(handle: u32, states: Column, groups: Vec<u32>, input: Batch) -> Result<Column, Failure> {
        match &*prepared(handle)? {
            (_, Prepared::Reducer(reducer)) => reducer.accumulate(&states, &groups, &input),
            other => Err(no("reducer", other)),
        }
    }

    fn merge(handle: u32, left: Column, right: Column) -> Result<Column, Failure> {
        match &*prepared(handle)? {
            (_, Prepared::Reducer(reducer)) => reducer.merge(&left, &right),
            other => Err(no("reducer", other)),
        }
    }

    fn retract(handle: u32, states: Column, leaving: Column) -> Result<Column, Failure> {
        match &*prepared(handle)? {
            (_, Prepared::Reducer(reducer)) => reducer.retract(&states, &leaving),
            other => Err(no("reducer", other)),
        }
    }

    fn finish(handle: u32, states: Column) -> Result<Batch, Failure> {
        match &*prepared(handle)? {
            (_, Prepared::Reducer(reducer)) => reducer.finish(&states),
            other => Err(no("reducer", other)),
        }
    }
}

impl<P: Plugin> keyed_state::Guest for P {
    fn update(handle: u32, work: keyed_state::Work) -> Result<keyed_state::Outcome, Failure> {
        match &*prepared(handle)? {
            (_, Prepared::KeyedState(update, _)) => update(&work),
            other => Err(no("keyed state", other)),
        }
    }

    fn migrate(handle: u32, from_version: u32, states: Column) -> Result<Column, Failure> {
        match &*prepared(handle)? {
            (_, Prepared::KeyedState(_, migrate)) => migrate(from_version, &states),
            (_, Prepared::Reducer(reducer)) => reducer.migrate(from_version, &states),
            other => Err(no("keyed state", other)),
        }
    }
}

impl<P: Plugin> batch_handler::Guest for P {
    fn handle(handle: u32, epoch: u64, input: Batch) -> Result<(), Failure> {
        match &*prepared(handle)? {
            (_, Prepared::BatchHandler(handler)) => handler(epoch, &input),
            other => Err(no("batch handler", other)),
        }
    }
}
