//! Numbers for keys that are text or bytes: the commonest grouping there is, and the hot path of a word count.
//!
//! Most such keys are short. One of at most 15 bytes is loaded as one 128-bit number without a branch on its length,
//! hashed with one multiplication (the folded multiply of wyhash and foldhash) and compared with one comparison, so
//! nothing is called and nothing is copied for a key that is known. Keys are looked up a block at a time, one step for
//! all of them before the next step: their cache misses overlap, and the rare key that is not where its hash says does
//! not hold up the others. DataFusion's table takes about three times as long here, and cannot forget a key.

use std::{cmp::Ordering, hash::BuildHasher, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, BinaryBuilder, GenericByteArray, cast::AsArray},
    datatypes::{ByteArrayType, DataType},
};
use datafusion_common::hash_utils::RandomState;

/// The longest key that is kept as a number.
const SHORT: usize = 15;

/// How many keys are looked up together.
const BLOCK: usize = 64;

/// The bytes that a long key's length takes.
const LEN: usize = size_of::<u32>();

/// Below so many bytes of long keys that are gone it is not worth moving the others together.
const FEW_GONE_BYTES: usize = 1 << 16;

/// The groups of one column of text or bytes, numbered from 0 in the order in which they came; the number of a group
/// that was removed goes to the next new one.
pub(super) struct TextTable {
    data_type: DataType,
    /// One more than a group's number, or 0; as many as a power of two, at most half of them taken.
    slots: Vec<u32>,
    entries: Vec<Entry>,
    /// Numbers that were given back.
    free: Vec<u32>,
    /// The long keys one after the other, each with its length in four bytes before it.
    long: Vec<u8>,
    /// How many of these bytes belong to keys that are gone.
    gone_bytes: usize,
    /// The group of the missing value, if it occurred.
    null: Option<usize>,
    hasher: RandomState,
}

/// A key. The highest byte says of which kind it is: the length of a short one, whose bytes, padded with zeros, are the
/// others; or one of the constants below.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry(u128);

impl Entry {
    /// A long key: 56 bits of its hash, and below where it starts in `long`.
    const LONG: u8 = 0x80;
    /// The missing value. It is in no slot, so no key finds it.
    const NULL: Entry = Entry(0xFE << 120);
    /// What stands at a number that no key has; no key is equal to it.
    const FREE: Entry = Entry(0xFF << 120);

    fn short(bytes: u128, len: usize) -> Self {
        Entry(bytes | (len as u128) << 120)
    }

    fn long(hash: u64, start: usize) -> Self {
        Entry(u128::from(Self::LONG) << 120 | u128::from(hash << 8 >> 8) << 64 | start as u128)
    }

    fn kind(self) -> u8 {
        (self.0 >> 120) as u8
    }

    /// Where to look for it. For a number without a key it means nothing.
    #[inline]
    fn hash(self) -> u64 {
        match self.kind() {
            Self::LONG => ((self.0 >> 64) as u64) << 8 >> 8,
            _ => fold(self.0 as u64, (self.0 >> 64) as u64),
        }
    }

    /// Whether it stands in a slot.
    fn is_key(self) -> bool {
        self != Self::NULL && self != Self::FREE
    }
}

impl TextTable {
    /// A table for keys of this type, if it is text or bytes.
    pub(super) fn new(data_type: &DataType) -> Option<Self> {
        matches!(data_type, DataType::Utf8 | DataType::Binary).then(|| TextTable {
            data_type: data_type.clone(),
            slots: vec![0; 1024],
            entries: Vec::new(),
            free: Vec::new(),
            long: Vec::new(),
            gone_bytes: 0,
            null: None,
            hasher: RandomState::with_seed(0),
        })
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// One more than the highest number given out.
    pub(super) fn numbers(&self) -> usize {
        self.entries.len()
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<u32>() + self.entries.len() * size_of::<Entry>() + self.long.len()
    }

    /// Finds the group of each key, making new ones for keys not seen before.
    pub(super) fn intern(&mut self, keys: &ArrayRef, groups: &mut Vec<usize>) {
        groups.clear();
        groups.reserve(keys.len());
        match self.data_type {
            DataType::Utf8 => self.intern_bytes(keys.as_string::<i32>(), groups),
            _ => self.intern_bytes(keys.as_binary::<i32>(), groups),
        }
    }

    fn intern_bytes<T: ByteArrayType<Offset = i32>>(&mut self, keys: &GenericByteArray<T>, groups: &mut Vec<usize>) {
        let data = keys.values().as_slice();
        match keys.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => {
                let ends = keys.value_offsets();
                for first in (0..keys.len()).step_by(BLOCK) {
                    self.block(data, &ends[first..keys.len().min(first + BLOCK) + 1], groups);
                }
            }
            Some(nulls) => {
                for (ends, valid) in keys.value_offsets().array_windows().zip(nulls) {
                    groups.push(if valid { self.key_between(data, ends) } else { self.null_group() });
                }
            }
        }
    }

