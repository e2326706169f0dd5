//! A pipeline and what comes in, as a case with what the model expects.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    case::{Case, EpochOfCase, Step as StepOfCase, seconds},
    model::{
        Aggregate, Bound, Column, Extent, Flow, Function, Gap, Group, Join, Keep, Keyed, Kind, Mode, Model, Part,
        Pipeline, Row, SOURCES, Stage, Trigger, Update, Value,
    },
};

/// A pipeline and what comes in, step by step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Script {
    pub(super) pipeline: Pipeline,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// Files, source by source.
    pub(super) files: Vec<Vec<Part>>,
    /// What the clock shows, in seconds.
    pub(super) clock: i64,
    pub(super) restart: bool,
    pub(super) lose_commit: bool,
}

/// A way to run a script that must make no difference.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    /// How many workers there are at first, and after each restart, over and over.
    pub(super) workers: Vec<usize>,
    /// How many bytes of state may be in memory.
    pub(super) resident: Option<u64>,
    /// Whether the checkpoint is on disk.
    pub(super) on_disk: bool,
    /// Steps before which it is restarted besides.
    pub(super) restarts: Vec<usize>,
}

impl Script {
    /// Whether a restart changes nothing: nothing that matters is forgotten.
    pub(super) fn restarts_change_nothing(&self) -> bool {
        self.pipeline.remembers || self.pipeline.delays().iter().flatten().count() <= 1
    }

    /// A lost commit ends the process, so a start must follow. And what is due by the clock at once must not get rows
    /// in every epoch: there would always be another one.
    pub(super) fn mend(&mut self) {
        let mut always = false;
        for stage in &mut self.pipeline.stages {
            match stage {
                Stage::Update(update) if always && update.keyed == Keyed::CountByClock => {
                    update.keyed = Keyed::SumSoFar
                }
                Stage::Update(update) => always |= update.visits_all,
                Stage::Group(group) => always |= group.is_global() || matches!(group.extent, Extent::Epochs { .. }),
                _ => {}
            }
        }
        let mut lost = false;
        for step in &mut self.steps {
            step.restart |= lost;
            lost = step.lose_commit;
        }
        self.steps.iter_mut().last().into_iter().for_each(|last| last.lose_commit = false);
    }

    /// As a case, with what the model expects.
    pub(super) fn case(&self, id: String, setting: &Setting) -> Case {
        let mut model = Model::new(&self.pipeline);
        let has_watermark = self.pipeline.delays().iter().any(Option::is_some);
        let in_seconds = |micros: i64| has_watermark.then_some(micros as f64 / 1_000_000.0);
        // Late rows are counted group by group in each task, and the buckets of a join are tasks: a group that is in
        // several of them counts as often, unless it has the key of the join.
        let counts_twice = |stages: &[Stage]| {
            let Stage::Join(join) = &stages[0] else { return false };
            stages[1..].iter().enumerate().any(|(at, stage)| match stage {
                Stage::Group(group) if group.is_windowed() => {
                    at > 0 || !join.on.iter().all(|(left, _)| group.by.contains(left))
                }
                _ => false,
            })
        };
        let stages = &self.pipeline.stages;
        let counts_late = !(0..stages.len()).any(|at| counts_twice(&stages[at..]));
        let mut workers = setting.workers.iter().copied().cycle();
        let mut case = Case {
            id,
            from: "a pipeline made at random, and a naive model of it".to_owned(),
            pipeline: manifest(&self.pipeline),
            workers: workers.next(),
            resident: setting.resident,
            columns: self.pipeline.columns.clone(),
            ..Case::default()
        };
        for (at, step) in self.steps.iter().enumerate() {
            let restart = step.restart || setting.restarts.contains(&at);
            if restart {
                model.restart();
            }
            model.set_clock(step.clock * 1_000_000);
            let epochs = match step.lose_commit {
                true => {
                    model.lose_step(&step.files);
                    None
                }
                false => Some(model.step(&step.files)),
            };
            let shown = |epoch: crate::model::Epoch| EpochOfCase {
                out: epoch.out.iter().map(|row| self.shown(row)).collect(),
                watermark: in_seconds(epoch.watermark),
                dropped: counts_late.then_some(epoch.dropped),
                state: Some(epoch.kept),
            };
            let files = SOURCES.into_iter().zip(&step.files).map(|(source, files)| {
                let rows_of = |file: &Part| file.iter().map(json).collect::<Vec<_>>();
                (source.to_owned(), files.iter().map(rows_of).collect())
            });
            case.steps.push(StepOfCase {
                row_files: files.collect::<BTreeMap<_, _>>(),
                restart,
                workers: if restart && setting.workers.len() > 1 { workers.next() } else { None },
                lose_commit: step.lose_commit,
                now: self.pipeline.looks_at_clock().then_some(step.clock),
                next_watermark: in_seconds(model.watermark()).filter(|_| !step.lose_commit),
                epochs: epochs.map(|epochs| epochs.into_iter().map(shown).collect()),
                ..StepOfCase::default()
            });
        }
        case
    }

