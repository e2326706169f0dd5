//! `tidemill state`: what is kept in a checkpoint, as rows.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
    error::ArrowError,
    json::{WriterBuilder, writer::LineDelimited},
    util::pretty::pretty_format_batches,
};
use clap::Args;
use serde_json::json;

use super::{
    Format,
    checkpoint::CheckpointArgs,
    failure::{Failure, print, print_text},
};
use crate::{
    checkpoint::{Committed, StateLayout},
    model::{PartName, Watermark},
    operator::StoredRows,
    ports::{CheckpointError, StateReader},
    state::Saved,
};

const EXAMPLE: &str = "\
The pipeline must not be running; of one that is, make a savepoint and look at
that. Columns such as `mean[0]` hold what an aggregate keeps for a key.

Example:
  tidemill state wordcount.toml
  tidemill state backups/monday counts --limit 10
  tidemill state .tidemill/wordcount counts --format json | jq '.stages[].rows[]'";

/// More bytes of a state are of no use to a reader.
const MOST_BYTES_SHOWN: usize = 32;

/// Show the keys, states and timers in a checkpoint or savepoint
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct State {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Show this stage only
    #[arg(value_name = "STAGE")]
    stage: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Show so many rows of each stage at most; otherwise 100 as text, and all as JSON
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// A stage and its rows.
struct Stage<'a> {
    name: &'a PartName,
    layout: &'a StateLayout,
    keys: u64,
    rows: Option<RecordBatch>,
}

impl State {
    pub(super) fn run(self) -> Result<(), Failure> {
        let saved = Saved::open(&self.checkpoint.find()?.dir)?;
        let Some(committed) = saved.committed()? else {
            return Err(Failure::refused(format!(
                "checkpoint `{}` has no epoch yet, and so no state: run its pipeline first",
                saved.path().display()
            )));
        };
        let limit = self.limit.unwrap_or(match self.format {
            Format::Text => 100,
            Format::Json => usize::MAX,
        });
        let stages = self.wanted(&committed)?.into_iter().map(|(name, layout)| read(&saved, name, layout, limit));
        let stages = stages.collect::<Result<Vec<_>, _>>()?;
        match self.format {
            Format::Text => print_text(&text(&saved, &committed, &stages).map_err(unshown)?),
            Format::Json => print(as_json(&saved, &committed, &stages).map_err(unshown)?),
        }
    }

    fn wanted<'a>(&self, committed: &'a Committed) -> Result<Vec<(&'a PartName, &'a StateLayout)>, Failure> {
        let all = committed.layouts.iter().map(|(name, layout)| (name, layout));
        let Some(wanted) = &self.stage else { return Ok(all.collect()) };
        let found: Vec<_> = all.filter(|(name, _)| name.as_str() == wanted).collect();
        if found.is_empty() {
            let known: Vec<String> = committed.layouts.iter().map(|(name, _)| format!("`{name}`")).collect();
            return Err(Failure::refused(match known.is_empty() {
                true => format!("there is no state of `{wanted}`: the pipeline keeps none"),
                false => format!("there is no state of `{wanted}`; there is of {}", known.join(", ")),
            }));
        }
        Ok(found)
    }
}

fn read<'a>(saved: &Saved, name: &'a PartName, layout: &'a StateLayout, limit: usize) -> Result<Stage<'a>, Failure> {
    let mut rows = StoredRows::new(name, layout, limit);
    for bucket in saved.buckets(name)? {
        let mut stored = Vec::new();
        saved.load_state(name, bucket, &mut |batch| {
            stored.push(batch);
            Ok(())
        })?;
        rows.add(&stored).map_err(unshown)?;
    }
    let keys = rows.keys();
    Ok(Stage { name, layout, keys, rows: rows.finish().map_err(unshown)? })
}

fn unshown(error: impl fmt::Display) -> Failure {
    Failure::failed(format!("the state cannot be shown: {error}"))
}

