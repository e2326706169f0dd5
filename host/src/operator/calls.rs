//! The plugin instances of one worker, and what becomes of rows their functions cannot take.

use std::{collections::BTreeMap, ops::Range};

use arrow::{
    array::{Array, BooleanArray, RecordBatch, RecordBatchOptions},
    buffer::BooleanBuffer,
    compute::{concat_batches, filter_record_batch},
};

use super::{Failure, OperatorError, fold::binary};
use crate::{
    manifest::BadRows,
    model::{DeadLetter, Digest, Epoch, PartName},
    plan::Call,
    ports::{CallError, CallScope, HandlerOutput, Instance, Transformed},
};

/// So many calls may stop in one batch before the function itself, and not a row, is taken to be at fault. Each costs
/// a fresh instance; finding one bad row among 16,000 takes 15.
const MAX_STOPS: usize = 256;

/// The same for calls that ran into their time limit, each of which has cost all of it.
const MAX_TIMEOUTS: usize = 16;

/// A function that has refused a row may refuse the next as well. It then gets so many rows, and twice as many each
/// time it takes them all: with all the rest of the batch each time, a batch of nothing but bad rows would cost its
/// square.
const ROWS_AFTER_REFUSAL: usize = 64;

/// The plugin instances of one worker.
pub struct PluginCalls {
    instances: Vec<Box<dyn Instance>>,
    digests: Vec<Digest>,
    bad_rows: BadRows,
    epoch: Epoch,
    /// The part whose rows are being worked on: dead letters carry its name.
    pub(super) part: PartName,
    /// Rows set aside since they were last taken.
    pub(super) dead_letters: Vec<DeadLetter>,
}

impl PluginCalls {
    /// One instance for each plugin of the pipeline, in the order of the manifest.
    pub fn new(instances: Vec<Box<dyn Instance>>, digests: Vec<Digest>, bad_rows: BadRows) -> Self {
        let (epoch, part) = (Epoch::FIRST, PartName::from(""));
        PluginCalls { instances, digests, bad_rows, epoch, part, dead_letters: Vec::new() }
    }

    /// Sets what plugins may know from now on.
    pub fn enter(&mut self, scope: &CallScope) {
        self.epoch = scope.epoch;
        self.instances.iter_mut().for_each(|instance| instance.enter(scope));
    }

    pub(super) fn instance(&mut self, plugin: usize) -> &mut dyn Instance {
        self.instances[plugin].as_mut()
    }

    /// Calls a transform. Returns for each piece of the batch that went through in one call what came out, and where
    /// the piece starts.
    pub(super) fn transform(
        &mut self,
        call: &Call,
        input: &RecordBatch,
        parents: bool,
    ) -> Result<Vec<(usize, usize, Transformed)>, Failure> {
        let arguments = self.arguments(call, input)?;
        let mut pieces = Vec::with_capacity(1);
        let rows = arguments.rows.num_rows();
        self.isolate(call, input, &arguments, &mut |calls, range| {
            let piece = arguments.rows.slice(range.start, range.len());
            let out = calls.instance(call.plugin).transform(call.used, &piece, parents)?;
            pieces.push((range.start, range.len(), out));
            Ok(())
        })?;
        debug_assert!(pieces.iter().map(|(_, len, _)| len).sum::<usize>() <= rows);
        // Pieces speak of rows of the arguments; the caller knows rows of the input.
        if let Some(kept) = &arguments.kept {
            return Ok(pieces.into_iter().flat_map(|piece| back_to_input(piece, kept)).collect());
        }
        Ok(pieces)
    }

    /// Calls a filter: the rows it keeps.
    pub(super) fn filter(&mut self, call: &Call, input: &RecordBatch) -> Result<RecordBatch, Failure> {
        let arguments = self.arguments(call, input)?;
        let input = match &arguments.kept {
            Some(kept) => filter_record_batch(input, &selection(input.num_rows(), kept))?,
            None => input.clone(),
        };
        let mut kept = Vec::with_capacity(1);
        self.isolate(call, &input, &Arguments { kept: None, ..arguments.clone() }, &mut |calls, range| {
            let piece = arguments.rows.slice(range.start, range.len());
            let mask: BooleanBuffer = calls.instance(call.plugin).filter(call.used, &piece)?;
            let rows = input.slice(range.start, range.len());
            kept.push(filter_record_batch(&rows, &BooleanArray::new(mask, None)).expect("a bit for each row"));
            Ok(())
        })?;
        Ok(match kept.len() {
            1 => kept.remove(0),
            _ => concat_batches(&input.schema(), &kept)?,
        })
    }

