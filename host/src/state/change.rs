//! What is kept for a part moves to another part, or is forgotten.

use redb::{ReadableTable, WriteTransaction};

use super::{committed, envelope, failure::Failure, tables};
use crate::{
    checkpoint::EpochPlan,
    model::PartName,
    ports::{Range, StateChange},
};

/// Makes the changes in one transaction: state by key, how far a watermark was that the part declares, and what a
/// source has read.
pub(super) fn apply(transaction: &WriteTransaction, changes: &[StateChange]) -> Result<(), Failure> {
    for change in changes {
        let (from, to) = match change {
            StateChange::Rename { from, to } => (from, Some(to)),
            StateChange::Drop { part } => (part, None),
        };
        move_state(transaction, from, to)?;
        move_history(transaction, from, to)?;
    }
    change_committed(transaction, changes)?;
    change_plan(transaction, changes)
}

fn change_committed(transaction: &WriteTransaction, changes: &[StateChange]) -> Result<(), Failure> {
    let mut table = transaction.open_table(tables::COMMITTED)?;
    let Some(mut standing) = committed(&table)? else { return Ok(()) };
    standing.layouts = kept(std::mem::take(&mut standing.layouts), changes);
    standing.event_time.leads = kept(std::mem::take(&mut standing.event_time.leads), changes);
    table.insert((), envelope::encode(&standing)?.as_slice())?;
    Ok(())
}

/// A plan that reads a source reads it under its new name.
fn change_plan(transaction: &WriteTransaction, changes: &[StateChange]) -> Result<(), Failure> {
    let mut plans = transaction.open_table(tables::PLAN)?;
    let epochs: Vec<u64> = plans.iter()?.map(|entry| Ok(entry?.0.value())).collect::<Result<_, Failure>>()?;
    for epoch in epochs {
        let value = plans.get(epoch)?.expect("its key has just been read").value().to_vec();
        let mut plan: EpochPlan = envelope::decode(&value).map_err(|reason| Failure::damaged("plan", epoch, reason))?;
        plan.ranges = kept::<Range>(plan.ranges, changes);
        plans.insert(epoch, envelope::encode(&plan)?.as_slice())?;
    }
    Ok(())
}

/// A list by part after the changes.
fn kept<T>(list: Vec<(PartName, T)>, changes: &[StateChange]) -> Vec<(PartName, T)> {
    let name_of = |name: PartName| {
        let of_part = |change: &&StateChange| match change {
            StateChange::Rename { from: part, .. } | StateChange::Drop { part } => *part == name,
        };
        match changes.iter().find(of_part) {
            None => Some(name),
            Some(StateChange::Rename { to, .. }) => Some(to.clone()),
            Some(StateChange::Drop { .. }) => None,
        }
    };
    list.into_iter().filter_map(|(name, value)| Some((name_of(name)?, value))).collect()
}

fn move_state(transaction: &WriteTransaction, from: &PartName, to: Option<&PartName>) -> Result<(), Failure> {
    let mut state = transaction.open_table(tables::STATE)?;
    let keys = state.range(tables::of_stage(from))?.map(|entry| {
        let (key, _) = entry?;
        let (_, bucket, sequence) = key.value();
        Ok((bucket, sequence))
    });
    let keys: Vec<(u32, u64)> = keys.collect::<Result<_, Failure>>()?;
    for (bucket, sequence) in keys {
        let removed = state.remove((from.as_str(), bucket, sequence))?;
        let value = removed.expect("the key has just been read").value().to_vec();
        if let Some(to) = to {
            state.insert((to.as_str(), bucket, sequence), value.as_slice())?;
        }
    }
    Ok(())
}

fn move_history(transaction: &WriteTransaction, from: &PartName, to: Option<&PartName>) -> Result<(), Failure> {
    let mut ranges = transaction.open_table(tables::RANGES)?;
    let keys = ranges.range(tables::of_part(from))?.map(|entry| Ok(entry?.0.value().1));
    let keys: Vec<u64> = keys.collect::<Result<_, Failure>>()?;
    for sequence in keys {
        let removed = ranges.remove((from.as_str(), sequence))?;
        let value = removed.expect("the key has just been read").value().to_vec();
        if let Some(to) = to {
            ranges.insert((to.as_str(), sequence), value.as_slice())?;
        }
    }
    Ok(())
}
