//! A line a row: the bytes that were read become the column, without a copy of their own.

use std::{ops::ControlFlow, sync::Arc};

use arrow::{
    array::{Array, RecordBatch, StringArray},
    buffer::{Buffer, OffsetBuffer, ScalarBuffer},
};
use memchr::memchr;

use crate::ports::RowReceiver;

use super::{
    line::{self, BATCH_ROWS},
    split::Place,
};

/// Hands over the lines of a block; says how many there were.
pub(super) fn rows(
    block: Vec<u8>,
    place: &Place,
    max_line_bytes: usize,
    receiver: &mut dyn RowReceiver,
) -> ControlFlow<(), u64> {
    let (values, lines) = column(block, place, max_line_bytes, receiver)?;
    for first in (0..values.len()).step_by(BATCH_ROWS) {
        let values = values.slice(first, BATCH_ROWS.min(values.len() - first));
        let batch = RecordBatch::try_new(line::schema(), vec![Arc::new(values)]);
        receiver.rows(batch.expect("one column of text is the schema"))?;
    }
    ControlFlow::Continue(lines)
}

/// Moves the lines together in place, over their line ends. What stands between two offsets must be the row and nothing
/// else, and moving bytes down within the cache is cheaper than copying them into another buffer.
fn column(
    mut block: Vec<u8>,
    place: &Place,
    max_line_bytes: usize,
    receiver: &mut dyn RowReceiver,
) -> ControlFlow<(), (StringArray, u64)> {
    // A line end is never part of a character, so a block is UTF-8 if and only if each of its lines is.
    let all_valid = simdutf8::basic::from_utf8(&block).is_ok();
    let mut offsets: Vec<i32> = Vec::with_capacity(block.len() / 64 + 2);
    offsets.push(0);
    let (mut from, mut to, mut lines) = (0, 0, 0);
    while let Some(length) = memchr(b'\n', &block[from..]) {
        let text = line::without_cr(&block[from..from + length]);
        let text_length = text.len();
        if text_length > max_line_bytes {
            receiver.bad_row(line::too_long(place.of(lines, from), text, max_line_bytes))?;
        } else if !all_valid && simdutf8::basic::from_utf8(text).is_err() {
            receiver.bad_row(line::not_utf8(place.of(lines, from), text))?;
        } else {
            block.copy_within(from..from + text_length, to);
            to += text_length;
            offsets.push(i32::try_from(to).expect("a block is a chunk and one line, together below 2 GiB"));
        }
        from += length + 1;
        lines += 1;
    }
    block.truncate(to);
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    // SAFETY: every line was found to be UTF-8, alone or with the whole block, and the offsets stand between lines.
    // Having Arrow look again takes twice as long as all the rest where the text is not ASCII.
    #[expect(unsafe_code, reason = "looking again takes longer than all the rest")]
    let values = unsafe { StringArray::new_unchecked(offsets, Buffer::from_vec(block), None) };
    ControlFlow::Continue((values, lines))
}
