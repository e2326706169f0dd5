//! Reducers: the rows of a group folded into one state, and the state into a result.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    cell::{Capacity, Cell, ReadCell},
    row::{ReadRow, Row, RowReader, RowWriter, column, field},
    source::Source,
    states,
    wire::{Batch, Column, Failure, Field},
};

/// How the rows of a group become one state, and the state a row: `#[reducer]` stands above the `impl`.
///
/// The host keeps the state and may fold parts of a group apart, so these laws must hold: `merge` is associative and
/// commutative, and merging the states of two sets of rows gives the state of all of them.
///
/// ```
/// use tidemill_sdk::prelude::*;
///
/// #[derive(Row)]
/// struct Word<'a> {
///     word: &'a str,
/// }
///
/// struct Longest;
///
/// /// The longest word of a group.
/// #[reducer]
/// impl Reducer for Longest {
///     type Input<'a> = Word<'a>;
///     type State = String;
///     type Output<'a> = Word<'a>;
///
///     fn add(&self, longest: &mut String, row: Word) {
///         if row.word.len() > longest.len() {
///             *longest = row.word.to_owned();
///         }
///     }
///
///     fn merge(&self, longest: &mut String, other: String) {
///         self.add(longest, Word { word: &other });
///     }
///
///     fn finish<'a>(&self, longest: &'a String) -> Word<'a> {
///         Word { word: longest }
///     }
/// }
///
/// plugin!(Longest);
/// # fn main() {}
/// ```
pub trait Reducer: 'static {
    /// The row that is folded.
    type Input<'a>: ReadRow<'a>;
    /// What a group is folded into. Its default is the state of no rows.
    type State: Default + Serialize + DeserializeOwned;
    /// The row that a state becomes.
    type Output<'a>: Row;

    /// Whether there is a `retract`: `#[reducer]` looks and sets it.
    const RETRACTS: bool = false;

    /// Folds a row into a state.
    fn add(&self, state: &mut Self::State, row: Self::Input<'_>);

    /// Folds one state into another.
    fn merge(&self, state: &mut Self::State, other: Self::State);

    /// Takes a state out again that was merged in: the inverse of `merge`. Leave it out when there is none.
    fn retract(&self, _state: &mut Self::State, _leaving: Self::State) {
        unreachable!("the host retracts only when `RETRACTS` says that it may")
    }

    /// The row of a state.
    fn finish<'a>(&self, state: &'a Self::State) -> Self::Output<'a>;

    /// Reads a state that an older version has written; see [`decode_state`](crate::decode_state). To be written
    /// together with `#[reducer(version = ...)]`.
    fn migrate(&self, from_version: u32, _state: &[u8]) -> Result<Self::State, String> {
        Err(format!("there is no way from version {from_version} of the state: write `migrate`"))
    }
}

/// A reducer as the host calls it: columns of states. Null is the state of no rows.
pub(crate) trait Folds {
    /// Folds rows into the states of their groups.
    fn accumulate(&self, states: &Column, groups: &[u32], input: &Batch) -> Result<Column, Failure>;
    /// Merges states row by row.
    fn merge(&self, left: &Column, right: &Column) -> Result<Column, Failure>;
    /// Takes states out row by row.
    fn retract(&self, states: &Column, leaving: &Column) -> Result<Column, Failure>;
    /// Turns states into rows.
    fn finish(&self, states: &Column) -> Result<Batch, Failure>;
    /// Rewrites states of an older version.
    fn migrate(&self, from_version: u32, states: &Column) -> Result<Column, Failure>;
}

impl<R: Reducer> Folds for R {
    fn accumulate(&self, states: &Column, groups: &[u32], input: &Batch) -> Result<Column, Failure> {
        let mut states = states::read::<R::State>(states)?;
        let rows = RowReader::<R::Input<'_>>::new(input)?;
        if groups.len() != rows.rows() {
            return Err(Failure::of_call(format!("{} groups for {} rows", groups.len(), rows.rows())));
        }
        for (row, group) in groups.iter().enumerate() {
            let state = states
                .get_mut(*group as usize)
                .ok_or_else(|| Failure::of_call(format!("row {row} belongs to group {group}, which has no state")))?;
            self.add(state.get_or_insert_default(), rows.get(row));
        }
        states::write(states)
    }

