//! Keyed states across the boundary: all of the work gets in, all of the outcome comes out, and what a function must
//! not return is refused before the host keeps it as somebody's state.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray},
    datatypes::{Int64Type, SchemaRef},
};

use super::{behaving, instance, misbehaving, scope};
use crate::{
    model::{Epoch, EventTime, ProcessingTime},
    ports::{CallError, GroupTimer, Instance, KeyedOutcome, KeyedWork, Timer, UseIndex},
};

const FUNCTION: UseIndex = UseIndex(0);
const SECOND: i64 = 1_000_000;

fn at_event_time(group: u32, seconds: i64) -> GroupTimer {
    GroupTimer { group, timer: Timer::EventTime(EventTime::from_micros(seconds * SECOND)) }
}

fn at_processing_time(group: u32, seconds: i64) -> GroupTimer {
    GroupTimer { group, timer: Timer::ProcessingTime(ProcessingTime::from_micros(seconds * SECOND)) }
}

fn batch(schema: &SchemaRef, column: impl Array + 'static) -> RecordBatch {
    RecordBatch::try_new(Arc::clone(schema), vec![Arc::new(column) as ArrayRef])
        .expect("a column of the described type")
}

fn no_states(keys: usize) -> BinaryArray {
    BinaryArray::new_null(keys)
}

/// The words that `behaving.add_up` has as keys.
fn words(words: &[&str]) -> RecordBatch {
    batch(&behaving().description().function("add_up").unwrap().key, StringArray::from(words.to_vec()))
}

/// The lengths it adds up.
fn lengths(lengths: Vec<i64>) -> RecordBatch {
    batch(&behaving().description().function("add_up").unwrap().input, Int64Array::from(lengths))
}

fn lengths_out(outcome: &KeyedOutcome) -> Vec<i64> {
    outcome.rows.column(0).as_primitive::<Int64Type>().values().to_vec()
}

/// Two epochs of a function that uses everything there is: rows of several keys mixed, states that come back, the
/// watermark, the batch time, timers on both clocks set, cancelled and expired, a key that ends, a time to live.
#[test]
fn work_goes_in_and_its_outcome_comes_out() {
    let mut function = instance(behaving(), "add_up");
    function.enter(&scope(Epoch::FIRST, ProcessingTime::from_micros(100 * SECOND)));
    // Slices, because that is what the host has: of other rows there must be no trace.
    let (keys, input) = (words(&["x", "ada", "bob", "x"]), lengths(vec![-1, 10, 1, 20, -1]));
    let first = function
        .update(
            FUNCTION,
            &KeyedWork {
                keys: &keys.slice(1, 2),
                states: &no_states(2),
                groups: &[1, 0, 1],
                input: &input.slice(1, 3),
                watermark: None,
                expired: &[],
            },
        )
        .unwrap();
    assert_eq!((first.states.null_count(), first.rows.num_rows(), &first.groups[..]), (0, 0, &[][..]));
    let expiry = first.expiry.expect("they expire in a day");
    assert_eq!(expiry.values()[..], [(100 + 24 * 60 * 60) * SECOND; 2]);
    assert_eq!(
        first.set,
        [at_event_time(0, 60), at_processing_time(0, 101), at_event_time(1, 60), at_processing_time(1, 101)]
    );
    assert_eq!(first.cancel, [at_event_time(0, 0), at_event_time(1, 0)]);

    // The next epoch has the same keys in another order, between others: a new one, and one that is only looked at.
    function.enter(&scope(Epoch::FIRST.next(), ProcessingTime::from_micros(200 * SECOND)));
    let state = |group: usize| Some(first.states.value(group));
    let states = BinaryArray::from_iter([None, None, state(1), state(0), state(0)]);
    let second = function
        .update(
            FUNCTION,
            &KeyedWork {
                keys: &words(&["new", "bob", "ada", "still"]),
                states: &states.slice(1, 4),
                groups: &[2, 0],
                input: &lengths(vec![500, 7]),
                watermark: Some(EventTime::from_micros(61 * SECOND)),
                // The same time on two clocks: on the other one, ada would be over as well.
                expired: &[at_event_time(1, 60), at_processing_time(2, 60)],
            },
        )
        .unwrap();
    let is_kept: Vec<bool> = (0..4).map(|group| second.states.is_valid(group)).collect();
    assert_eq!(is_kept, [true, false, true, true], "bob is over");
    assert_eq!((lengths_out(&second), &second.groups[..]), (vec![30, 1], &[1, 2][..]));
    let expiry = second.expiry.expect("those that are kept expire");
    assert_eq!((0..4).map(|group| expiry.is_valid(group)).collect::<Vec<_>>(), is_kept);
    assert_eq!(
        second.set,
        [at_event_time(0, 121), at_processing_time(0, 201), at_event_time(2, 121), at_processing_time(2, 201)]
    );
    assert_eq!(second.cancel, [at_event_time(0, 0), at_event_time(2, 60)]);
    assert_eq!(second.states.value(3), first.states.value(0), "who is only looked at stays as it is");
}