    /// Folds a batch into the states of its groups with a reducer.
    pub(super) fn accumulate(
        &mut self,
        call: &Call,
        input: &RecordBatch,
        groups: &[usize],
        states: &mut [Option<Box<[u8]>>],
    ) -> Result<(), Failure> {
        let arguments = self.arguments(call, input)?;
        let row_groups: Vec<usize> = match &arguments.kept {
            Some(kept) => kept.iter().map(|&row| groups[row]).collect(),
            None => groups.to_vec(),
        };
        self.isolate(call, input, &arguments, &mut |calls, range| {
            // Only the states of groups that occur in the piece cross the boundary, numbered among themselves.
            let mut present: Vec<usize> = row_groups[range.clone()].to_vec();
            present.sort_unstable();
            present.dedup();
            let number = |group: &usize| present.binary_search(group).expect("every group is present") as u32;
            let numbered: Vec<u32> = row_groups[range.clone()].iter().map(number).collect();
            let current = binary(present.iter().map(|&group| &states[group]));
            let piece = arguments.rows.slice(range.start, range.len());
            let new = calls.instance(call.plugin).accumulate(call.used, &current, &numbered, &piece)?;
            for (at, &group) in present.iter().enumerate() {
                states[group] = new.is_valid(at).then(|| new.value(at).into());
            }
            Ok(())
        })
    }

    /// Calls a batch handler with all rows of the epoch. What it did not take stops the pipeline: its effects are not
    /// known.
    pub fn handle(
        &mut self,
        part: &PartName,
        call: &Call,
        input: &RecordBatch,
    ) -> Result<Vec<HandlerOutput>, OperatorError> {
        self.part = part.clone();
        let mut handle = || -> Result<Vec<HandlerOutput>, Failure> {
            let arguments = self.arguments(call, input)?;
            Ok(self.instance(call.plugin).handle(call.used, &arguments.rows)?)
        };
        handle().map_err(|error| error.in_part(part))
    }

    /// The rows of a batch whose arguments are complete, and the arguments. The others are set aside.
    pub(super) fn arguments_of(
        &mut self,
        call: &Call,
        input: &RecordBatch,
    ) -> Result<(RecordBatch, RecordBatch), Failure> {
        let Arguments { rows, kept } = self.arguments(call, input)?;
        let input = match kept {
            Some(kept) => filter_record_batch(input, &selection(input.num_rows(), &kept))?,
            None => input.clone(),
        };
        Ok((input, rows))
    }

    /// What is done with rows that a function cannot take.
    pub(super) fn bad_rows(&self) -> BadRows {
        self.bad_rows
    }

