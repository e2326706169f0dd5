//! Looking at sixteen bytes at once: which of them are what is looked for, as a bitmap.
//!
//! In a guest this is WebAssembly's 128-bit SIMD, switched on for the functions here alone, so that a plugin needs no
//! compiler flag for it; natively, where plugins only run in tests, it is a plain loop.

/// How many bytes a bitmap stands for.
pub(crate) const BLOCK: usize = 64;

/// Where in the block at `start` characters start, a bit for each. What lies behind the end of the text is 0.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
pub(crate) fn character_starts(text: &str, start: usize) -> u64 {
    let [starts] = bitmaps(text.as_bytes(), start, |piece| [lanes::character_start(piece)]);
    starts
}

/// Where `byte` stands in the block at `start`, a bit for each byte. What lies behind the end of the text is 0.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
pub(super) fn occurrences(text: &[u8], start: usize, byte: u8) -> u64 {
    let [found] = bitmaps(text, start, |piece| [lanes::equal(piece, byte)]);
    found
}

/// What one block tells the next about whitespace.
///
/// It is handed over and given back by value: an iterator that lent a part of itself would have to stay in memory as a
/// whole, out of registers, in the loop that matters most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carry {
    /// Whether the byte before the block belongs to whitespace: 1 or 0.
    before: u64,
    /// The bytes of the block that belong to a whitespace character which started before it.
    spill: u64,
}

impl Carry {
    /// A text starts like after whitespace.
    pub(super) const START: Carry = Carry { before: 1, spill: 0 };
}

/// Where in the block at `start` words start and end: a bit for each byte that is the first of a word, or the first
/// after one. A text that ends inside the block is followed by whitespace.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
pub(super) fn edges(text: &[u8], start: usize, carry: Carry) -> (u64, Carry) {
    let [mut spaces, beyond_ascii] =
        bitmaps(text, start, |piece| [lanes::ascii_space(piece), lanes::beyond_ascii(piece)]);
    if text.len() < start + BLOCK {
        spaces |= !0 << (text.len() - start);
    }
    spaces |= carry.spill;
    let mut spill = 0;
    if beyond_ascii != 0 {
        let bytes = wide_spaces(text, start);
        spaces |= bytes as u64;
        spill = (bytes >> BLOCK) as u64;
    }
    (spaces ^ (spaces << 1 | carry.before), Carry { before: spaces >> (BLOCK - 1), spill })
}

/// The bytes of whitespace characters outside ASCII that start in the block, some of them beyond it.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
#[inline(never)]
fn wide_spaces(text: &[u8], start: usize) -> u128 {
    let [mut wide] = bitmaps(text, start, |piece| [lanes::wide_space(piece)]);
    let mut spaces = 0;
    while wide != 0 {
        let at = wide.trailing_zeros();
        wide &= wide - 1;
        spaces |= u128::from(wide_space(&text[start + at as usize..])) << at;
    }
    spaces
}

/// A bit for each byte of the whitespace character outside ASCII that the text starts with; 0 if it does not.
fn wide_space(text: &[u8]) -> u8 {
    match text {
        [0xC2, 0x85 | 0xA0, ..] => 0b11,
        [0xE1, 0x9A, 0x80, ..]
        | [0xE2, 0x80, 0x80..=0x8A | 0xA8 | 0xA9 | 0xAF, ..]
        | [0xE2, 0x81, 0x9F, ..]
        | [0xE3, 0x80, 0x80, ..] => 0b111,
        _ => 0,
    }
}

/// Asks `test` about each byte of the block at `start`, sixteen at a time: a bitmap for each of its answers.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
#[inline]
fn bitmaps<const N: usize>(text: &[u8], start: usize, test: impl Fn(&[u8; 16]) -> [u16; N]) -> [u64; N] {
    let end = text.len().min(start + BLOCK);
    let mut found = [0; N];
    let (pieces, rest) = text[start..end].as_chunks();
    for (piece, shift) in pieces.iter().zip((0..).step_by(16)) {
        for (found, bits) in found.iter_mut().zip(test(piece)) {
            *found |= u64::from(bits) << shift;
        }
    }
    if !rest.is_empty() {
        let (before, shift) = (16 - rest.len(), 16 * pieces.len());
        for (found, bits) in found.iter_mut().zip(test(&last_16(&text[..end]))) {
            *found |= u64::from(bits) >> before << shift;
        }
    }
    found
}