/// An epoch may have no work at all for some worker, and a call without keys is not a special case to anyone.
#[test]
fn no_keys_are_as_good_as_some() {
    let mut function = instance(behaving(), "add_up");
    let (keys, states, input) = (words(&[]), no_states(0), lengths(vec![]));
    let work = KeyedWork { keys: &keys, states: &states, groups: &[], input: &input, watermark: None, expired: &[] };
    let outcome = function.update(FUNCTION, &work).unwrap();
    assert_eq!((outcome.states.len(), outcome.rows.num_rows(), outcome.set.len()), (0, 0, 0));
    assert_eq!(function.migrate(FUNCTION, 1, &no_states(0)).unwrap().len(), 0);
}

/// States of an older version are rewritten in one call, each in its place, and the function goes on from them.
#[test]
fn older_states_are_migrated() {
    let mut function = instance(behaving(), "add_up");
    let older = [Some(41), None, Some(-1)].map(|sum: Option<i64>| Some(postcard::to_stdvec(&sum?).unwrap()));
    let states = function.migrate(FUNCTION, 1, &BinaryArray::from_iter(older)).unwrap();
    assert_eq!((0..3).map(|row| states.is_valid(row)).collect::<Vec<_>>(), [true, false, true]);
    let expired: Vec<GroupTimer> = (0..3).map(|group| at_processing_time(group, 0)).collect();
    let outcome = function
        .update(
            FUNCTION,
            &KeyedWork {
                keys: &words(&["ada", "bob", "eve"]),
                states: &states,
                groups: &[],
                input: &lengths(vec![]),
                watermark: None,
                expired: &expired,
            },
        )
        .unwrap();
    assert_eq!(lengths_out(&outcome), [41, 0, -1]);
}

/// Calls a function of `misbehaving` with three keys; the second of four rows is the bad one.
fn update(function: &mut dyn Instance, bad: &str) -> Result<KeyedOutcome, CallError> {
    let description = misbehaving().description().function("keyed_counts").unwrap();
    let keys = batch(&description.key, StringArray::from(vec!["a", "b", "c"]));
    let input = batch(&description.input, StringArray::from(vec!["good", bad, "good", "good"]));
    let work = KeyedWork {
        keys: &keys,
        states: &BinaryArray::from_iter([Some("5"), None, Some("7")]),
        groups: &[0, 2, 0, 2],
        input: &input,
        watermark: Some(EventTime::from_micros(0)),
        expired: &[],
    };
    function.update(FUNCTION, &work)
}

fn assert_counts(function: &mut dyn Instance) {
    let outcome = update(function, "good").unwrap();
    assert_eq!(outcome.states, BinaryArray::from_iter_values(["7", "0", "9"]));
    assert_eq!(outcome.rows.column(0).as_ref(), &StringArray::from(vec!["7", "0", "9"]));
    assert_eq!(outcome.groups, [0, 1, 2]);
    assert!(outcome.expiry.is_none() && outcome.set.is_empty() && outcome.cancel.is_empty());
}