    /// Looks up keys that lie between these ends, at most a block of them: first where each should be, for all of them;
    /// those that are not there, and the long ones, one by one, in their order.
    fn block(&mut self, data: &[u8], ends: &[i32], groups: &mut Vec<usize>) {
        let (mut entries, mut found) = ([Entry::FREE; BLOCK], [0; BLOCK]);
        let mask = self.slots.len() - 1;
        for ((entry, found), &[start, end]) in entries.iter_mut().zip(&mut found).zip(ends.array_windows()) {
            let (start, len) = (start as usize, (end - start) as usize);
            if len <= SHORT {
                *entry = Entry::short(load(data, start, len), len);
                *found = self.slots[fold(entry.0 as u64, (entry.0 >> 64) as u64) as usize & mask];
            }
        }
        let (first, count) = (groups.len(), ends.len() - 1);
        let mut missed = 0u64;
        for (at, (entry, found)) in entries.iter().zip(found).take(count).enumerate() {
            let group = (found as usize).wrapping_sub(1);
            let known = self.entries.get(group) == Some(entry);
            missed |= u64::from(!known) << at;
            groups.push(group);
        }
        while missed != 0 {
            let at = missed.trailing_zeros() as usize;
            missed &= missed - 1;
            groups[first + at] = self.key_between(data, &[ends[at], ends[at + 1]]);
        }
    }

    fn key_between(&mut self, data: &[u8], &[start, end]: &[i32; 2]) -> usize {
        let (start, end) = (start as usize, end as usize);
        match end - start {
            len @ 0..=SHORT => self.short_key(Entry::short(load(data, start, len), len)),
            _ => self.long_key(&data[start..end]),
        }
    }

