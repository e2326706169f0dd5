//! Numbers for groups that are a key in a span of event time: the hot path of windowed aggregations.

use hashbrown::HashMap;

use arrow::{
    array::{ArrayRef, TimestampMicrosecondArray},
    error::ArrowError,
};

use super::key_table::KeyTable;

/// A span of event time, in microseconds: a pane, a window, or a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) end: i64,
}

/// The groups seen so far, numbered from 0 in the order in which they came.
///
/// Key and span are numbered apart, so that a key is hashed as what it is, and a span, which is mostly that of the row
/// before, is not hashed at all.
pub(super) struct SpanTable {
    keys: KeyTable,
    spans: HashMap<Span, u32>,
    groups: HashMap<(u32, u32), u32>,
    members: Vec<Member>,
    key_numbers: Vec<usize>,
}

/// A group: its span, and the number of its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) span: Span,
    pub(super) key: u32,
}

impl SpanTable {
    pub(super) fn new(keys: KeyTable) -> Self {
        let (spans, groups) = (HashMap::new(), HashMap::new());
        SpanTable { keys, spans, groups, members: Vec::new(), key_numbers: Vec::new() }
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Finds the group of each row, whose span `span_of` tells.
    pub(super) fn intern(
        &mut self,
        keys: &[ArrayRef],
        times: &TimestampMicrosecondArray,
        mut span_of: impl FnMut(usize, i64) -> Span,
        groups: &mut Vec<usize>,
    ) -> Result<(), ArrowError> {
        self.keys.intern(keys, times.len(), &mut self.key_numbers)?;
        groups.clear();
        groups.reserve(times.len());
        let mut last: Option<(Span, u32)> = None;
        for (row, (&time, &key)) in times.values().iter().zip(&self.key_numbers).enumerate() {
            let span = span_of(row, time);
            let number = match last {
                Some((same, number)) if same == span => number,
                _ => {
                    let next = self.spans.len() as u32;
                    let number = *self.spans.entry(span).or_insert(next);
                    last = Some((span, number));
                    number
                }
            };
            let next = self.members.len() as u32;
            let group = *self.groups.entry((number, key as u32)).or_insert(next);
            if group == next {
                self.members.push(Member { span, key: key as u32 });
            }
            groups.push(group as usize);
        }
        Ok(())
    }

    /// All groups, in their order.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The keys of these members.
    pub(super) fn keys(&self, members: &[Member]) -> Result<Vec<ArrayRef>, ArrowError> {
        let numbers: Vec<usize> = members.iter().map(|member| member.key as usize).collect();
        self.keys.keys(&numbers)
    }
}