    fn merge(&self, left: &Column, right: &Column) -> Result<Column, Failure> {
        pairwise(left, right, |left, right| R::merge(self, left.get_or_insert_default(), right))
    }

    fn retract(&self, states: &Column, leaving: &Column) -> Result<Column, Failure> {
        pairwise(states, leaving, |state, leaving| R::retract(self, state.get_or_insert_default(), leaving))
    }

    fn finish(&self, states: &Column) -> Result<Batch, Failure> {
        let states: Vec<R::State> = states::read(states)?.into_iter().map(Option::unwrap_or_default).collect();
        let mut out = RowWriter::<R::Output<'_>>::with_capacity(Capacity { rows: states.len(), bytes: 0 });
        for state in &states {
            out.push(R::finish(self, state), Source::ANY);
        }
        Ok(out.finish())
    }

    fn migrate(&self, from_version: u32, states: &Column) -> Result<Column, Failure> {
        states::write(states::read_with(states, |state| R::migrate(self, from_version, state))?)
    }
}

/// Works each state of `right` into its neighbour in `left`.
fn pairwise<S: Serialize + DeserializeOwned>(
    left: &Column,
    right: &Column,
    work: impl Fn(&mut Option<S>, S),
) -> Result<Column, Failure> {
    let (mut left, right) = (states::read(left)?, states::read(right)?);
    if left.len() != right.len() {
        return Err(Failure::of_call(format!("{} states on one side and {} on the other", left.len(), right.len())));
    }
    for (left, right) in left.iter_mut().zip(right) {
        if let Some(right) = right {
            work(left, right);
        }
    }
    states::write(left)
}

/// The row of a reducer that is an associative function of two values: one column, `value`.
pub struct Value<T>(T);

#[diagnostic::do_not_recommend]
impl<T: Cell + 'static> Row for Value<T> {
    type Static = Self;
    type Writer = T::Writer;

    fn fields() -> Vec<Field> {
        vec![field::<T>("value")]
    }
    fn writer(capacity: Capacity) -> T::Writer {
        T::writer(capacity)
    }
    fn write(self, writer: &mut T::Writer, source: Source<'_>) {
        self.0.write(writer, source);
    }
    fn finish(writer: T::Writer) -> Vec<Column> {
        vec![T::finish(writer)]
    }
}

impl<'a, T: ReadCell<'a> + 'static> ReadRow<'a> for Value<T> {
    type Reader = T::Reader;

    fn reader(batch: &'a Batch) -> Result<T::Reader, Failure> {
        column::<T>(batch, 0, "value")
    }
    fn read(reader: &T::Reader, row: usize) -> Self {
        Value(T::read(reader, row))
    }
}

/// The reducer that `#[reducer] fn add(a: T, b: T) -> T` makes.
pub struct Fold<T, const RETRACTS: bool> {
    /// The function.
    pub merge: fn(T, T) -> T,
    /// Its inverse; the function itself when there is none.
    pub inverse: fn(T, T) -> T,
}

impl<T, const RETRACTS: bool> Reducer for Fold<T, RETRACTS>
where
    T: for<'a> ReadCell<'a> + Clone + Serialize + DeserializeOwned + 'static,
{
    type Input<'a> = Value<T>;
    type State = Option<T>;
    type Output<'a> = Value<T>;

    const RETRACTS: bool = RETRACTS;

    fn add(&self, state: &mut Option<T>, row: Value<T>) {
        *state = Some(match state.take() {
            Some(so_far) => (self.merge)(so_far, row.0),
            None => row.0,
        });
    }

    fn merge(&self, state: &mut Option<T>, other: Option<T>) {
        if let Some(value) = other {
            self.add(state, Value(value));
        }
    }

    fn retract(&self, state: &mut Option<T>, leaving: Option<T>) {
        if let (Some(so_far), Some(leaving)) = (state.take(), leaving) {
            *state = Some((self.inverse)(so_far, leaving));
        }
    }

    fn finish(&self, state: &Option<T>) -> Value<T> {
        Value(state.clone().expect("a group has a value as soon as it has a row"))
    }
}