    fn shown(&self, row: &Row) -> Vec<toml::Value> {
        let shown = |value: &Value| match value {
            Value::Number(number) => toml::Value::Integer(*number),
            Value::Time(micros) if micros % 1_000_000 == 0 => toml::Value::Integer(micros / 1_000_000),
            other => toml::Value::String(other.to_string()),
        };
        let all = crate::model::Flow::all(&self.pipeline).pop().expect("there is a last").columns;
        let is_shown = |name: &String| self.pipeline.columns.is_empty() || self.pipeline.columns.contains(name);
        let row = row.iter().enumerate();
        let row = row.filter(|(at, _)| self.pipeline.looks_at_late || is_shown(&all[*at].name));
        row.map(|(_, value)| shown(value)).collect()
    }
}

/// A pipeline as its manifest.
fn manifest(pipeline: &Pipeline) -> String {
    let mut text = "name = \"case\"\n".to_owned();
    let mut line = |line: &str| {
        let _ = writeln!(text, "{line}");
    };
    match pipeline.trigger {
        Trigger::Continuous => {}
        Trigger::Once => line("trigger = \"once\""),
        Trigger::Every => line("trigger = { every = \"1s\" }"),
    }
    if pipeline.calls_plugin() {
        line("\n[plugins.behaving]\ncrate = \"PLUGINS/behaving\"");
    }
    line("\n[watermarks]");
    line(&format!("policy = \"{}\"", if pipeline.fastest { "max" } else { "min" }));
    line(&format!("after_restart = \"{}\"", if pipeline.remembers { "remember" } else { "forget" }));
    for (source, delay) in SOURCES.iter().zip(&pipeline.inputs) {
        line(&format!("\n[sources.{source}]\ntype = \"files\"\npath = \"{source}\"\nformat = \"json\""));
        line("schema = { ts = \"timestamp\", key = \"utf8\", v = \"int64\" }");
        if let Some(files) = pipeline.max_files {
            line(&format!("max_files_per_trigger = {files}"));
        }
        if let Some(delay) = delay {
            line(&format!("watermark = {{ on = \"ts\", delay = \"{}\" }}", duration(*delay)));
        }
    }
    let mut inputs = if pipeline.joins() { vec![SOURCES[0]] } else { SOURCES[..pipeline.inputs.len()].to_vec() };
    let names: Vec<String> = (1..=pipeline.stages.len()).map(|number| format!("stage{number}")).collect();
    let flows = Flow::all(pipeline);
    let plain_names: Vec<String> = names.iter().map(|name| format!("{name}_plain")).collect();
    for (at, (name, stage)) in names.iter().zip(&pipeline.stages).enumerate() {
        if let Stage::Join(_) = stage {
            inputs.push(SOURCES[1]);
        }
        line(&format!("\n[transforms.{name}]\ninputs = {}", quoted(&inputs)));
        match stage {
            Stage::Above { limit, watermark } => {
                line(&format!("where = \"v > {limit}\""));
                if let Some(delay) = watermark {
                    line(&format!("watermark = {{ on = \"ts\", delay = \"{}\" }}", duration(*delay)));
                }
            }
            Stage::First { by, within_watermark } => {
                line(&format!("drop_duplicates = {}", quoted(by)));
                if *within_watermark {
                    line("within_watermark = true");
                }
            }
            Stage::Group(group) => group_lines(group, &mut line),
            Stage::Join(join) => join_lines(join, &mut line),
            Stage::Update(update) => update_lines(update, &mut line),
        }
        inputs = vec![name];
        if matches!(stage, Stage::Join(Join { watermark: None, .. })) && at + 1 < names.len() {
            // Its rows have two event times, and only a window may choose one of them.
            let plain = |column: &Column| match column.kind {
                Kind::Time => format!("{0} + interval '0 seconds' as {0}", column.name),
                Kind::Number | Kind::Text => column.name.clone(),
            };
            let select: Vec<String> = flows[at + 1].columns.iter().map(plain).collect();
            line(&format!(
                "\n[transforms.{}]\ninputs = {}\nselect = {}",
                plain_names[at],
                quoted(&inputs),
                quoted(&select)
            ));
            inputs = vec![&plain_names[at]];
        }
    }
    let last = names.last().expect("there is a stage");
    let kept = if pipeline.looks_at_late { "kept" } else { "out" };
    let mut sink = |name: &str, mode: Mode| {
        let mode = match mode {
            Mode::Append => "append",
            Mode::Update => "update",
            Mode::Complete => "complete",
        };
        line(&format!("\n[sinks.{name}]\ninputs = [\"{last}\"]\ntype = \"memory\"\nmode = \"{mode}\""));
    };
    sink(kept, pipeline.mode);
    pipeline.also.into_iter().for_each(|mode| sink("also", mode));
    if pipeline.looks_at_late {
        line(&format!("\n[sinks.out]\ninputs = [\"{last}.late\"]\ntype = \"memory\""));
    }
    text
}

