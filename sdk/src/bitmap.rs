//! One bit a row: row i is bit i % 8 of byte i / 8.

use crate::wire::Failure;

/// A bitmap as it came from the host.
#[derive(Clone, Copy)]
pub struct Bits<'a> {
    bytes: &'a [u8],
}

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8], rows: usize) -> Result<Self, Failure> {
        if bytes.len() < rows.div_ceil(8) {
            return Err(Failure::of_call(format!("a bitmap of {} bytes for {rows} rows", bytes.len())));
        }
        Ok(Bits { bytes })
    }

    #[inline(always)]
    pub(crate) fn get(&self, row: usize) -> bool {
        self.bytes[row / 8] >> (row % 8) & 1 == 1
    }

    /// The first of so many rows whose bit is 0.
    pub(crate) fn first_unset(&self, rows: usize) -> Option<usize> {
        (0..rows).find(|row| !self.get(*row))
    }
}

/// A bitmap being written.
#[derive(Debug)]
pub struct BitsWriter {
    bytes: Vec<u8>,
    rows: usize,
}

impl BitsWriter {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        BitsWriter { bytes: Vec::with_capacity(rows.div_ceil(8)), rows: 0 }
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, bit: bool) {
        let (byte, shift) = (self.rows / 8, self.rows % 8);
        if shift == 0 {
            self.bytes.push(0);
        }
        self.bytes[byte] |= u8::from(bit) << shift;
        self.rows += 1;
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
