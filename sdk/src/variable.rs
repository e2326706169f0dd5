//! The variable-length column being written.

use crate::{
    source::{SHORT, Source},
    wire::Variable,
};

/// Values of variable length being written.
#[derive(Debug)]
pub struct VariableWriter {
    offsets: Vec<i32>,
    data: Vec<u8>,
}

impl VariableWriter {
    /// Room for so many rows of together so many bytes; more is possible.
    pub(crate) fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        VariableWriter { offsets, data: Vec::with_capacity(bytes + SHORT) }
    }

    /// Adds a row.
    #[inline(always)]
    pub(crate) fn push(&mut self, value: &[u8], source: Source<'_>) {
        if value.len() <= SHORT {
            // As many bytes as a register holds are written at once, and those behind the value forgotten: a copy of
            // any other number of bytes is a call out of the compiled code, and costs more than all the rest.
            let end = self.data.len() + value.len();
            self.data.extend_from_slice(&source.block(value));
            self.data.truncate(end);
        } else {
            self.data.extend_from_slice(value);
        }
        self.end_row();
    }

    /// Adds a row that `write` appends the bytes of.
    pub(crate) fn push_with<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        write(&mut self.data)?;
        self.end_row();
        Ok(())
    }

    /// The column. A vector never holds more than `isize::MAX` bytes, so in a guest, whose addresses have 32 bits, the
    /// offsets cannot have wrapped; elsewhere the last one, which is the largest, tells.
    pub(crate) fn finish(self) -> Variable {
        assert!(i32::try_from(self.data.len()).is_ok(), "a column of one call holds more than 2 GiB");
        Variable { offsets: self.offsets, data: self.data }
    }

    #[inline(always)]
    fn end_row(&mut self) {
        self.offsets.push(self.data.len() as i32);
    }
}