/// The last 16 bytes of a text. A shorter one, which is never empty, has anything in front.
#[inline]
fn last_16(text: &[u8]) -> [u8; 16] {
    if let Some(last) = text.last_chunk() {
        return *last;
    }
    let missing = 16 - text.len() as u32;
    let (low, high) = if let (Some(head), Some(tail)) = (text.first_chunk(), text.last_chunk()) {
        (u64::from_le_bytes(*head).unbounded_shl(8 * missing), u64::from_le_bytes(*tail))
    } else if let (Some(head), Some(tail)) = (text.first_chunk(), text.last_chunk()) {
        let (head, tail) = (u32::from_le_bytes(*head), u32::from_le_bytes(*tail));
        (0, u64::from(head) << (8 * (missing - 8)) | u64::from(tail) << 32)
    } else {
        (0, text.iter().fold(0, |so_far, byte| so_far >> 8 | u64::from(*byte) << 56))
    };
    (u128::from(low) | u128::from(high) << 64).to_le_bytes()
}

/// Questions about sixteen bytes, answered with a bit for each.
#[cfg(target_arch = "wasm32")]
mod lanes {
    use std::arch::wasm32::*;

    #[target_feature(enable = "simd128")]
    #[inline]
    pub(super) fn equal(bytes: &[u8; 16], byte: u8) -> u16 {
        u8x16_bitmask(u8x16_eq(load(bytes), u8x16_splat(byte)))
    }

    /// Whether it is one of the six whitespace characters of ASCII.
    #[target_feature(enable = "simd128")]
    #[inline]
    pub(super) fn ascii_space(bytes: &[u8; 16]) -> u16 {
        let bytes = load(bytes);
        let controls = u8x16_lt(u8x16_sub(bytes, u8x16_splat(b'\t')), u8x16_splat(5));
        u8x16_bitmask(v128_or(u8x16_eq(bytes, u8x16_splat(b' ')), controls))
    }

    /// Whether it is a byte of a character outside ASCII.
    #[target_feature(enable = "simd128")]
    #[inline]
    pub(super) fn beyond_ascii(bytes: &[u8; 16]) -> u16 {
        u8x16_bitmask(load(bytes))
    }

    /// Whether it may start another whitespace character: 0xC2, 0xE1, 0xE2, 0xE3.
    #[target_feature(enable = "simd128")]
    #[inline]
    pub(super) fn wide_space(bytes: &[u8; 16]) -> u16 {
        let bytes = load(bytes);
        let threes = u8x16_lt(u8x16_sub(bytes, u8x16_splat(0xE1)), u8x16_splat(3));
        u8x16_bitmask(v128_or(u8x16_eq(bytes, u8x16_splat(0xC2)), threes))
    }

    /// Whether it is anything but a byte inside of a character.
    #[target_feature(enable = "simd128")]
    #[inline]
    pub(super) fn character_start(bytes: &[u8; 16]) -> u16 {
        i8x16_bitmask(i8x16_ge(load(bytes), i8x16_splat(-0x40)))
    }

    /// The compiler makes one load of it.
    #[target_feature(enable = "simd128")]
    #[inline]
    fn load(bytes: &[u8; 16]) -> v128 {
        let bytes = u128::from_le_bytes(*bytes);
        u64x2(bytes as u64, (bytes >> 64) as u64)
    }
}

/// Questions about sixteen bytes, answered with a bit for each.
#[cfg(not(target_arch = "wasm32"))]
mod lanes {
    pub(super) fn equal(bytes: &[u8; 16], byte: u8) -> u16 {
        ask(bytes, |candidate| candidate == byte)
    }

    /// Whether it is one of the six whitespace characters of ASCII.
    pub(super) fn ascii_space(bytes: &[u8; 16]) -> u16 {
        ask(bytes, |byte| byte == b' ' || (b'\t'..=b'\r').contains(&byte))
    }

    /// Whether it is a byte of a character outside ASCII.
    pub(super) fn beyond_ascii(bytes: &[u8; 16]) -> u16 {
        ask(bytes, |byte| !byte.is_ascii())
    }

    /// Whether it may start another whitespace character.
    pub(super) fn wide_space(bytes: &[u8; 16]) -> u16 {
        ask(bytes, |byte| matches!(byte, 0xC2 | 0xE1..=0xE3))
    }

    /// Whether it is anything but a byte inside of a character.
    pub(super) fn character_start(bytes: &[u8; 16]) -> u16 {
        ask(bytes, |byte| byte as i8 >= -0x40)
    }

    #[inline(always)]
    fn ask(bytes: &[u8; 16], question: impl Fn(u8) -> bool) -> u16 {
        bytes.iter().rev().fold(0, |bits, byte| bits << 1 | u16::from(question(*byte)))
    }
}
