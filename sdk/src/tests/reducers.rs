use crate::{
    bindings::exports::tidemill::plugin::describe::Role,
    function::Prepared,
    prelude::*,
    states,
    testing::{self, Scope, json},
    tests::{batch, describe, prepared},
    wire::{Column, Values},
};

#[derive(Row)]
struct Value {
    value: i64,
}

#[derive(Row)]
struct Word<'a> {
    word: &'a str,
}

/// Adds up.
#[reducer(inverse = subtract)]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

fn subtract(a: i64, b: i64) -> i64 {
    a - b
}

#[reducer]
fn greatest(a: String, b: String) -> String {
    a.max(b)
}

struct Longest;

/// The longest word.
#[reducer(version = 2)]
impl Reducer for Longest {
    type Input<'a> = Word<'a>;
    type State = String;
    type Output<'a> = Word<'a>;

    fn add(&self, longest: &mut String, row: Word) {
        if row.word.len() > longest.len() {
            *longest = row.word.to_owned();
        }
    }

    fn merge(&self, longest: &mut String, other: String) {
        self.add(longest, Word { word: &other });
    }

    fn finish<'a>(&self, longest: &'a String) -> Word<'a> {
        Word { word: longest }
    }

    fn migrate(&self, from_version: u32, state: &[u8]) -> Result<String, String> {
        let (_length, word): (u32, String) = crate::decode_state(state)?;
        assert_eq!(from_version, 1);
        Ok(word)
    }
}

#[state]
#[derive(Default)]
struct Mean {
    sum: f64,
    count: u64,
}

#[derive(Row)]
struct Scaled {
    mean: f64,
}

#[config]
struct ScaledMean {
    factor: f64,
}

#[reducer(config)]
impl Reducer for ScaledMean {
    type Input<'a> = Value;
    type State = Mean;
    type Output<'a> = Scaled;

    fn add(&self, mean: &mut Mean, row: Value) {
        self.merge(mean, Mean { sum: row.value as f64, count: 1 });
    }

    fn merge(&self, mean: &mut Mean, other: Mean) {
        (mean.sum, mean.count) = (mean.sum + other.sum, mean.count + other.count);
    }

    fn retract(&self, mean: &mut Mean, leaving: Mean) {
        (mean.sum, mean.count) = (mean.sum - leaving.sum, mean.count - leaving.count);
    }

    fn finish(&self, mean: &Mean) -> Scaled {
        Scaled { mean: self.factor * mean.sum / mean.count as f64 }
    }
}

fn values<const N: usize>(values: [i64; N]) -> [Value; N] {
    values.map(|value| Value { value })
}

fn folds(function: Prepared) -> Box<dyn crate::reducer::Folds> {
    let Prepared::Reducer(reducer) = function else { panic!("not a reducer") };
    reducer
}

#[test]
fn a_function_of_two_values_reduces_a_column() {
    assert_eq!(testing::reduce::<add>(values([1, 2, 3])).unwrap().json(), [json!({ "value": 6 })]);
    assert_eq!(testing::reduce::<add>(values([5])).unwrap().json(), [json!({ "value": 5 })]);
    let retracted = Scope::default().retract::<add>(values([1, 2]), values([10])).unwrap();
    assert_eq!(retracted.json(), [json!({ "value": 3 })]);

    let described = describe::<add>();
    assert_eq!((described.role, described.doc.as_str()), (Role::Reducer, "Adds up."));
    assert_eq!((described.input.clone(), described.retracts), (described.output, true));
    assert!(!describe::<greatest>().retracts);
}

#[test]
fn an_implementation_reduces_rows() {
    let words = ["tide", "ebb", "current", "flow"].map(|word| Word { word });
    assert_eq!(testing::reduce::<Longest>(words).unwrap().json(), [json!({ "word": "current" })]);
    let described = describe::<Longest>();
    assert_eq!((described.doc.as_str(), described.retracts, described.state_version), ("The longest word.", false, 2));
}

#[test]
fn a_reducer_can_be_its_config() {
    let scope = Scope::default().config(json!({ "factor": 10.0 }));
    assert_eq!(scope.reduce::<ScaledMean>(values([1, 2, 6])).unwrap().json(), [json!({ "mean": 30.0 })]);
    assert_eq!(scope.retract::<ScaledMean>(values([1, 2]), values([6])).unwrap().json(), [json!({ "mean": 15.0 })]);
    assert!(describe::<ScaledMean>().retracts);
}

/// A batch holds rows of many groups, some of which the host has met before: each row must reach its own.
#[test]
fn rows_reach_the_states_of_their_groups() {
    let reducer = folds(prepared::<add>());
    let input = |numbers: &[i64]| {
        let column = Column { values: Values::Int64(numbers.to_vec()), validity: None };
        batch(numbers.len() as u32, vec![column])
    };
    let none = states::write::<Option<i64>>(vec![None, None, None]).unwrap();
    let first = reducer.accumulate(&none, &[2, 0, 2], &input(&[1, 2, 3])).unwrap();
    let second = reducer.accumulate(&first, &[1, 2], &input(&[10, 20])).unwrap();
    assert_eq!(states::read(&first).unwrap(), [Some(Some(2_i64)), None, Some(Some(4))]);
    assert_eq!(states::read(&second).unwrap(), [Some(Some(2_i64)), Some(Some(10)), Some(Some(24))]);
    let merged = reducer.merge(&first, &second).unwrap();
    assert_eq!(states::read(&merged).unwrap(), [Some(Some(4_i64)), Some(Some(10)), Some(Some(28))]);

    let astray = reducer.accumulate(&none, &[3], &input(&[1])).unwrap_err();
    assert_eq!(astray.message, "row 0 belongs to group 3, which has no state");
    let short = reducer.accumulate(&none, &[0], &input(&[1, 2])).unwrap_err();
    assert_eq!(short.message, "1 groups for 2 rows");
}

#[test]
fn a_state_of_an_older_layout_is_migrated_and_a_foreign_one_refused() {
    let old = states::write(vec![Some((7_u32, "current")), None]).unwrap();
    let new = folds(prepared::<Longest>()).migrate(1, &old).unwrap();
    assert_eq!(states::read(&new).unwrap(), [Some("current".to_owned()), None]);

    let none = folds(prepared::<add>()).migrate(1, &old).unwrap_err();
    assert_eq!(none.message, "there is no way from version 1 of the state: write `migrate`");
    let foreign = states::write(vec![Some("current")]).unwrap();
    let failure = folds(prepared::<add>()).finish(&foreign).unwrap_err();
    assert!(failure.message.starts_with("a state cannot be read: "), "{}", failure.message);
}