/// What a function returns becomes state, rows and timers of other people's keys, so every count, number and type in it
/// is checked; the fault is the plugin's, and the message says what it is.
#[test]
fn what_an_update_returns_is_checked() {
    assert_counts(instance(misbehaving(), "keyed_counts").as_mut());
    let cases = [
        ("keyed_states_missing", "a column `states` that has 3 offsets for 3 rows"),
        ("keyed_states_of_numbers", "a column `states` that is of type int64, though it is described as binary"),
        ("keyed_states_validity_short", "a column `states` that has a bitmap of 0 bytes for 3 rows"),
        ("keyed_expiry_short", "a column `expiry` that has 2 values for 3 rows"),
        ("keyed_expiry_of_numbers", "a column `expiry` that is of type int64, though it is described as timestamp"),
        ("keyed_expiry_validity_short", "a column `expiry` that has a bitmap of 0 bytes for 3 rows"),
        ("keyed_rows_missing", "0 columns where it describes 1"),
        ("keyed_rows_of_numbers", "a column `out` that is of type int64, though it is described as utf8"),
        ("keyed_rows_not_utf8", "a column `out` that has text that is not UTF-8 at byte 0"),
        ("keyed_groups_missing", "3 rows but 2 groups"),
        ("keyed_groups_descend", "groups that descend at row 1: 2 then 1"),
        ("keyed_group_beyond", "the group 3 for 3 keys"),
        ("keyed_timers_without_times", "timers to set as 1 groups, 0 times and 1 clocks"),
        ("keyed_timers_without_clocks", "timers to cancel as 1 groups, 1 times and 0 clocks"),
        ("keyed_timers_without_groups", "timers to set as 0 groups, 1 times and 1 clocks"),
        ("keyed_timer_beyond", "timers to set of which timer 1 is of the group 3; there are 3 keys"),
        ("keyed_cancel_beyond", "timers to cancel of which timer 0 is of the group 4294967295; there are 3 keys"),
        ("keyed_timer_on_no_clock", "timers to cancel of which timer 1 is on the clock 2"),
    ];
    for (name, phrase) in cases {
        let error = update(instance(misbehaving(), name).as_mut(), "good").expect_err(name);
        let CallError::Contract(message) = error else { panic!("{name}: {error:?}") };
        assert!(message.starts_with(&format!("guest.{name} returned {phrase}")), "{message}");
        assert!(message.ends_with("; the plugin is at fault, not a row"), "{message}");
    }
}

/// A function that stumbles over a row says which when it can. When it cannot, nothing of the call counts; either way
/// the instance is as good as new.
#[test]
fn an_update_that_fails_leaves_nothing_behind() {
    let mut panics = instance(misbehaving(), "keyed_panics");
    let error = update(panics.as_mut(), "bad").unwrap_err();
    assert!(matches!(&error, CallError::Failed(said) if said.contains("this row is beyond me")), "{error:?}");
    assert_counts(panics.as_mut());

    let mut refuses = instance(misbehaving(), "keyed_refuses");
    let message = "guest.keyed_refuses: this row is not for me".to_owned();
    assert_eq!(update(refuses.as_mut(), "bad").unwrap_err(), CallError::Row { row: 1, message });
    assert_counts(refuses.as_mut());

    let error = update(instance(misbehaving(), "keyed_gives_up").as_mut(), "good").unwrap_err();
    assert_eq!(error, CallError::Failed("guest.keyed_gives_up: no key is good enough for me".to_owned()));
}

/// A migration touches every state there is, once. One that lost a state would lose a key for good.
#[test]
fn what_a_migration_returns_is_checked() {
    let states = BinaryArray::from_iter_values(["1", "2"]);
    let migrate = |name: &str| instance(misbehaving(), name).migrate(FUNCTION, 1, &states);
    assert_eq!(migrate("keyed_counts").unwrap(), states);
    let contract = [
        ("migration_loses_one", "returned a column `states` that has 2 offsets for 2 rows"),
        ("migration_removes_one", "migrated the state 0 of 2 to none"),
        ("migration_to_text", "returned a column `states` that is of type utf8, though it is described as binary"),
    ];
    for (name, phrase) in contract {
        let error = migrate(name).expect_err(name);
        let CallError::Contract(message) = error else { panic!("{name}: {error:?}") };
        assert!(message.starts_with(&format!("guest.{name} {phrase}")), "{message}");
    }
    let failed = [
        ("migration_panics", "no state of version 1 is good enough for me"),
        ("migration_fails", "there is no way from version 1"),
    ];
    for (name, phrase) in failed {
        let error = migrate(name).expect_err(name);
        assert!(matches!(&error, CallError::Failed(said) if said.contains(phrase)), "{name}: {error:?}");
    }
}
