//! What a part sees while the plan is built: the columns of its inputs, the places they come from, and the list of
//! faults.

use std::{collections::HashMap, ops::Range, sync::Arc, time::Duration};

use arrow::datatypes::{Schema, SchemaRef};

use super::{Call, Lookup, WatermarkNode};
use crate::{
    manifest::{Diagnostic, Diagnostics, Input, Manifest, Spanned},
    model::{PartName, describe_schema},
    ports::{FunctionUse, Plugin, UseIndex},
};

/// What is known about the rows that leave a part by one of its ways out.
#[derive(Clone)]
pub(super) struct Rows {
    /// The columns.
    pub(super) schema: SchemaRef,
    /// Whether a row may replace an earlier one.
    pub(super) finality: Finality,
    /// Whether a row that was final may come out once more, because late rows are still allowed for.
    pub(super) fires_again: bool,
    /// The columns that hold the event time of a watermark.
    pub(super) event_times: Vec<EventColumn>,
    /// The watermark that says how far they are complete; none where none is declared above.
    pub(super) watermark: Option<RowsWatermark>,
    /// Where the part is named in the manifest.
    pub(super) place: Range<usize>,
}

impl Rows {
    /// Whether each row counts once, for ever: only then may they be grouped, joined or told apart.
    pub(super) fn are_facts(&self) -> bool {
        !self.fires_again && !matches!(self.finality, Finality::Changing | Finality::Sessions { closing: false })
    }
}

/// A column that holds the event time of a watermark, by position, and how late its rows may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventColumn {
    pub(super) column: usize,
    pub(super) delay: Duration,
    /// Columns of one clock hold the same time: one is a copy of the other.
    pub(super) clock: Clock,
}

/// Which of the event times of a pipeline a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock(usize);

/// The watermark that holds for rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowsWatermark {
    /// How late a row may be where it is declared.
    pub(super) delay: Duration,
    /// How far it stands behind the pipeline's: a join holds rows back.
    pub(super) behind: Duration,
}

impl RowsWatermark {
    /// The one that holds for rows from several inputs: the slowest. An input without one holds nothing back, as in
    /// Spark.
    pub(super) fn slowest(all: impl IntoIterator<Item = Option<RowsWatermark>>) -> Option<RowsWatermark> {
        let slower = |one: RowsWatermark, other: RowsWatermark| RowsWatermark {
            delay: one.delay,
            behind: one.behind.max(other.behind),
        };
        all.into_iter().flatten().reduce(slower)
    }
}

/// Whether a row may replace an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finality {
    /// Each row is a fact for itself.
    Final,
    /// A running total is above, or windows that nothing closes.
    Changing,
    /// Groups are above that a watermark closes: then their rows are final.
    Closing,
    /// Sessions are above, which may grow and merge until a watermark closes them; without one they never are final.
    Sessions {
        /// Whether a watermark closes them.
        closing: bool,
    },
}

