//! Pipelines and inputs made at random: small numbers, so that rows meet in windows, sessions and keys, and come late.

use super::{
    numbers::Numbers,
    script::{Script, Step},
};
use crate::model::{
    Aggregate, Bound, COLUMNS, END, Extent, Finality, Flow, Function, Gap, Group, Join, Keep, Keyed, Kind, Mode, Part,
    Pipeline, Row, SOURCES, START, Stage, Trigger, Update, VALUE, Value, WINDOW, leaves_room,
};

const SECOND: i64 = 1_000_000;
const MILLISECOND: i64 = 1_000;

/// One in so many scripts has so many rows that workers share the buckets of a stage out.
const BIG: usize = 250;

/// One in so many has so many epochs that a bucket's changes pile up in the checkpoint and are written anew.
const LONG: usize = 40;

/// A pipeline and what comes in.
pub(super) fn script(numbers: &mut Numbers) -> Script {
    let pipeline = pipeline(numbers);
    let steps = steps(numbers, &pipeline);
    Script { pipeline, steps }
}

const DELAYS: [i64; 7] = [0, 500 * MILLISECOND, SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND];

const DURATIONS: [i64; 7] = [SECOND, 2 * SECOND, 3 * SECOND, 5 * SECOND, 10 * SECOND, 20 * SECOND, 700 * MILLISECOND];

fn pipeline(numbers: &mut Numbers) -> Pipeline {
    // The second source of a join comes in with it.
    let joins = numbers.percent(20);
    let count = if !joins && numbers.percent(30) { 2 } else { 1 };
    let mut pipeline = Pipeline {
        trigger: numbers.pick(&[
            Trigger::Continuous,
            Trigger::Continuous,
            Trigger::Continuous,
            Trigger::Continuous,
            Trigger::Continuous,
            Trigger::Continuous,
            Trigger::Every,
            Trigger::Once,
        ]),
        max_files: numbers.percent(15).then(|| 1 + numbers.below(3)),
        inputs: (0..count).map(|_| numbers.percent(93).then(|| numbers.pick(&DELAYS))).collect(),
        fastest: (joins || count == 2) && numbers.percent(30),
        remembers: numbers.percent(40),
        stages: Vec::new(),
        mode: Mode::Append,
        also: None,
        looks_at_late: false,
        columns: Vec::new(),
    };
    if pipeline.trigger != Trigger::Continuous {
        // Once takes everything there is, and between two ticks it is the source's affair with what it fills up.
        pipeline.max_files = None;
    }
    if numbers.percent(15) {
        let watermark = numbers.percent(40).then(|| numbers.pick(&DELAYS));
        if watermark.is_some() && numbers.percent(70) {
            pipeline.inputs.fill(None);
        }
        pipeline.stages.push(Stage::Above { limit: numbers.between(-2, 4), watermark });
    }
    let join_at = joins.then(|| numbers.pick(&[0, 0, 0, 1]));
    let keyed_stages = numbers.pick(&[1, 1, 1, 2, 2, 3]).max(join_at.map_or(0, |at| at + 1));
    for number in 0..keyed_stages {
        let mut flow = Flow::all(&pipeline).pop().expect("there is a first");
        if !flow.are_facts() || !pipeline.columns.is_empty() {
            if join_at != Some(number) {
                break;
            }
            // Nothing takes such rows, so the join comes instead of what is above it.
            pipeline.stages.pop();
            pipeline.columns.clear();
            flow = Flow::all(&pipeline).pop().expect("there is a first");
        }
        let stage = match numbers.below(100) {
            _ if join_at == Some(number) => join(numbers, &mut pipeline, &flow),
            0..25 => first(numbers, &mut pipeline, &flow),
            25..45 => update(numbers, &flow).unwrap_or_else(|| group(numbers, &flow, number)),
            _ => group(numbers, &flow, number),
        };
        pipeline.stages.push(stage);
    }
    let flows = Flow::all(&pipeline);
    let [.., before, behind] = flows.as_slice() else { unreachable!("there is a stage") };
    pipeline.mode = numbers.pick(behind.modes());
    if numbers.percent(20) {
        // What a watermark closes cannot be kept for ever for another sink.
        let closes = !matches!(behind.finality, Finality::Changing { .. });
        let goes_with = |mode: &Mode| !closes || (*mode == Mode::Complete) == (pipeline.mode == Mode::Complete);
        let modes: Vec<Mode> = behind.modes().iter().copied().filter(goes_with).collect();
        pipeline.also = Some(numbers.pick(&modes));
    }
    let drops_late = match pipeline.stages.last() {
        Some(Stage::Group(group)) => before.closing(group).is_some(),
        Some(Stage::Join(_)) => false,
        _ => before.time.is_some(),
    };
    if drops_late && pipeline.columns.is_empty() {
        pipeline.looks_at_late = numbers.percent(6);
    }
    pipeline
}

