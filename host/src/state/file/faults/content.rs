//! What a simulated file holds: what readers see, what the platter has, and the changes in between.

use super::dice::{Dice, mix};

/// What a disk writes in one go.
const SECTOR: usize = 512;

/// What the operating system writes in one go.
const PAGE: usize = 4096;

/// A file.
#[derive(Debug, Default)]
pub(super) struct Content {
    cache: Vec<u8>,
    durable: Vec<u8>,
    /// Since the last sync, oldest first.
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Content {
    /// A file after a start of the machine: what it holds is what the platter has.
    pub(super) fn on_platter(bytes: Vec<u8>) -> Self {
        Content { cache: bytes.clone(), durable: bytes, pending: Vec::new() }
    }

    pub(super) fn seen(&self) -> &[u8] {
        &self.cache
    }

    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if end > self.cache.len() {
            self.cache.resize(end, 0);
        }
        self.cache[at..end].copy_from_slice(bytes);
        self.pending.push(Change::Write { at, bytes: bytes.to_vec() });
    }

    pub(super) fn set_length(&mut self, length: usize) {
        self.cache.resize(length, 0);
        self.pending.push(Change::Length(length));
    }

    pub(super) fn sync(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        self.durable.resize(self.cache.len(), 0);
        for (at, end) in pages_of(&pending, self.cache.len()) {
            self.durable[at..end].copy_from_slice(&self.cache[at..end]);
        }
    }

    /// A sync that fails: the operating system gives up on some of the pages, and the next sync does not try them
    /// again.
    pub(super) fn fail_sync(&mut self, dice: &mut Dice) {
        let pending = std::mem::take(&mut self.pending);
        self.durable.resize(self.cache.len(), 0);
        for (at, end) in pages_of(&pending, self.cache.len()) {
            if dice.coin() {
                self.durable[at..end].copy_from_slice(&self.cache[at..end]);
            } else {
                self.cache[at..end].copy_from_slice(&self.durable[at..end]);
            }
        }
    }

    /// What a power loss leaves. What was synced is there; of what came after, each piece may be.
    pub(super) fn survivor(&self, dice: &mut Dice) -> Vec<u8> {
        let changes = self.pending.len();
        let salt = dice.roll();
        let number = |of: usize, below: usize| (mix(salt ^ mix(of as u64)) % below as u64) as usize;
        let last = dice.below(changes + 1);
        match dice.below(6) {
            _ if changes == 0 => self.durable.clone(),
            0 => self.durable.clone(),
            1 => self.cache.clone(),
            // In order up to one that is torn.
            2 => self.blend(dice, SECTOR, last, |change, sector| {
                change < last || (change == last && number(sector, 2) == 0)
            }),
            // In any order: some writes and not others.
            3 => self.blend(dice, SECTOR, last, |change, _| number(change, 2) == 0),
            // Each sector, or page, as it was at some instant.
            4 => self.blend(dice, SECTOR, last, |change, sector| change < number(sector, changes + 1)),
            _ => self.blend(dice, PAGE, last, |change, page| change < number(page, changes + 1)),
        }
    }

    /// What is on the platter when the file has the length it had after `length_after` changes, and a change has
    /// reached a unit if `reached` says so.
    fn blend(
        &self,
        dice: &mut Dice,
        unit: usize,
        length_after: usize,
        reached: impl Fn(usize, usize) -> bool,
    ) -> Vec<u8> {
        let mut length = self.durable.len();
        for change in &self.pending[..length_after] {
            length = match change {
                Change::Write { at, bytes } => length.max(at + bytes.len()),
                Change::Length(length) => *length,
            };
        }
        let mut image = self.durable.clone();
        image.truncate(length);
        // Blocks that a file has just been given hold zeros or what another file left there.
        let garbage = if dice.coin() { dice.roll() | 1 } else { 0 };
        image.extend((image.len()..length).map(|at| (garbage.wrapping_mul(at as u64 | 1) >> 56) as u8));
        for (number, change) in self.pending.iter().enumerate() {
            let Change::Write { at, bytes } = change else { continue };
            let end = (at + bytes.len()).min(length);
            let mut start = *at;
            while start < end {
                let next = ((start / unit + 1) * unit).min(end);
                if reached(number, start / unit) {
                    image[start..next].copy_from_slice(&bytes[start - at..next - at]);
                }
                start = next;
            }
        }
        image
    }
}

/// The pages that these changes have touched, as far as the file goes now.
fn pages_of(changes: &[Change], length: usize) -> impl Iterator<Item = (usize, usize)> {
    let pages = changes.iter().flat_map(|change| match change {
        Change::Write { at, bytes } => at / PAGE..(at + bytes.len()).div_ceil(PAGE),
        Change::Length(_) => 0..0,
    });
    let mut pages: Vec<usize> = pages.collect();
    pages.sort_unstable();
    pages.dedup();
    pages.into_iter().map(move |page| (page * PAGE, ((page + 1) * PAGE).min(length))).filter(|(at, end)| at < end)
}