fn join_lines(Join { on, within, outer, watermark }: &Join, line: &mut impl FnMut(&str)) {
    let both =
        |(left, right): &(String, String)| if left == right { left.clone() } else { format!("{left} = {right}") };
    let mut join = format!("on = {}", quoted(&on.iter().map(both).collect::<Vec<_>>()));
    match within {
        Some([before, after]) if before == after => {
            let _ = write!(join, ", within = \"{}\"", bound(*after));
        }
        Some([before, after]) => {
            let (before, after) = (bound(*before), bound(*after));
            let _ = write!(join, ", within = {{ before = \"{before}\", after = \"{after}\" }}");
        }
        None => {}
    }
    if *outer {
        join.push_str(", type = \"left\"");
    }
    line(&format!("join = {{ {join} }}"));
    if let Some((on, delay)) = watermark {
        line(&format!("watermark = {{ on = \"{on}\", delay = \"{}\" }}", duration(*delay)));
    }
}

fn update_lines(Update { keyed, by, of, visits_all }: &Update, line: &mut impl FnMut(&str)) {
    let function = match keyed {
        Keyed::AddUp => "add_up",
        Keyed::SumUntilOver => "sum_until_over",
        Keyed::SumSoFar => "sum_so_far",
        Keyed::Calls => "calls",
        Keyed::CountByClock => "count_by_clock",
    };
    // The plugin's columns take no nulls.
    line(&format!("group_by = [\"coalesce({by}, 'none') as word\"]\nupdate = \"behaving.{function}\""));
    line(&format!("columns = {{ length = \"coalesce({of}, 0)\" }}"));
    if *visits_all {
        line("visit = \"all\"");
    }
}

fn group_lines(group: &Group, line: &mut impl FnMut(&str)) {
    line(&format!("group_by = {}", quoted(&group.by)));
    match &group.extent {
        Extent::All => {}
        Extent::Epoch => line("over = \"batch\""),
        Extent::Epochs { size, slide, inverse, keep } => {
            let inverse = if *inverse { ", inverse = true" } else { "" };
            let keep = keep
                .iter()
                .map(|Keep { column, above }| format!(", keep = \"{column} > {above}\""))
                .collect::<String>();
            line(&format!("over = {{ batches = {size}, slide = {slide}{inverse}{keep} }}"));
        }
        Extent::Windows { on, size, slide, offset } => {
            let mut window = format!("on = \"{on}\", size = \"{}\"", duration(*size));
            if slide != size {
                let _ = write!(window, ", slide = \"{}\"", duration(*slide));
            }
            if *offset != 0 {
                let _ = write!(window, ", offset = \"{}\"", duration(*offset));
            }
            line(&format!("window = {{ {window} }}"));
        }
        Extent::Sessions { on, gap } => {
            let gap = match gap {
                Gap::Fixed(gap) => duration(*gap),
                Gap::Of(column) => column.clone(),
            };
            line(&format!("session = {{ on = \"{on}\", gap = \"{gap}\" }}"));
        }
    }
    if let Some(lateness) = group.lateness {
        line(&format!("allowed_lateness = \"{}\"", duration(lateness)));
    }
    if group.reduces() {
        let column = group.aggregates[0].column.as_ref().expect("a reducer reads a column");
        line(&format!("reduce = \"behaving.add\"\ncolumns = {{ value = \"coalesce({column}, 0)\" }}"));
        return;
    }
    let aggregate = |Aggregate { name, function, column }: &Aggregate| {
        let function = match function {
            Function::Count => "count",
            Function::Sum => "sum",
            Function::Min => "min",
            Function::Max => "max",
            Function::Add => unreachable!("reducers are no aggregates"),
        };
        format!("{name} = \"{function}({})\"", column.as_deref().unwrap_or("*"))
    };
    line(&format!("aggregates = {{ {} }}", group.aggregates.iter().map(aggregate).collect::<Vec<_>>().join(", ")));
}