    /// The function's arguments. Rows without a value where the function wants one are set aside.
    fn arguments(&mut self, call: &Call, input: &RecordBatch) -> Result<Arguments, Failure> {
        let columns = call.arguments.evaluate(input)?;
        let schema = &call.arguments.schema;
        let wanting = schema.fields().iter().zip(&columns);
        // Each row once, with the first column that it lacks.
        let mut missing: BTreeMap<usize, &str> = BTreeMap::new();
        for (field, column) in wanting.filter(|(field, column)| !field.is_nullable() && column.null_count() > 0) {
            let nulls = column.logical_nulls().expect("it has nulls");
            for row in (0..column.len()).filter(|&row| nulls.is_null(row)) {
                missing.entry(row).or_insert(field.name());
            }
        }
        for (&row, column) in &missing {
            let error = format!(
                "{} wants a value in `{column}`, but the row has none; take an Option to accept that",
                call.label
            );
            self.set_aside(call, input, row, error)?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(input.num_rows()));
        if missing.is_empty() {
            let rows = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
            return Ok(Arguments { rows, kept: None });
        }
        let kept: Vec<usize> = (0..input.num_rows()).filter(|row| !missing.contains_key(row)).collect();
        let mask = selection(input.num_rows(), &kept);
        let columns = columns.iter().map(|c| arrow::compute::filter(c, &mask)).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(kept.len()));
        Ok(Arguments { rows: RecordBatch::try_new_with_options(schema.clone(), columns, &options)?, kept: Some(kept) })
    }

    /// Gets as many rows as possible through `attempt`: a row the function names is set aside, and one that stops it is
    /// found by halving the batch.
    fn isolate(
        &mut self,
        call: &Call,
        input: &RecordBatch,
        arguments: &Arguments,
        attempt: &mut Attempt<'_>,
    ) -> Result<(), Failure> {
        let mut stops = Stops::default();
        // Ranges still to do, the next on top.
        let mut todo: Vec<Range<usize>> = std::iter::once(0..arguments.rows.num_rows()).collect();
        let mut most = usize::MAX;
        while let Some(mut range) = todo.pop() {
            if range.len() > most {
                todo.push(range.start + most..range.end);
                range.end = range.start + most;
            }
            let error = match attempt(self, range.clone()) {
                Ok(()) => {
                    most = most.saturating_mul(2);
                    continue;
                }
                Err(error) => error,
            };
            match error {
                CallError::Row { row, message } if row < range.len() => {
                    let bad = range.start + row;
                    self.set_aside(call, input, arguments.input_row(bad), message)?;
                    todo.push(bad + 1..range.end);
                    todo.push(range.start..bad);
                    most = ROWS_AFTER_REFUSAL;
                }
                CallError::Contract(_) => return Err(error.into()),
                _ if range.len() > 1 && self.bad_rows == BadRows::SetAside => {
                    stops.note(&error)?;
                    let middle = range.start + range.len() / 2;
                    todo.push(middle..range.end);
                    todo.push(range.start..middle);
                }
                _ if range.len() == 1 => {
                    self.set_aside(call, input, arguments.input_row(range.start), error.to_string())?;
                }
                _ => return Err(error.into()),
            }
            todo.retain(|range| !range.is_empty());
        }
        Ok(())
    }

    /// Sets a row aside, or stops, as the manifest says.
    pub(super) fn set_aside(
        &mut self,
        call: &Call,
        input: &RecordBatch,
        row: usize,
        error: String,
    ) -> Result<(), Failure> {
        let shown = show_row(input, row);
        if self.bad_rows == BadRows::Stop {
            return Err(Failure::BadRow(format!("{error}; the row is {shown} (bad_rows = \"stop\")")));
        }
        self.dead_letters.push(DeadLetter {
            epoch: self.epoch,
            part: self.part.clone(),
            error,
            row: shown,
            module: Some(self.digests[call.plugin]),
        });
        Ok(())
    }
}

/// How often calls have stopped without naming a row, in one batch.
#[derive(Default)]
pub(super) struct Stops {
    all: usize,
    timeouts: usize,
}

impl Stops {
    /// Notes one more. When there are so many that not a row is at fault but the function, that is the end.
    pub(super) fn note(&mut self, error: &CallError) -> Result<(), Failure> {
        self.all += 1;
        self.timeouts += usize::from(matches!(error, CallError::Limit(_)));
        if self.all > MAX_STOPS || self.timeouts > MAX_TIMEOUTS {
            return Err(Failure::BadRow(format!(
                "{error} (this happened {} times in one batch, so the function and not a row is at fault)",
                self.all
            )));
        }
        Ok(())
    }
}

/// A try to get a range of rows through a function.
type Attempt<'a> = dyn FnMut(&mut PluginCalls, Range<usize>) -> Result<(), CallError> + 'a;

/// What a function is given, and which rows of the input that is, when not all.
#[derive(Clone)]
struct Arguments {
    rows: RecordBatch,
    kept: Option<Vec<usize>>,
}

impl Arguments {
    fn input_row(&self, row: usize) -> usize {
        self.kept.as_ref().map_or(row, |kept| kept[row])
    }
}

fn selection(rows: usize, kept: &[usize]) -> BooleanArray {
    let mut mask = vec![false; rows];
    kept.iter().for_each(|&row| mask[row] = true);
    BooleanArray::from(mask)
}

/// A piece over kept rows as one whose parents are rows of the input.
fn back_to_input((start, len, out): (usize, usize, Transformed), kept: &[usize]) -> Vec<(usize, usize, Transformed)> {
    let rows = out.rows.num_rows();
    let parents = match out.parents {
        Some(parents) => parents.iter().map(|&parent| kept[start + parent as usize] as u32).collect(),
        None if rows == len => kept[start..start + len].iter().map(|&row| row as u32).collect(),
        None => return vec![(0, rows, Transformed { rows: out.rows, parents: None })],
    };
    vec![(0, rows, Transformed { rows: out.rows, parents: Some(parents) })]
}

/// A row as JSON, cut to some kilobytes.
fn show_row(input: &RecordBatch, row: usize) -> String {
    const MOST: usize = 4096;
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    let shown = match writer.write(&input.slice(row, 1)).and_then(|()| writer.finish()) {
        Ok(()) => String::from_utf8_lossy(&writer.into_inner()).trim_end().to_owned(),
        Err(error) => format!("(cannot be shown: {error})"),
    };
    match shown.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &shown[..end]),
        None => shown,
    }
}