/// The first row of each key. Where it is not for a rule to say which row is the first, all columns are the key, or
/// those that tell rows apart, or only the key is looked at.
fn first(numbers: &mut Numbers, pipeline: &mut Pipeline, flow: &Flow) -> Stage {
    let names: Vec<String> = flow.columns.iter().map(|column| column.name.clone()).collect();
    let identity = pipeline.stages.last().map(identity).unwrap_or_default();
    let choice = numbers.below(3);
    let by = match choice {
        _ if flow.in_order => some(numbers, &names, names.len()),
        0 if !identity.is_empty() => identity,
        1 => {
            pipeline.columns = vec![numbers.pick(&names)];
            pipeline.columns.clone()
        }
        _ => Vec::new(),
    };
    let within_watermark = flow.time.is_some() && pipeline.columns.is_empty() && numbers.percent(35);
    if within_watermark {
        // With two delays it would not be for a rule to say which one counts.
        if let [Some(delay), Some(_)] = pipeline.inputs[..] {
            pipeline.inputs.fill(Some(delay));
        }
    }
    Stage::First { by, within_watermark }
}

/// The columns that tell the rows of a stage apart, when all of its columns need not be looked at.
pub(super) fn identity(stage: &Stage) -> Vec<String> {
    match stage {
        Stage::Group(group) => {
            let window = [START, END].into_iter().filter(|_| group.is_windowed());
            window.map(str::to_owned).chain(group.by.clone()).collect()
        }
        Stage::Above { .. } | Stage::First { .. } | Stage::Join(_) | Stage::Update(_) => Vec::new(),
    }
}

/// A join with the second source, which comes in here.
fn join(numbers: &mut Numbers, pipeline: &mut Pipeline, left: &Flow) -> Stage {
    pipeline.inputs.push(numbers.percent(93).then(|| numbers.pick(&DELAYS)));
    let right = Flow::of_sources(&pipeline.inputs[1..]);
    let same_kind = |column: &crate::model::Column| {
        let others = right.columns.iter().filter(|other| other.kind == column.kind);
        others.map(|other| (column.name.clone(), other.name.clone())).collect::<Vec<_>>()
    };
    let pairs: Vec<(String, String)> = left.columns.iter().flat_map(same_kind).collect();
    let of_keys = (COLUMNS[1].to_owned(), COLUMNS[1].to_owned());
    let mut on = match pairs.contains(&of_keys) && numbers.percent(75) {
        true => vec![of_keys],
        false => vec![numbers.pick(&pairs)],
    };
    if numbers.percent(15) {
        on.push(numbers.pick(&pairs));
    }
    on.dedup();
    let bounds = [0, 0, SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 1500 * MILLISECOND];
    let within = (left.time.is_some() && right.time.is_some() && numbers.percent(90)).then(|| {
        let mut bound = |sign: i64| Some(Bound { distance: sign * numbers.pick(&bounds), strict: numbers.percent(15) });
        let (before, far_from, after) = (bound(1), bound(-1), bound(1));
        let within = numbers.pick(&[
            [after, after],
            [before, after],
            [before, after],
            [far_from, after],
            [None, after],
            [before, None],
        ]);
        if leaves_room(within) { within } else { [Some(Bound { distance: SECOND, strict: false }); 2] }
    });
    let mut join = Join { on, within, outer: false, watermark: None };
    join.outer = join.ends(left, &right) && numbers.percent(50);
    if numbers.percent(40) {
        let left = left.columns.iter().filter(|column| column.kind == Kind::Time).map(|column| column.name.clone());
        // The time of the right has another name where the left has one like it.
        let of_right = (COLUMNS[0].to_owned(), COLUMNS[0].to_owned());
        let mut times: Vec<String> = left.collect();
        if !join.on.contains(&of_right) {
            let taken = times.iter().any(|name| name == COLUMNS[0]);
            times.push(if taken { format!("{}_{}", SOURCES[1], COLUMNS[0]) } else { COLUMNS[0].to_owned() });
        }
        join.watermark = Some((numbers.pick(&times), numbers.pick(&DELAYS)));
    }
    Stage::Join(join)
}

/// A function with a state per key, if there are columns for it.
fn update(numbers: &mut Numbers, flow: &Flow) -> Option<Stage> {
    let mut of_kind = |kind: Kind| {
        let columns = flow.columns.iter().filter(|column| column.kind == kind);
        let columns: Vec<String> = columns.map(|column| column.name.clone()).collect();
        (!columns.is_empty()).then(|| numbers.pick(&columns))
    };
    let (by, of) = (of_kind(Kind::Text)?, of_kind(Kind::Number)?);
    let keyed = match flow.time {
        Some(_) => numbers.pick(&[
            Keyed::AddUp,
            Keyed::SumUntilOver,
            Keyed::SumUntilOver,
            Keyed::SumSoFar,
            Keyed::Calls,
            Keyed::CountByClock,
        ]),
        // Timers of event time need a watermark.
        None => numbers.pick(&[Keyed::SumSoFar, Keyed::Calls, Keyed::CountByClock]),
    };
    Some(Stage::Update(Update { keyed, by, of, visits_all: numbers.percent(30) }))
}

