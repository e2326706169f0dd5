//! Instances without end.

use super::{instance, load};
use crate::{
    manifest::Limits,
    ports::{CallError, FunctionUse},
};

/// Memory of instances comes from a pool with an end. Who gets there, with a thousand workers and a dozen plugins, is
/// told what to have less of, and an instance that is given up makes room for another.
#[test]
fn there_may_be_many_instances_but_not_any_number() {
    let uses = [FunctionUse { label: "guest.tokenize".to_owned(), function: "tokenize".to_owned(), config: None }];
    // With an engine of its own: other tests run at the same time.
    let plugin = load("behaving");
    let mut instances = Vec::new();
    let error = loop {
        match plugin.instantiate(&uses, Limits::default()) {
            Ok(instance) => instances.push(instance),
            Err(error) => break error,
        }
        assert!(instances.len() < 10_000, "there is no end to them");
    };
    assert!(instances.len() >= 2000, "only {} instances: {error}", instances.len());
    let CallError::Failed(message) = error else { panic!("{error:?}") };
    assert!(message.starts_with("plugin `behaving` does not start: there are too many instances"), "{message}");
    assert!(message.ends_with("use fewer `workers` or fewer plugins"), "{message}");
    instances.pop();
    instance(plugin.as_ref(), "tokenize");
}