    #[inline]
    fn short_key(&mut self, entry: Entry) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = entry.hash() as usize & mask;
        loop {
            match self.slots[at] {
                0 => return self.insert(at, entry),
                taken if self.entries[taken as usize - 1] == entry => return taken as usize - 1,
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn long_key(&mut self, key: &[u8]) -> usize {
        // The same for every key with this hash, but for where it starts.
        let wanted = Entry::long(self.hasher.hash_one(key), 0);
        let mask = self.slots.len() - 1;
        let mut at = wanted.hash() as usize & mask;
        loop {
            match self.slots[at] {
                0 => {
                    let entry = Entry(wanted.0 | self.long.len() as u128);
                    self.long.extend_from_slice(&(key.len() as u32).to_le_bytes());
                    self.long.extend_from_slice(key);
                    return self.insert(at, entry);
                }
                taken => {
                    let entry = self.entries[taken as usize - 1];
                    if entry.0 >> 64 == wanted.0 >> 64 && self.long_bytes(entry) == key {
                        return taken as usize - 1;
                    }
                    at = (at + 1) & mask;
                }
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn insert(&mut self, at: usize, entry: Entry) -> usize {
        let group = self.number(entry);
        self.slots[at] = u32::try_from(group + 1).expect("a bucket or split has fewer than four billion keys");
        if self.entries.len() * 2 > self.slots.len() {
            self.grow();
        }
        group
    }

    fn number(&mut self, entry: Entry) -> usize {
        match self.free.pop() {
            Some(group) => {
                self.entries[group as usize] = entry;
                group as usize
            }
            None => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        }
    }

    /// Forgets a key; its number may be given to another.
    pub(super) fn remove(&mut self, group: usize) {
        let entry = std::mem::replace(&mut self.entries[group], Entry::FREE);
        debug_assert!(entry != Entry::FREE, "a group is removed once");
        self.free.push(group as u32);
        if entry == Entry::NULL {
            self.null = None;
            return;
        }
        let mask = self.slots.len() - 1;
        let mut at = entry.hash() as usize & mask;
        while self.slots[at] != group as u32 + 1 {
            at = (at + 1) & mask;
        }
        self.close_gap(at);
        if entry.kind() == Entry::LONG {
            self.gone_bytes += LEN + self.long_bytes(entry).len();
            if self.gone_bytes > FEW_GONE_BYTES.max(self.long.len() / 2) {
                self.move_together();
            }
        }
    }

    /// Empties a slot and moves those behind it up, so that no search stops too early (Knuth, volume 3, 6.4, algorithm
    /// R).
    fn close_gap(&mut self, mut gap: usize) {
        let mask = self.slots.len() - 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let taken = self.slots[at];
            if taken == 0 {
                break;
            }
            let home = self.entries[taken as usize - 1].hash() as usize & mask;
            // It may move up when its home is not between the gap and where it stands.
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(gap) & mask) {
                self.slots[gap] = taken;
                gap = at;
            }
        }
        self.slots[gap] = 0;
    }

    fn move_together(&mut self) {
        let mut kept = Vec::with_capacity(self.long.len() - self.gone_bytes);
        for at in 0..self.entries.len() {
            let entry = self.entries[at];
            if entry.kind() == Entry::LONG {
                let (start, bytes) = (kept.len(), self.long_bytes(entry));
                kept.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                kept.extend_from_slice(bytes);
                self.entries[at] = Entry::long(entry.hash(), start);
            }
        }
        self.long = kept;
        self.gone_bytes = 0;
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 4 - 1;
        let mut slots = vec![0; mask + 1];
        for (group, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.is_key()) {
            let mut at = entry.hash() as usize & mask;
            while slots[at] != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = group as u32 + 1;
        }
        self.slots = slots;
    }

    fn null_group(&mut self) -> usize {
        match self.null {
            Some(group) => group,
            None => {
                let group = self.number(Entry::NULL);
                self.null = Some(group);
                group
            }
        }
    }

    fn long_bytes(&self, entry: Entry) -> &[u8] {
        let (len, rest) =
            self.long[entry.0 as u64 as usize..].split_first_chunk().expect("a length stands before a key");
        &rest[..u32::from_le_bytes(*len) as usize]
    }

    /// The numbers of all keys, ascending.
    pub(super) fn groups(&self) -> Vec<usize> {
        (0..self.entries.len()).filter(|&group| self.entries[group] != Entry::FREE).collect()
    }

    /// The order of two keys by their bytes; the missing one comes first.
    pub(super) fn compare(&self, left: usize, right: usize) -> Ordering {
        let (mut left_room, mut right_room) = ([0; 16], [0; 16]);
        self.key(left, &mut left_room).cmp(&self.key(right, &mut right_room))
    }

    /// The bytes of a key; a short one has no address of its own, so it is put into `room`.
    fn key<'a>(&'a self, group: usize, room: &'a mut [u8; 16]) -> Option<&'a [u8]> {
        let entry = self.entries[group];
        match entry.kind() {
            _ if entry == Entry::NULL => None,
            Entry::LONG => Some(self.long_bytes(entry)),
            len => {
                *room = entry.0.to_le_bytes();
                Some(&room[..usize::from(len)])
            }
        }
    }

    /// The keys of these groups.
    pub(super) fn keys(&self, groups: &[usize]) -> ArrayRef {
        let mut room = [0; 16];
        let bytes = groups.iter().map(|&group| self.key(group, &mut room).map_or(0, <[u8]>::len)).sum();
        let mut builder = BinaryBuilder::with_capacity(groups.len(), bytes);
        for &group in groups {
            builder.append_option(self.key(group, &mut room));
        }
        let keys = builder.finish();
        match self.data_type {
            DataType::Utf8 => {
                let (offsets, values, nulls) = keys.into_parts();
                // SAFETY: every key was a value of a valid utf8 column, and was kept whole.
                #[expect(unsafe_code, reason = "looking again costs a pass over all keys")]
                let keys = unsafe { arrow::array::StringArray::new_unchecked(offsets, values, nulls) };
                Arc::new(keys)
            }
            _ => Arc::new(keys),
        }
    }
}

/// The bytes of a short key as a number, padded with zeros. Where the buffer allows it, 16 bytes are read and the rest
/// is masked off: that is one load, whatever the length.
#[inline]
fn load(data: &[u8], start: usize, len: usize) -> u128 {
    match data.get(start..start + 16) {
        Some(window) => u128::from_le_bytes(window.try_into().expect("16 bytes")) & !(u128::MAX << (len * 8)),
        None => load_at_end(data, start, len),
    }
}

#[cold]
fn load_at_end(data: &[u8], start: usize, len: usize) -> u128 {
    let mut padded = [0; 16];
    padded[..len].copy_from_slice(&data[start..start + len]);
    u128::from_le_bytes(padded)
}

/// A 128-bit product folded to 64 bits. The constants are digits of pi, as in foldhash: any without a pattern do.
#[inline]
fn fold(low: u64, high: u64) -> u64 {
    let product = u128::from(low ^ 0x243f_6a88_85a3_08d3) * u128::from(high ^ 0x1319_8a2e_0370_7344);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use arrow::array::{BinaryArray, StringArray};

    use super::*;

    /// Against a plain map: keys of every length around the limit, zeros at their ends, missing ones, in slices of
    /// larger arrays, enough of them to grow the table several times, and every now and then many of them removed.
    #[test]
    fn groups_are_those_of_a_plain_map() {
        let mut table = TextTable::new(&DataType::Binary).expect("bytes");
        let mut expected: HashMap<Option<Vec<u8>>, usize> = HashMap::new();
        let mut state = 1u64;
        let mut next = move |end: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % end
        };
        for round in 0..120 {
            let keys: Vec<Option<Vec<u8>>> = (0..1000)
                .map(|_| match next(20) {
                    // Without any missing one, keys are looked up in blocks.
                    0 if round % 2 == 0 => None,
                    _ => {
                        let len = next(36) as usize;
                        // Few letters, one of them zero, so that keys repeat and prefixes collide.
                        Some((0..len).map(|_| [0, b'a', b'b'][next(3) as usize]).collect())
                    }
                })
                .collect();
            let array: BinaryArray = keys.iter().map(|key| key.as_deref()).collect();
            let array: ArrayRef = Arc::new(array);
            let mut groups = Vec::new();
            table.intern(&array.slice(7, 900), &mut groups);
            for (key, &group) in keys[7..907].iter().zip(&groups) {
                assert_eq!(*expected.entry(key.clone()).or_insert(group), group, "key {key:?}");
            }
            assert_eq!(expected.values().collect::<HashSet<_>>().len(), expected.len(), "two keys have one number");
            if round % 3 == 2 {
                expected.retain(|_, &mut group| {
                    let stays = next(3) == 0;
                    if !stays {
                        table.remove(group);
                    }
                    stays
                });
            }
        }
        assert_eq!(table.len(), expected.len());
        let groups = table.groups();
        let keys = table.keys(&groups);
        let keys = keys.as_binary::<i32>();
        let found = groups.iter().enumerate().map(|(row, &group)| {
            let key = keys.is_valid(row).then(|| keys.value(row).to_vec());
            (key, group)
        });
        assert_eq!(found.collect::<HashMap<_, _>>(), expected);
    }

    /// The empty text, a text of a zero byte and a missing text are three keys.
    #[test]
    fn nothing_is_not_the_same_as_empty() {
        let mut table = TextTable::new(&DataType::Utf8).expect("text");
        let keys: ArrayRef = Arc::new(StringArray::from(vec![Some(""), None, Some("\0"), Some(""), None]));
        let mut groups = Vec::new();
        table.intern(&keys, &mut groups);
        assert_eq!(groups, [0, 1, 2, 0, 1]);
        assert_eq!(table.keys(&[0, 1, 2]).as_ref(), keys.slice(0, 3).as_ref());
    }
}