/// Up to so many of these, in their order.
fn some(numbers: &mut Numbers, from: &[String], most: usize) -> Vec<String> {
    let count = numbers.below(most + 1);
    let mut left = from.to_vec();
    while left.len() > count {
        left.remove(numbers.below(left.len()));
    }
    left
}

fn group(numbers: &mut Numbers, flow: &Flow, number: usize) -> Stage {
    let of_kind = |kinds: &[Kind]| -> Vec<String> {
        let columns = flow.columns.iter().filter(|column| kinds.contains(&column.kind));
        columns.map(|column| column.name.clone()).collect()
    };
    let plain = of_kind(&[Kind::Number, Kind::Text]);
    let numeric = of_kind(&[Kind::Number]);
    let times = of_kind(&[Kind::Time]);
    let mut on: Vec<String> = times.iter().filter(|name| !name.starts_with(WINDOW)).cloned().collect();
    if times.iter().any(|name| name == END) {
        on.push(WINDOW.to_owned());
    }
    // Mostly that of which the watermark speaks.
    if let Some(time) = flow.time
        && numbers.percent(85)
    {
        let time = &flow.columns[time].name;
        on = vec![if time == END { WINDOW.to_owned() } else { time.clone() }];
    }
    let mut by = some(numbers, &plain, 2);
    by.truncate(2);
    let extent = match numbers.below(100) {
        0..45 if !on.is_empty() => {
            let size = numbers.pick(&DURATIONS);
            let slide = if numbers.percent(50) { size } else { numbers.pick(&DURATIONS).min(size) };
            let offset = if numbers.percent(60) { 0 } else { numbers.between(-15_000, 15_000) * MILLISECOND };
            Extent::Windows { on: numbers.pick(&on), size, slide, offset }
        }
        45..70 if !on.is_empty() && !plain.is_empty() => {
            if by.is_empty() {
                by = vec![numbers.pick(&plain)];
            }
            let gap = match numbers.percent(20) && !numeric.is_empty() {
                true => Gap::Of(numbers.pick(&numeric)),
                false => Gap::Fixed(numbers.pick(&DURATIONS)),
            };
            Extent::Sessions { on: numbers.pick(&on), gap }
        }
        70..77 => Extent::Epoch,
        77..92 => {
            let size = numbers.between(1, 5);
            // Windows may leave some between them out.
            let slide = match numbers.below(3) {
                0 => 1,
                1 => numbers.between(1, size),
                _ => numbers.between(1, size + 2),
            };
            Extent::Epochs { size: size as u64, slide: slide as u64, inverse: false, keep: None }
        }
        _ => Extent::All,
    };
    if !matches!(extent, Extent::Windows { .. } | Extent::Sessions { .. }) && !times.is_empty() && numbers.percent(55) {
        by.extend(some(numbers, &times, 2));
    }
    let is_over_epochs = matches!(extent, Extent::Epochs { .. });
    let reduces = !numeric.is_empty() && !by.iter().any(|name| name == VALUE);
    let aggregates = match reduces && numbers.percent(if is_over_epochs { 60 } else { 8 }) {
        true => {
            vec![Aggregate { name: VALUE.to_owned(), function: Function::Add, column: Some(numbers.pick(&numeric)) }]
        }
        false => aggregates(numbers, flow, number),
    };
    let mut group = Group { by, extent, lateness: None, aggregates };
    let reduces = group.reduces();
    let numeric: Vec<String> = group.numeric_results(flow);
    if let Extent::Epochs { inverse, keep, .. } = &mut group.extent {
        *inverse = reduces && numbers.percent(65);
        if !numeric.is_empty() && numbers.percent(40) {
            *keep = Some(Keep { column: numbers.pick(&numeric), above: numbers.pick(&[0, 0, -2, 3, 10, 30]) });
        }
    }
    if group.is_windowed() && flow.closing(&group).is_some() && numbers.percent(25) {
        group.lateness = Some(numbers.pick(&DURATIONS));
    }
    Stage::Group(group)
}

