//! What the helpers promise: the standard library's answers. A plugin that changes its mind about what a word is, in
//! one place of one line in a million, gives wrong counts that nobody finds: so they are compared on texts made to hit
//! every boundary of the blocks they read in.
//!
//! Where a plugin runs they are other code than in its tests, so a plugin of the end-to-end tests takes this file as it
//! is, and makes the same comparisons inside of WebAssembly. It wants the helpers from the module around it.

use super::{find, lower_ascii, parse_i64, split, words};

/// A sequence of numbers that looks random, the same in every run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

/// All whitespace there is, what differs from it by one byte or bit, and letters of each length.
const CHARACTERS: &[char] = &[
    'a', 'b', 'Z', ',', '\u{8}', '\t', '\n', '\u{b}', '\u{c}', '\r', '\u{e}', '\u{1c}', '\u{1f}', ' ', '!', '\u{84}',
    '\u{85}', '\u{86}', '\u{9f}', '\u{a0}', '\u{a1}', 'ä', '\u{1680}', '\u{1681}', '\u{1ffe}', '\u{2000}', '\u{2005}',
    '\u{200a}', '\u{200b}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202f}', '\u{205f}', '\u{2060}', '\u{3000}',
    '\u{3001}', 'ж', '語', '🌊',
];

/// Texts of every length that matters to blocks of 16 and 64 bytes, from whitespace alone to hardly any.
fn texts() -> impl Iterator<Item = String> {
    let mut numbers = Numbers(1);
    (0..5_000).map(move |round| {
        let letters_per_space = round % 9;
        let characters = numbers.below(150);
        (0..characters)
            .map(|_| match numbers.below(1 + letters_per_space) {
                0 => CHARACTERS[numbers.below(CHARACTERS.len())],
                _ => 'x',
            })
            .collect()
    })
}

/// Each comparison by its name. It panics where an answer is another one.
pub(crate) const PROMISES: &[(&str, fn())] = &[
    ("words", words_are_what_the_standard_library_says),
    ("characters", every_character_is_classified_at_every_place_of_a_block),
    ("parts", parts_are_what_the_standard_library_says),
    ("bytes", bytes_are_found_where_the_standard_library_finds_them),
    ("numbers", numbers_are_what_the_standard_library_says),
    ("case", lower_case_leaves_other_alphabets_alone),
];

fn words_are_what_the_standard_library_says() {
    for text in texts() {
        assert!(words(&text).eq(text.split_whitespace()), "{text:?}");
    }
}

fn every_character_is_classified_at_every_place_of_a_block() {
    for character in (0..=0x10_FFFF).filter_map(char::from_u32) {
        let place = character as usize % 130;
        let text = format!("{}{character}y z", "x".repeat(place));
        assert!(words(&text).eq(text.split_whitespace()), "{character:?} at {place}");
    }
}

fn parts_are_what_the_standard_library_says() {
    for text in texts() {
        for separator in [b',', b'x', b' ', 0] {
            assert!(split(&text, separator).eq(text.split(char::from(separator))), "{separator} in {text:?}");
        }
    }
}

fn bytes_are_found_where_the_standard_library_finds_them() {
    for text in texts() {
        for byte in [b',', b'Z', 0xC2, 0x80] {
            assert_eq!(find(&text, byte), text.bytes().position(|b| b == byte), "{byte} in {text:?}");
        }
    }
}

fn numbers_are_what_the_standard_library_says() {
    let mut numbers = Numbers(2);
    let edges = ["", "+", "-", "+-1", "00000000000000000000001", "9223372036854775807", "9223372036854775808"];
    let below = ["-9223372036854775808", "-9223372036854775809", "99999999999999999999", "1_000", "１", "12a", "-0"];
    let random = (0..20_000).map(|_| {
        let digits = numbers.below(22);
        let sign = ["", "-", "+"][numbers.below(3)];
        (0..digits)
            .map(|_| char::from(b"0123456789/:"[numbers.below(12).min(numbers.below(12))]))
            .fold(sign.to_owned(), |text, digit| text + &digit.to_string())
    });
    for text in edges.iter().chain(&below).map(|text| (*text).to_owned()).chain(random) {
        assert_eq!(parse_i64(&text), text.parse().ok(), "{text:?}");
    }
}

fn lower_case_leaves_other_alphabets_alone() {
    for text in texts() {
        assert_eq!(lower_ascii(&text), text.to_ascii_lowercase());
    }
}
