//! What comes together in an epoch: rows for sinks are written at once, the rest waits for its barrier.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray},
    datatypes::SchemaRef,
};

use super::RunError;
use crate::{
    checkpoint::SinkAction,
    model::{DeadLetter, Epoch, EventTime},
    operator::{Outcome, Shuffled},
    plan::SinkNode,
    ports::Sink,
    watermark::Observed,
};

/// So many rows set aside are shown in the log for each epoch when no sink takes them; the others are counted.
const SHOWN_DEAD_LETTERS: usize = 5;

/// What has come together in an epoch so far.
pub(super) struct Gathered<'a> {
    pub(super) epoch: Epoch,
    actions: &'a [SinkAction],
    pub(super) shuffled: BTreeMap<usize, Vec<Shuffled>>,
    pub(super) for_handlers: BTreeMap<usize, Vec<RecordBatch>>,
    pub(super) dead_letters: usize,
    /// Whether a sink has taken them.
    dead_letters_taken: bool,
    pub(super) input_rows: BTreeMap<usize, u64>,
    pub(super) output_rows: BTreeMap<usize, u64>,
    /// The latest event times, by watermark and partition.
    pub(super) observed: BTreeMap<(usize, String), EventTime>,
    pub(super) keys: BTreeMap<usize, Keys>,
}

/// What an epoch did to the keys of a stage.
#[derive(Default, Clone, Copy)]
pub(super) struct Keys {
    pub(super) updated: usize,
    pub(super) removed: usize,
    /// Groups, or rows, that came too late.
    pub(super) late: usize,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(epoch: Epoch, actions: &'a [SinkAction]) -> Self {
        Gathered {
            epoch,
            actions,
            shuffled: BTreeMap::new(),
            for_handlers: BTreeMap::new(),
            dead_letters: 0,
            dead_letters_taken: false,
            input_rows: BTreeMap::new(),
            output_rows: BTreeMap::new(),
            observed: BTreeMap::new(),
            keys: BTreeMap::new(),
        }
    }

    pub(super) fn writes(&self, sink: usize) -> bool {
        self.actions[sink] == SinkAction::Write
    }

    /// Takes what came of a task: rows for sinks are written at once, the rest waits for its barrier.
    pub(super) fn take(
        &mut self,
        outcome: Outcome,
        sinks: &mut [Box<dyn Sink>],
        nodes: &[SinkNode],
    ) -> Result<(), RunError> {
        for (at, rows) in outcome.to_sinks {
            *self.output_rows.entry(at).or_default() += rows.num_rows() as u64;
            if self.writes(at) {
                sinks[at].write(&rows).map_err(|error| RunError::Sink { part: nodes[at].name.clone(), error })?;
            }
        }
        for (node, rows) in outcome.shuffled {
            self.keys.entry(node).or_default().late += rows.late();
            self.shuffled.entry(node).or_default().push(rows);
        }
        for (at, latest) in outcome.observed {
            let known = self.observed.entry(at).or_insert(latest);
            *known = latest.max(*known);
        }
        for (node, rows) in outcome.to_handlers {
            self.for_handlers.entry(node).or_default().push(rows);
        }
        if outcome.dead_letters.is_empty() {
            return Ok(());
        }
        self.take_dead_letters(&outcome.dead_letters, sinks, nodes)
    }

    /// Hands rows set aside to the sinks that take them, task by task: an epoch of nothing but bad rows must not gather
    /// them all. Without such a sink some are shown in the log.
    fn take_dead_letters(
        &mut self,
        letters: &[DeadLetter],
        sinks: &mut [Box<dyn Sink>],
        nodes: &[SinkNode],
    ) -> Result<(), RunError> {
        for (at, node) in nodes.iter().enumerate().filter(|(_, node)| node.dead_letters) {
            self.dead_letters_taken = true;
            *self.output_rows.entry(at).or_default() += letters.len() as u64;
            if self.writes(at) {
                let written = sinks[at].write(&dead_letter_rows(letters, &node.schema));
                written.map_err(|error| RunError::Sink { part: node.name.clone(), error })?;
            }
        }
        if !self.dead_letters_taken {
            for letter in letters.iter().take(SHOWN_DEAD_LETTERS.saturating_sub(self.dead_letters)) {
                tracing::warn!("row set aside in `{}`: {}; the row: {}", letter.part, letter.error, letter.row);
            }
        }
        self.dead_letters += letters.len();
        Ok(())
    }

    /// What was seen of each input with a watermark.
    pub(super) fn observed(&self) -> Vec<Observed> {
        let one = |((input, partition), latest): (&(usize, String), &EventTime)| Observed {
            input: *input,
            partition: partition.clone(),
            latest: *latest,
        };
        self.observed.iter().map(one).collect()
    }

    pub(super) fn report_dead_letters(&self) {
        let more = self.dead_letters.saturating_sub(SHOWN_DEAD_LETTERS);
        if more > 0 && !self.dead_letters_taken {
            tracing::warn!(
                "and {more} more rows set aside; a sink with inputs = [\"dead_letters\"] would keep them all"
            );
        }
    }
}

fn dead_letter_rows(letters: &[DeadLetter], schema: &SchemaRef) -> RecordBatch {
    let epochs: Int64Array = letters.iter().map(|letter| Some(letter.epoch.number() as i64)).collect();
    let text = |of: &dyn Fn(&DeadLetter) -> Option<String>| Arc::new(letters.iter().map(of).collect::<StringArray>());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(epochs),
        text(&|letter| Some(letter.part.to_string())),
        text(&|letter| Some(letter.error.clone())),
        text(&|letter| Some(letter.row.clone())),
        text(&|letter| letter.module.map(|module| module.to_string())),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns).expect("the columns of a dead letter are fixed")
}