fn aggregates(numbers: &mut Numbers, flow: &Flow, number: usize) -> Vec<Aggregate> {
    let count = 1 + numbers.below(3);
    let aggregate = |at| {
        let function = numbers.pick(&[Function::Count, Function::Sum, Function::Min, Function::Max]);
        let column = match function {
            Function::Count if numbers.percent(60) => None,
            Function::Sum => {
                let numeric: Vec<_> = flow.columns.iter().filter(|column| column.kind == Kind::Number).collect();
                (!numeric.is_empty()).then(|| numbers.pick(&numeric).name.clone())
            }
            _ => Some(numbers.pick(&flow.columns).name),
        };
        let function = if column.is_none() { Function::Count } else { function };
        Aggregate { name: format!("x{}{at}", number + 1), function, column }
    };
    (0..count).map(aggregate).collect()
}

/// How the rows of a script are.
struct Input {
    /// Seconds since 1970.
    start: i64,
    /// Seconds from step to step.
    drift: i64,
    /// How many seconds rows may be behind.
    disorder: i64,
    /// What times are multiples of.
    resolution: i64,
    keys: Vec<String>,
    nulls: usize,
    most_rows: usize,
    most_files: usize,
}

fn steps(numbers: &mut Numbers, pipeline: &Pipeline) -> Vec<Step> {
    // A join by anything but the key would have millions of pairs then.
    let by_key = |join: &Join| join.on.iter().any(|(left, right)| left == COLUMNS[1] && right == COLUMNS[1]);
    let has_many_pairs = |stage: &Stage| matches!(stage, Stage::Join(join) if !by_key(join));
    let big = numbers.below(BIG) == 0 && !pipeline.stages.iter().any(has_many_pairs);
    let long = !big && numbers.below(LONG) == 0;
    let keys = if big { 4_000 } else { numbers.pick(&[1, 2, 5, 30, 300]) };
    let name = |key: usize| match key {
        0 => String::new(),
        1 => "a".to_owned(),
        2 => "ab".to_owned(),
        3 => "a key that is longer than most".to_owned(),
        _ => format!("k{key}"),
    };
    let input = Input {
        start: numbers.pick(&[0, 0, 3, 100, 5_000, 1_700_000_000, -30, -100_000]),
        drift: numbers.pick(&[0, 1, 3, 10, 25]),
        disorder: numbers.pick(&[0, 2, 8, 20, 60]),
        resolution: numbers.pick(&[SECOND, SECOND, SECOND, SECOND, 100 * MILLISECOND, 1]),
        keys: (0..keys).map(name).collect(),
        nulls: numbers.pick(&[0, 5, 20]),
        most_rows: match (big, long) {
            // All pairs of a key may come out of a join.
            (true, _) if pipeline.joins() => 1_500,
            (true, _) => 3_500,
            (_, true) => 4,
            _ if pipeline.joins() => numbers.pick(&[2, 5, 15]),
            _ => numbers.pick(&[2, 5, 15, 40]),
        },
        most_files: if pipeline.joins() { numbers.pick(&[1, 2]) } else { numbers.pick(&[1, 2, 4]) },
    };
    let ticks = numbers.pick(&[[0, 0, 1], [0, 1, 2], [1, 3, 90_000]]);
    let mut now = 1_000;
    let restarts = numbers.pick(&[0, 15, 40]);
    let losses = numbers.pick(&[0, 0, 12]);
    let mut clock = input.start;
    let mut steps = Vec::new();
    let count = match (big, long) {
        (true, _) => 3,
        (_, true) => 40,
        _ => 2 + numbers.below(8),
    };
    for _ in 0..count {
        clock += numbers.between(0, 2 * input.drift);
        let is_empty = numbers.percent(15);
        let mut files_of = |_| match is_empty {
            true => Vec::new(),
            false => (0..numbers.below(input.most_files + 1)).map(|_| file(numbers, &input, clock, big)).collect(),
        };
        let files = (0..pipeline.inputs.len()).map(&mut files_of).collect();
        now += numbers.pick(&ticks);
        let (restart, lose_commit) = (numbers.percent(restarts), numbers.percent(losses));
        steps.push(Step { files, clock: now, restart, lose_commit });
    }
    steps
}

fn file(numbers: &mut Numbers, input: &Input, clock: i64, big: bool) -> Part {
    let rows = if big { input.most_rows } else { numbers.below(input.most_rows + 1) };
    (0..rows).map(|_| row(numbers, input, clock)).collect()
}

fn row(numbers: &mut Numbers, input: &Input, clock: i64) -> Row {
    let ahead = if numbers.percent(1) { 100 } else { 0 };
    let time = (clock + ahead - numbers.between(0, input.disorder)) * SECOND;
    let time = time + numbers.between(0, (SECOND / input.resolution) - 1) * input.resolution;
    let mut or_null = |value, nulls| if numbers.percent(nulls) { Value::Null } else { value };
    let time = or_null(Value::Time(time), input.nulls);
    let key = numbers.pick(&input.keys);
    let number = numbers.between(-3, 20);
    let mut or_null = |value| if numbers.percent(input.nulls / 2) { Value::Null } else { value };
    vec![time, or_null(Value::Text(key)), or_null(Value::Number(number))]
}
