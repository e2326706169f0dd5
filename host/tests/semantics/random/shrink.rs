//! From a script that fails to a small one that fails too.

use super::{Trial, generate::identity, script::Script};
use crate::model::{
    Bound, COLUMNS, Extent, Finality, Flow, Group, Join, Keyed, Mode, Part, Stage, Trigger, VALUE, Value, leaves_room,
};

/// So many smaller trials are made at most: each takes some milliseconds.
const MOST_TRIALS: usize = 3_000;

/// Makes a trial smaller as long as it still fails.
pub(super) fn shrink(mut trial: Trial, fails: impl Fn(&Trial) -> bool) -> Trial {
    let mut left = MOST_TRIALS;
    loop {
        let before = trial.clone();
        for smaller in [settings, steps, files, rows, pipeline, values] {
            let mut at = 0;
            // Each way to make it smaller is tried until there is none at this place.
            while left > 0
                && let Some(mut candidate) = smaller(&trial, at)
            {
                candidate.script.mend();
                left -= 1;
                match candidate != trial && is_valid(&candidate.script) && fails(&candidate) {
                    true => trial = candidate,
                    false => at += 1,
                }
            }
        }
        if trial == before || left == 0 {
            return trial;
        }
    }
}

/// Whether the pipeline would be taken: a stage that has gone may have had columns that others speak of.
fn is_valid(script: &Script) -> bool {
    let pipeline = &script.pipeline;
    let Some(flows) = Flow::known(pipeline) else { return false };
    let behind = flows.last().expect("there is a last");
    flows[..flows.len() - 1].iter().all(Flow::are_facts)
        && behind.modes().contains(&pipeline.mode)
        && pipeline.also.is_none_or(|mode| {
            behind.modes().contains(&mode)
                && (matches!(behind.finality, Finality::Changing { .. })
                    || (mode == Mode::Complete) == (pipeline.mode == Mode::Complete))
        })
        && pipeline.stages.iter().zip(&flows).enumerate().all(|(at, (stage, flow))| match stage {
            Stage::Above { .. } => true,
            Stage::First { by, within_watermark } => {
                let identity = at.checked_sub(1).map(|before| identity(&pipeline.stages[before]));
                let is_known = flow.in_order
                    || by.is_empty()
                    || *by == pipeline.columns
                    || identity.is_some_and(|identity| *by == identity);
                is_known && (flow.time.is_some() || !(*within_watermark || pipeline.looks_at_late))
            }
            Stage::Group(group) => {
                (flow.closing(group).is_some() || !(group.lateness.is_some() || pipeline.looks_at_late))
                    && !(group.by.is_empty() && matches!(group.extent, Extent::Sessions { .. }))
                    && is_valid_reducer(group)
                    && keeps_by_a_result(group, flow)
            }
            Stage::Join(join) => {
                let right = Flow::of_sources(&pipeline.inputs[1..]);
                !pipeline.looks_at_late
                    && join
                        .on
                        .iter()
                        .all(|(one, other)| flow.columns[flow.at(one)].kind == right.columns[right.at(other)].kind)
                    && (join.within.is_none() || (flow.time.is_some() && right.time.is_some()))
                    && (!join.outer || join.ends(flow, &right))
                    && join.within.is_none_or(leaves_room)
            }
            Stage::Update(update) => {
                let needs_time = matches!(update.keyed, Keyed::AddUp | Keyed::SumUntilOver);
                flow.time.is_some() || !(needs_time || pipeline.looks_at_late)
            }
        })
}

fn is_valid_reducer(group: &Group) -> bool {
    !group.reduces() || !group.by.iter().any(|name| name == VALUE)
}

fn keeps_by_a_result(group: &Group, flow: &Flow) -> bool {
    let Extent::Epochs { keep: Some(keep), .. } = &group.extent else { return true };
    group.numeric_results(flow).contains(&keep.column)
}

fn settings(trial: &Trial, at: usize) -> Option<Trial> {
    let mut smaller = trial.clone();
    match at {
        0 => smaller.other = smaller.plain.clone(),
        1 => smaller.plain = smaller.other.clone(),
        2 => smaller.other.restarts.clear(),
        3 => smaller.other.on_disk = false,
        4 => smaller.other.resident = None,
        5 => smaller.other.workers = vec![1],
        6 => smaller.other.workers.truncate(1),
        7 => smaller.plain.on_disk = false,
        8 => smaller.script.steps.iter_mut().for_each(|step| step.lose_commit = false),
        9 => smaller.script.steps.iter_mut().for_each(|step| step.restart = false),
        10 => smaller.script.steps.iter_mut().for_each(|step| step.clock = 1_000),
        _ => return None,
    }
    Some(smaller)
}

/// Without a step, or with two as one.
fn steps(trial: &Trial, at: usize) -> Option<Trial> {
    let mut smaller = trial.clone();
    let steps = &mut smaller.script.steps;
    let (at, way) = (at / 4, at % 4);
    let step = steps.get_mut(at)?;
    match way {
        0 if trial.script.steps.len() > 1 => {
            steps.remove(at);
            let moved = |restart: &usize| if *restart > at { restart - 1 } else { *restart };
            smaller.other.restarts = trial.other.restarts.iter().filter(|&&restart| restart != at).map(moved).collect();
        }
        1 => step.restart = false,
        2 => step.lose_commit = false,
        _ => smaller.other.restarts.retain(|&restart| restart != at),
    }
    Some(smaller)
}