fn text(saved: &Saved, committed: &Committed, stages: &[Stage<'_>]) -> Result<String, Unshown> {
    let mut out = String::new();
    writeln!(out, "{}", saved.path().display())?;
    writeln!(out, "  epoch {} of {}", committed.epoch, committed.batch_time)?;
    if let Some(watermark) = watermark(committed) {
        writeln!(out, "  watermark {watermark}")?;
    }
    if let Some(plan) = saved.plan()? {
        writeln!(out, "  epoch {} was under way", plan.epoch)?;
    }
    if stages.is_empty() {
        writeln!(out, "  no part keeps state")?;
    }
    for Stage { name, layout, keys, rows } in stages {
        writeln!(out, "\n{name}: {keys} keys")?;
        writeln!(out, "  key   {}", if layout.key.is_empty() { "none: all rows together" } else { &layout.key })?;
        writeln!(out, "  value {}", layout.value)?;
        if let Some(rows) = rows {
            writeln!(out, "{}", pretty_format_batches(&[shortened(rows)?])?)?;
        }
        let unseen = keys - rows.as_ref().map_or(0, |rows| rows.num_rows() as u64);
        if unseen > 0 {
            writeln!(out, "and {unseen} more; --limit says how many are shown")?;
        }
    }
    Ok(out)
}

/// How far event time is complete; none where nothing is known of it.
fn watermark(committed: &Committed) -> Option<String> {
    Some(committed.event_time.next).filter(|next| *next > Watermark::START).map(|next| next.to_string())
}

/// Bytes as text: all of few, the length of many.
fn shortened(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let shown = |(field, column): (&Arc<Field>, &ArrayRef)| match column.as_binary_opt::<i32>() {
        None => (field.as_ref().clone(), Arc::clone(column)),
        Some(states) => {
            let states: StringArray = states.iter().map(|state| state.map(shown_bytes)).collect();
            (field.as_ref().clone().with_data_type(DataType::Utf8), Arc::new(states) as ArrayRef)
        }
    };
    let schema = rows.schema();
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = schema.fields().iter().zip(rows.columns()).map(shown).unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn shown_bytes(state: &[u8]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match state.get(..MOST_BYTES_SHOWN) {
        Some(first) if state.len() > first.len() => format!("{}... ({} bytes)", hex(first), state.len()),
        _ => hex(state),
    }
}

/// One object; a line for each row.
fn as_json(saved: &Saved, committed: &Committed, stages: &[Stage<'_>]) -> Result<Vec<u8>, Unshown> {
    let mut out = Vec::new();
    let about = json!({
        "checkpoint": saved.path().display().to_string(),
        "epoch": committed.epoch,
        "batch_time": committed.batch_time.to_string(),
        "watermark": watermark(committed),
        "planned": saved.plan()?.map(|plan| plan.epoch),
    });
    open_object(&mut out, &about, "stages");
    for (at, Stage { name, layout, keys, rows }) in stages.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"\n" } else { b",\n" });
        let about = json!({ "name": name, "key": layout.key, "value": layout.value, "keys": keys });
        open_object(&mut out, &about, "rows");
        if let Some(rows) = rows {
            let mut lines = Vec::new();
            let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut lines);
            writer.write(rows)?;
            writer.finish()?;
            for (at, line) in lines.trim_ascii_end().split(|byte| *byte == b'\n').enumerate() {
                out.extend_from_slice(if at == 0 { b"\n" } else { b",\n" });
                out.extend_from_slice(line);
            }
            out.push(b'\n');
        }
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"\n]}\n");
    Ok(out)
}

/// An object up to a last member, which is a list.
fn open_object(out: &mut Vec<u8>, about: &serde_json::Value, list: &str) {
    let about = about.to_string();
    out.extend_from_slice(about.strip_suffix('}').expect("an object ends like this").as_bytes());
    out.extend_from_slice(format!(",\"{list}\":[").as_bytes());
}

/// Why rows could not be put into text.
#[derive(Debug, thiserror::Error)]
enum Unshown {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Text(#[from] fmt::Error),
}