/// The plan under construction.
pub(super) struct Scope<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) plugins: &'a [Arc<dyn Plugin>],
    pub(super) faults: Diagnostics,
    pub(super) uses: Vec<Vec<FunctionUse>>,
    pub(super) watermarks: Vec<WatermarkNode>,
    /// The columns of the manifest's tables.
    pub(super) tables: &'a [SchemaRef],
    pub(super) lookups: Vec<Lookup>,
    clocks: usize,
    known: HashMap<Input, Rows>,
    outlets: HashMap<PartName, Vec<String>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(manifest: &'a Manifest, plugins: &'a [Arc<dyn Plugin>], tables: &'a [SchemaRef]) -> Self {
        Scope {
            manifest,
            plugins,
            faults: manifest.diagnostics(),
            uses: vec![Vec::new(); plugins.len()],
            watermarks: Vec::new(),
            tables,
            lookups: Vec::new(),
            clocks: 0,
            known: HashMap::new(),
            outlets: HashMap::new(),
        }
    }

    /// The clock of a time that no other column holds.
    pub(super) fn new_clock(&mut self) -> Clock {
        self.clocks += 1;
        Clock(self.clocks)
    }

    /// Makes the rows of a part known to those that name it.
    pub(super) fn publish(&mut self, part: &PartName, outlet: Option<String>, rows: Rows) {
        if let Some(outlet) = &outlet {
            self.outlets.entry(part.clone()).or_default().push(outlet.clone());
        }
        self.known.insert(Input { part: part.clone(), outlet }, rows);
    }

    /// The rows that come in over all inputs together. None when an input is wrong: then the fault is on the list, here
    /// or where the input itself went wrong.
    pub(super) fn union(&mut self, part: &PartName, inputs: &[Spanned<Input>]) -> Option<Rows> {
        let all: Vec<Option<Rows>> = inputs.iter().map(|input| self.rows_of(input)).collect();
        let all: Vec<Rows> = all.into_iter().collect::<Option<_>>()?;
        let first = all.first()?.clone();
        for (rows, input) in all.iter().zip(inputs).skip(1) {
            if !same_columns(&rows.schema, &first.schema) {
                self.faults.push(
                    Diagnostic::error(format!(
                        "the inputs of `{part}` have different columns, so they cannot be one stream"
                    ))
                    .at(input.span.clone(), format!("has `{}`", describe_schema(&rows.schema)))
                    .also(inputs[0].span.clone(), format!("has `{}`", describe_schema(&first.schema)))
                    .help("give both the same columns, in the same order, with a `select` before"),
                );
                return None;
            }
        }
        let schemas: Vec<&SchemaRef> = all.iter().map(|rows| &rows.schema).collect();
        let schema = widest(&schemas);
        // What one input promises, a row of another may break.
        let event_times = first.event_times.iter().copied();
        let in_all =
            |time: &EventColumn| all.iter().all(|rows| rows.event_times.iter().any(|t| t.column == time.column));
        let event_times = event_times.filter(in_all).collect();
        let finality =
            all.iter().map(|rows| rows.finality).find(|&one| one != Finality::Final).unwrap_or(Finality::Final);
        let fires_again = all.iter().any(|rows| rows.fires_again);
        let watermark = RowsWatermark::slowest(all.iter().map(|rows| rows.watermark));
        Some(Rows { schema, finality, fires_again, event_times, watermark, ..first })
    }

    fn rows_of(&mut self, input: &Spanned<Input>) -> Option<Rows> {
        if let Some(rows) = self.known.get(&input.value) {
            return Some(rows.clone());
        }
        let Input { part, outlet } = &input.value;
        let outlets = self.outlets.get(part);
        let fault = match (outlet, outlets) {
            (None, Some(outlets)) => Diagnostic::error(format!("`{part}` has outlets, so say which one"))
                .help(format!("write one of: {}", quoted(outlets, |outlet| format!("{part}.{outlet}")))),
            (Some(outlet), Some(outlets)) => Diagnostic::error(format!("`{part}` has no outlet `{outlet}`"))
                .help(format!("write one of: {}", quoted(outlets, |outlet| format!("{part}.{outlet}")))),
            (Some(_), None) if self.is_known(part) => Diagnostic::error(format!(
                "`{part}` has no outlets; only batch handlers do, and what a watermark closes"
            ))
            .help(format!("write \"{part}\"")),
            // The part itself is at fault, and its fault is on the list.
            _ => return None,
        };
        self.faults.push(fault.at(input.span.clone(), ""));
        None
    }

    fn is_known(&self, part: &PartName) -> bool {
        self.known.contains_key(&Input { part: part.clone(), outlet: None })
    }

    /// Whether the reducer behind a call has an inverse.
    pub(super) fn retracts(&self, call: &Call) -> bool {
        let name = &self.uses[call.plugin][call.used.0].function;
        self.plugins[call.plugin].description().function(name).is_some_and(|function| function.retracts)
    }

    /// Registers a use of a function; the same function with the same config is one use.
    pub(super) fn use_function(&mut self, plugin: usize, function: FunctionUse) -> UseIndex {
        let uses = &mut self.uses[plugin];
        let position = uses.iter().position(|known| known == &function).unwrap_or_else(|| {
            uses.push(function);
            uses.len() - 1
        });
        UseIndex(position)
    }
}

/// Whether two schemas have the same names and types in the same order; whether a value may be missing is no matter.
fn same_columns(left: &Schema, right: &Schema) -> bool {
    let pair = |schema: &Schema| -> Vec<_> {
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    };
    pair(left) == pair(right)
}

/// The columns of a union: a value may be missing where it may be in any input.
fn widest(schemas: &[&SchemaRef]) -> SchemaRef {
    let fields = schemas[0].fields().iter().enumerate().map(|(at, field)| {
        let nullable = schemas.iter().any(|schema| schema.field(at).is_nullable());
        field.as_ref().clone().with_nullable(nullable)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn quoted(names: &[String], write: impl Fn(&String) -> String) -> String {
    names.iter().map(|name| format!("\"{}\"", write(name))).collect::<Vec<_>>().join(", ")
}
