//! Keyed states. Those that do it right count the rows of each key and put the count out; a state is the number as
//! text.

use crate::{
    Misbehaving,
    bindings::exports::tidemill::plugin::keyed_state::{Guest, Outcome, Timers, Work},
    catalog,
    wire::{BAD, Batch, Column, Failure, Values, batch, failure, lines, numbers, spin, states_of, text, text_batch},
};

impl Guest for Misbehaving {
    fn update(handle: u32, work: Work) -> Result<Outcome, Failure> {
        let bad = lines(&work.input).iter().position(|line| *line == BAD);
        match (catalog::name(handle), bad) {
            ("keyed_panics", Some(_)) => panic!("this row is beyond me"),
            ("keyed_loops", Some(_)) => spin(),
            ("keyed_refuses", Some(row)) => {
                return Err(Failure { message: "this row is not for me".to_owned(), row: Some(row as u32) });
            }
            ("keyed_gives_up", _) => return Err(failure("no key is good enough for me")),
            _ => {}
        }
        let mut counts = numbers(&work.states);
        work.groups.iter().for_each(|&group| counts[group as usize] += 1);
        Ok(spoilt(catalog::name(handle), &counts))
    }

    fn migrate(handle: u32, from_version: u32, old: Column) -> Result<Column, Failure> {
        let counts = numbers(&old);
        Ok(match catalog::name(handle) {
            "migration_panics" => panic!("no state of version {from_version} is good enough for me"),
            "migration_fails" => return Err(failure(format!("there is no way from version {from_version}"))),
            "migration_loses_one" => states_of(&counts[1..]),
            "migration_removes_one" => Column { validity: Some(vec![0b1111_1110]), ..states_of(&counts) },
            "migration_to_text" => {
                Column { values: Values::Utf8(text(counts.iter().map(u64::to_string))), validity: None }
            }
            _ => states_of(&counts),
        })
    }
}

/// What is right, but for one fault.
fn spoilt(name: &str, counts: &[u64]) -> Outcome {
    let keys = counts.len() as u32;
    let mut out = right(counts);
    match name {
        "keyed_states_missing" => out.states = states_of(&counts[1..]),
        "keyed_states_of_numbers" => out.states = column(Values::Int64(vec![0; counts.len()])),
        "keyed_states_validity_short" => out.states.validity = Some(Vec::new()),
        "keyed_expiry_short" => out.expiry = Some(column(Values::Timestamp(vec![0; counts.len() - 1]))),
        "keyed_expiry_of_numbers" => out.expiry = Some(column(Values::Int64(vec![0; counts.len()]))),
        "keyed_expiry_validity_short" => {
            out.expiry = Some(Column { values: Values::Timestamp(vec![0; counts.len()]), validity: Some(Vec::new()) });
        }
        "keyed_rows_missing" => out.rows = Batch { rows: keys, columns: Vec::new() },
        "keyed_rows_of_numbers" => out.rows = batch(counts.len(), Values::Int64(vec![0; counts.len()])),
        "keyed_rows_not_utf8" => {
            let Values::Utf8(text) = &mut out.rows.columns[0].values else { panic!("counts are put out as text") };
            text.data[0] = 0xff;
        }
        "keyed_groups_missing" => drop(out.groups.pop()),
        "keyed_groups_descend" => out.groups.reverse(),
        "keyed_group_beyond" => out.groups[counts.len() - 1] = keys,
        "keyed_timers_without_times" => out.set = timers(&[(0, 1, 0)], |timers| timers.at.clear()),
        "keyed_timers_without_clocks" => out.cancel = timers(&[(0, 1, 0)], |timers| timers.domains.clear()),
        "keyed_timers_without_groups" => out.set = timers(&[(0, 1, 0)], |timers| timers.groups.clear()),
        "keyed_timer_beyond" => out.set = timers(&[(0, 1, 1), (keys, 1, 0)], |_| {}),
        "keyed_cancel_beyond" => out.cancel = timers(&[(u32::MAX, 1, 0)], |_| {}),
        "keyed_timer_on_no_clock" => out.cancel = timers(&[(0, 1, 0), (0, 1, 2)], |_| {}),
        _ => {}
    }
    out
}

fn right(counts: &[u64]) -> Outcome {
    let shown: Vec<String> = counts.iter().map(u64::to_string).collect();
    Outcome {
        states: states_of(counts),
        expiry: None,
        rows: text_batch(&shown),
        groups: (0..counts.len() as u32).collect(),
        set: timers(&[], |_| {}),
        cancel: timers(&[], |_| {}),
    }
}

fn column(values: Values) -> Column {
    Column { values, validity: None }
}

/// Timers of group, time and clock, and then spoilt.
fn timers(timers: &[(u32, i64, u8)], spoil: impl FnOnce(&mut Timers)) -> Timers {
    let mut timers = Timers {
        groups: timers.iter().map(|timer| timer.0).collect(),
        at: timers.iter().map(|timer| timer.1).collect(),
        domains: timers.iter().map(|timer| timer.2).collect(),
    };
    spoil(&mut timers);
    timers
}
