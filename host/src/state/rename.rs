//! State that moves to another part.

use redb::{ReadableTable, WriteTransaction};

use super::{RedbStore, committed, envelope, failure::Failure, tables};
use crate::{
    model::PartName,
    ports::{CheckpointError, StateRename},
};

impl RedbStore {
    /// Moves state from part to part, all in one transaction: what is kept by key, and how far a watermark was that the part
    /// declares. No part that is moved to has any.
    pub fn rename_state(&mut self, renames: &[StateRename]) -> Result<(), CheckpointError> {
        self.write(|transaction| {
            renames.iter().try_for_each(|rename| move_state(transaction, rename))?;
            let mut table = transaction.open_table(tables::COMMITTED)?;
            let Some(mut standing) = committed(&table)? else { return Ok(()) };
            let layouts = standing.layouts.iter_mut().map(|(part, _)| part);
            let leads = standing.event_time.leads.iter_mut().map(|(part, _)| part);
            layouts.chain(leads).for_each(|part| {
                let renamed = renames.iter().find(|rename| rename.from == *part);
                renamed.into_iter().for_each(|rename| part.clone_from(&rename.to));
            });
            table.insert((), envelope::encode(&standing)?.as_slice())?;
            Ok(())
        })
    }
}

fn move_state(transaction: &WriteTransaction, StateRename { from, to }: &StateRename) -> Result<(), Failure> {
    let mut state = transaction.open_table(tables::STATE)?;
    let keys = state.range(all_of(from))?.map(|entry| {
        let (key, _) = entry?;
        let (_, bucket, sequence) = key.value();
        Ok((bucket, sequence))
    });
    let keys: Vec<(u32, u64)> = keys.collect::<Result<_, Failure>>()?;
    for (bucket, sequence) in keys {
        let removed = state.remove((from.as_str(), bucket, sequence))?;
        let value = removed.expect("the key has just been read").value().to_vec();
        state.insert((to.as_str(), bucket, sequence), value.as_slice())?;
    }
    Ok(())
}

fn all_of(stage: &PartName) -> std::ops::RangeInclusive<(&str, u32, u64)> {
    (stage.as_str(), 0, 0)..=(stage.as_str(), u32::MAX, u64::MAX)
}