/// Without a file, or with it in one with the next.
fn files(trial: &Trial, at: usize) -> Option<Trial> {
    let mut smaller = trial.clone();
    let (at, joins) = (at / 2, at % 2 == 1);
    let (files, file) = files_of(&mut smaller.script).find_map(nth(at))?;
    match joins && file + 1 < files.len() {
        true => {
            let next = files.remove(file + 1);
            files[file].extend(next);
        }
        false => {
            files.remove(file);
        }
    }
    Some(smaller)
}

fn files_of(script: &mut Script) -> impl Iterator<Item = &mut Vec<Part>> {
    script.steps.iter_mut().flat_map(|step| &mut step.files)
}

/// Finds the item of this number in lists one behind the other: its list, and its place there.
fn nth<'a, T>(mut at: usize) -> impl FnMut(&'a mut Vec<T>) -> Option<(&'a mut Vec<T>, usize)> {
    move |list| match at < list.len() {
        true => Some((list, at)),
        false => {
            at -= list.len();
            None
        }
    }
}

/// Without half the rows of a file, or without one.
fn rows(trial: &Trial, at: usize) -> Option<Trial> {
    let mut smaller = trial.clone();
    let count = files_of(&mut smaller.script).map(|files| files.len()).sum::<usize>();
    if at < 2 * count {
        let file = files_of(&mut smaller.script).flatten().nth(at / 2)?;
        let half = file.len() / 2;
        match at % 2 {
            0 => file.truncate(half),
            _ => drop(file.drain(..half)),
        }
        return Some(smaller);
    }
    let (rows, row) = files_of(&mut smaller.script).flatten().find_map(nth(at - 2 * count))?;
    rows.remove(row);
    Some(smaller)
}

fn pipeline(trial: &Trial, at: usize) -> Option<Trial> {
    let mut smaller = trial.clone();
    let pipeline = &mut smaller.script.pipeline;
    let stages = pipeline.stages.len();
    match at {
        0 => pipeline.trigger = Trigger::Continuous,
        1 => pipeline.max_files = None,
        2 => pipeline.fastest = false,
        3 => pipeline.remembers = false,
        4 => pipeline.looks_at_late = false,
        5 => pipeline.mode = Mode::Append,
        6 => pipeline.mode = Mode::Update,
        7 if pipeline.inputs.len() == 2 => {
            pipeline.inputs.truncate(1);
            smaller.script.steps.iter_mut().for_each(|step| step.files.truncate(1));
        }
        8 => pipeline.inputs.iter_mut().flatten().for_each(|delay| *delay = 0),
        9 => pipeline.columns.clear(),
        10 if stages > 1 => drop(pipeline.stages.pop()),
        11 if stages > 1 => drop(pipeline.stages.remove(0)),
        12 => pipeline.also = None,
        13.. => stage(pipeline.stages.get_mut((at - 13) / WAYS)?, (at - 13) % WAYS),
        _ => {}
    }
    Some(smaller)
}

/// So many ways there are to make a stage smaller, at most.
const WAYS: usize = 11;

fn stage(stage: &mut Stage, way: usize) {
    match stage {
        Stage::Above { limit, .. } if way == 0 => *limit = -100,
        Stage::Above { watermark, .. } => *watermark = watermark.map(|_| 0),
        Stage::First { within_watermark, .. } => *within_watermark = false,
        Stage::Group(group) => match (way, &mut group.extent) {
            (0, _) => group.lateness = None,
            (1, _) if group.aggregates.len() > 1 => drop(group.aggregates.pop()),
            (2, _) if group.aggregates.len() > 1 => drop(group.aggregates.remove(0)),
            (3, _) => drop(group.by.pop()),
            (4, _) if !group.by.is_empty() => drop(group.by.remove(0)),
            (5, Extent::Windows { offset, .. }) => *offset = 0,
            (6, Extent::Windows { size, slide, .. }) => *slide = *size,
            (7, Extent::Epochs { slide, .. }) => *slide = 1,
            (8, Extent::Epochs { size, .. }) => *size = (*size - 1).max(1),
            (9, Extent::Epochs { inverse, .. }) => *inverse = false,
            (10, Extent::Epochs { keep, .. }) => *keep = None,
            _ => {}
        },
        Stage::Join(join) => smaller_join(join, way),
        Stage::Update(update) => match way {
            0 => update.visits_all = false,
            1 => update.keyed = Keyed::SumSoFar,
            _ => {}
        },
    }
}

fn smaller_join(join: &mut Join, way: usize) {
    match (way, &mut join.within) {
        (0, _) => join.outer = false,
        (1, _) => join.watermark = None,
        (2, _) if join.on.len() > 1 => drop(join.on.pop()),
        (3, _) => join.on = vec![(COLUMNS[1].to_owned(), COLUMNS[1].to_owned())],
        (4, Some([before, _])) => *before = Some(Bound { distance: 0, strict: false }),
        (5, Some([_, after])) => *after = Some(Bound { distance: 0, strict: false }),
        (6, within) if !join.outer => *within = None,
        _ => {}
    }
}

/// With plainer values in a row.
fn values(trial: &Trial, at: usize) -> Option<Trial> {
    let mut smaller = trial.clone();
    let (at, way) = (at / 4, at % 4);
    let (rows, row) = files_of(&mut smaller.script).flatten().find_map(nth(at))?;
    let row = &mut rows[row];
    match way {
        0 => row[1] = Value::Text("a".to_owned()),
        1 => row[2] = Value::Number(1),
        2 if row[0] == Value::Null => row[0] = Value::Time(0),
        _ => {
            if let Value::Time(micros) = &mut row[0] {
                *micros = micros.div_euclid(1_000_000) * 1_000_000;
            }
        }
    }
    Some(smaller)
}
