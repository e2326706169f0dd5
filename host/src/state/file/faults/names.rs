//! The names in a simulated folder: those that are seen, those on the platter, and the changes in between.

use std::collections::BTreeMap;

use super::dice::{Dice, mix};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    File(usize),
    Folder(usize),
}

/// A folder. A rename is two changes, of which a file system without a journal may keep either: the old name may stay
/// beside the new one, and both may be gone.
#[derive(Debug, Default)]
pub(super) struct Names {
    cache: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    /// Since the last sync, oldest first: the name, and what it stands for from now on.
    pending: Vec<(String, Option<Node>)>,
}

impl Names {
    /// A folder after a start of the machine.
    pub(super) fn on_platter(names: BTreeMap<String, Node>) -> Self {
        Names { cache: names.clone(), durable: names, pending: Vec::new() }
    }

    pub(super) fn seen(&self) -> &BTreeMap<String, Node> {
        &self.cache
    }

    pub(super) fn set(&mut self, name: &str, node: Option<Node>) {
        put(&mut self.cache, name, node);
        self.pending.push((name.to_owned(), node));
    }

    pub(super) fn sync(&mut self) {
        self.durable.clone_from(&self.cache);
        self.pending.clear();
    }

    /// What a power loss leaves.
    pub(super) fn survivor(&self, dice: &mut Dice) -> BTreeMap<String, Node> {
        let changes = self.pending.len();
        let (salt, way, last) = (dice.roll(), dice.below(4), dice.below(changes + 1));
        let reached = |change: usize| match way {
            0 => false,
            1 => true,
            2 => change < last,
            _ => mix(salt ^ mix(change as u64)).is_multiple_of(2),
        };
        let mut names = self.durable.clone();
        for (_, (name, node)) in self.pending.iter().enumerate().filter(|(change, _)| reached(*change)) {
            put(&mut names, name, *node);
        }
        names
    }
}

fn put(names: &mut BTreeMap<String, Node>, name: &str, node: Option<Node>) {
    match node {
        Some(node) => names.insert(name.to_owned(), node),
        None => names.remove(name),
    };
}
