//! Several states for each key, each under a number of its own: sessions by their start, batches by their place.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::ArrayRef,
    datatypes::{Field, Schema},
};

use crate::operator::{Failure, key_table::KeyTable, state_column::StateColumn};

/// A state's place: its key, and its number among those of the key. `T` is what else is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<T> {
    pub(super) key: usize,
    pub(super) number: i64,
    pub(super) note: T,
}

/// The states of all keys, each in a slot.
pub(super) struct Parts<T> {
    table: KeyTable,
    /// By key: the slots of its states, by their numbers.
    by_key: Vec<BTreeMap<i64, u32>>,
    slots: Vec<Part<T>>,
    free: Vec<u32>,
    states: Vec<StateColumn>,
}

impl<T: Copy> Parts<T> {
    pub(super) fn new<'a>(keys: Schema, states: impl Iterator<Item = &'a Arc<Field>>) -> Result<Self, Failure> {
        let states = states.map(|field| StateColumn::new(field.data_type()));
        Ok(Parts {
            table: KeyTable::new(&Arc::new(keys))?,
            by_key: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            states: states.collect::<Result<_, _>>()?,
        })
    }

    /// The key of each row.
    pub(super) fn intern(&mut self, keys: &[ArrayRef], rows: usize) -> Result<Vec<usize>, Failure> {
        let mut numbers = Vec::new();
        self.table.intern(keys, rows, &mut numbers)?;
        self.by_key.resize_with(self.table.numbers(), BTreeMap::new);
        Ok(numbers)
    }

    /// The slots of a key, by their numbers.
    pub(super) fn of_key(&self, key: usize) -> &BTreeMap<i64, u32> {
        &self.by_key[key]
    }

    pub(super) fn part(&self, slot: u32) -> Part<T> {
        self.slots[slot as usize]
    }

    pub(super) fn note_mut(&mut self, slot: u32) -> &mut T {
        &mut self.slots[slot as usize].note
    }

    /// Puts states into slots; a state replaces one of the same key and number.
    pub(super) fn put(&mut self, parts: &[Part<T>], states: &[ArrayRef]) -> Result<Vec<u32>, Failure> {
        let mut slots = Vec::with_capacity(parts.len());
        for &part in parts {
            let slot = match self.by_key[part.key].get(&part.number).copied().or_else(|| self.free.pop()) {
                Some(slot) => {
                    self.slots[slot as usize] = part;
                    slot
                }
                None => {
                    self.slots.push(part);
                    self.slots.len() as u32 - 1
                }
            };
            self.by_key[part.key].insert(part.number, slot);
            slots.push(slot);
        }
        let groups: Vec<usize> = slots.iter().map(|&slot| slot as usize).collect();
        for (column, values) in self.states.iter_mut().zip(states) {
            column.scatter(&groups, values)?;
        }
        Ok(slots)
    }

    /// Takes a state out. Its key stays until [`forget_empty`](Self::forget_empty).
    pub(super) fn remove(&mut self, slot: u32) -> Part<T> {
        let part = self.part(slot);
        self.by_key[part.key].remove(&part.number);
        self.free.push(slot);
        part
    }

    /// Forgets those of some keys that have no state any more.
    pub(super) fn forget_empty(&mut self, keys: impl Iterator<Item = usize>) {
        let mut keys: Vec<usize> = keys.collect();
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter().filter(|&key| self.by_key[key].is_empty()).for_each(|key| self.table.remove(key));
    }

    /// Forgets all keys that have no state any more.
    pub(super) fn forget_all_empty(&mut self) {
        self.forget_empty(self.table.groups().into_iter());
    }

    /// The states in these slots.
    pub(super) fn gather(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, Failure> {
        let slots: Vec<usize> = slots.iter().map(|&slot| slot as usize).collect();
        Ok(self.states.iter().map(|column| column.gather(&slots)).collect::<Result<_, _>>()?)
    }

    /// The key columns of these parts.
    pub(super) fn keys(&self, parts: &[Part<T>]) -> Result<Vec<ArrayRef>, Failure> {
        Ok(self.table.keys(&parts.iter().map(|part| part.key).collect::<Vec<_>>())?)
    }

    /// All slots that hold a state.
    pub(super) fn live(&self) -> Vec<u32> {
        self.by_key.iter().flat_map(|slots| slots.values().copied()).collect()
    }

    /// Whether a slot still holds a state.
    pub(super) fn is_live(&self, slot: u32) -> bool {
        let part = self.part(slot);
        self.by_key[part.key].get(&part.number) == Some(&slot)
    }

    /// All keys that have a state, in an order that does not depend on what has been here before.
    pub(super) fn sorted_keys(&self) -> Vec<usize> {
        let mut keys: Vec<usize> =
            self.table.groups().into_iter().filter(|&key| !self.by_key[key].is_empty()).collect();
        self.table.sort(&mut keys);
        keys
    }

    /// Slots in the order of their keys and numbers, which does not depend on what has been here before.
    pub(super) fn in_order(&self, mut slots: Vec<u32>) -> Vec<u32> {
        let mut keys: Vec<usize> = slots.iter().map(|&slot| self.part(slot).key).collect();
        self.table.sort(&mut keys);
        keys.dedup();
        let mut rank = vec![0; self.table.numbers()];
        keys.iter().enumerate().for_each(|(at, &key)| rank[key] = at);
        slots.sort_by_key(|&slot| (rank[self.part(slot).key], self.part(slot).number));
        slots
    }

    /// How many states there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// About how many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        let states: usize = self.states.iter().map(StateColumn::bytes).sum();
        let maps = self.by_key.len() * size_of::<BTreeMap<i64, u32>>() + self.len() * 32;
        self.table.bytes() + self.slots.len() * size_of::<Part<T>>() + maps + states
    }
}