fn quoted(names: &[impl AsRef<str>]) -> String {
    format!("[{}]", names.iter().map(|name| format!("\"{}\"", name.as_ref())).collect::<Vec<_>>().join(", "))
}

fn bound(bound: Option<Bound>) -> String {
    bound.map_or("unbounded".to_owned(), |bound| {
        format!("{}{}", if bound.strict { "<" } else { "" }, duration(bound.distance))
    })
}

fn duration(micros: i64) -> String {
    match micros % 1_000_000 {
        0 => format!("{}s", micros / 1_000_000),
        _ => format!("{}ms", micros / 1_000),
    }
}

/// A row as a source reads it.
fn json(row: &Row) -> String {
    let value = |value: &Value| match value {
        Value::Null => "null".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Time(micros) if micros % 1_000_000 == 0 => seconds(*micros),
        Value::Time(micros) => {
            let time =
                arrow::temporal_conversions::timestamp_us_to_datetime(*micros).expect("a time that can be shown");
            format!("\"{}\"", time.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
        }
        Value::Text(text) => format!("\"{text}\""),
    };
    format!("{{\"ts\": {}, \"key\": {}, \"v\": {}}}", value(&row[0]), value(&row[1]), value(&row[2]))
}

/// A case as a file of `cases/`.
pub(super) fn text(case: &Case) -> String {
    let mut text = format!("id = \"{}\"\nfrom = \"{}\"\n", case.id, case.from);
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    case.workers.filter(|&workers| workers != 1).into_iter().for_each(|workers| line(format!("workers = {workers}")));
    case.resident.into_iter().for_each(|bytes| line(format!("resident = {bytes}")));
    if !case.columns.is_empty() {
        line(format!("columns = {}", quoted(&case.columns)));
    }
    line(format!("pipeline = '''\n{}'''", case.pipeline));
    for step in &case.steps {
        line("\n[[steps]]".to_owned());
        if step.restart {
            line("restart = true".to_owned());
        }
        step.workers.into_iter().for_each(|workers| line(format!("workers = {workers}")));
        if step.lose_commit {
            line("lose_commit = true".to_owned());
        }
        step.now.into_iter().for_each(|now| line(format!("now = {now}")));
        let with_files: Vec<_> = step.row_files.iter().filter(|(_, files)| !files.is_empty()).collect();
        if with_files.iter().all(|(_, files)| files.len() == 1) {
            let rows = with_files.iter().map(|(source, files)| format!("{source} = {}", list(&files[0], raw)));
            let rows: Vec<String> = rows.collect();
            if !rows.is_empty() {
                line(format!("rows = {{ {} }}", rows.join(", ")));
            }
        } else {
            let files =
                with_files.iter().map(|(source, files)| format!("{source} = {}", list(files, |file| list(file, raw))));
            line(format!("row_files = {{ {} }}", files.collect::<Vec<_>>().join(", ")));
        }
        step.epochs
            .iter()
            .for_each(|epochs| line(format!("epochs = [\n{}]", epochs.iter().map(epoch).collect::<String>())));
        step.next_watermark.into_iter().for_each(|watermark| line(format!("next_watermark = {watermark}")));
    }
    text
}

fn epoch(epoch: &EpochOfCase) -> String {
    let EpochOfCase { out, watermark, dropped, state } = epoch;
    let mut parts: Vec<String> = watermark.iter().map(|watermark| format!("watermark = {watermark}")).collect();
    parts.extend(dropped.iter().map(|dropped| format!("dropped = {dropped:?}")));
    parts.extend(state.iter().map(|state| format!("state = {state:?}")));
    parts.push(format!("out = {}", list(out, |row| list(row, toml::Value::to_string))));
    format!("    {{ {} }},\n", parts.join(", "))
}

fn raw(row: &String) -> String {
    format!("'{row}'")
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "))
}
