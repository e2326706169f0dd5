//! JSON values in their plain form, which is nearly all there are: what can be read in one go.

/// A value that has been read.
#[derive(Debug, PartialEq)]
pub(super) enum Plain<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(&'a str),
}

/// So many digits, and ten to the power of so many, are floats without rounding. One division then rounds once, which
/// is what makes the result the nearest float.
const MOST_FLOAT_DIGITS: usize = 15;

/// So many digits always fit.
const MOST_INTEGER_DIGITS: usize = 18;

const POWERS: [f64; MOST_FLOAT_DIGITS] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];

/// The value that the text begins with, and how long it is. None when there is no value, or when it is not plain: a
/// string with escapes, a number with an exponent or many digits, an array, an object. What comes after it is not
/// looked at.
#[inline(always)]
pub(super) fn value(text: &str) -> Option<(Plain<'_>, usize)> {
    let bytes = text.as_bytes();
    match bytes.first()? {
        b'"' => string_end(bytes, 1).map(|end| (Plain::Text(&text[1..end]), end + 1)),
        b'-' => number(bytes, 1),
        b'0'..=b'9' => number(bytes, 0),
        b't' if bytes.starts_with(b"true") => Some((Plain::Boolean(true), 4)),
        b'f' if bytes.starts_with(b"false") => Some((Plain::Boolean(false), 5)),
        b'n' if bytes.starts_with(b"null") => Some((Plain::Null, 4)),
        _ => None,
    }
}

/// Where the quote is that ends the string which has begun before `at`. None when it has escapes or control characters.
#[inline(always)]
pub(super) fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    special(bytes, at).filter(|&end| bytes[end] == b'"')
}

/// How long the value is that the bytes begin with, if they do begin with a value, plain or not: only whoever reads it
/// will know. A value does not go beyond its line.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'-' | b'0'..=b'9' => {
            return bytes.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        }
        b'"' | b'[' | b'{' => {}
        _ => return None,
    }
    let (mut at, mut depth) = (0_usize, 0_usize);
    loop {
        match bytes.get(at)? {
            b'\n' => return None,
            b'"' => {
                at = special(bytes, at + 1)?;
                while bytes[at] == b'\\' && *bytes.get(at + 1)? != b'\n' {
                    at = special(bytes, at + 2)?;
                }
                if bytes[at] != b'"' {
                    return None;
                }
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Where the first quote, backslash or control character is.
#[inline(always)]
fn special(bytes: &[u8], from: usize) -> Option<usize> {
    let (words, rest) = bytes.get(from..)?.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let found = specials(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(from + 8 * at + found.trailing_zeros() as usize / 8);
        }
    }
    let within = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
    Some(bytes.len() - rest.len() + within)
}

/// The high bit of each byte that is a quote, a backslash or a control character. Bits above the lowest one that is set
/// may be wrong, because a subtraction borrows from the next byte.
#[inline(always)]
fn specials(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word;
    let same = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (same(b'"') | same(b'\\') | below(word, b' ')) & (ONES << 7)
}

/// A number whose digits begin at `start`, after its sign.
#[inline(always)]
fn number(bytes: &[u8], start: usize) -> Option<(Plain<'static>, usize)> {
    let (whole, point) = digits(bytes, start, 0);
    if point == start || (bytes[start] == b'0' && point > start + 1) {
        return None;
    }
    let fractional = bytes.get(point) == Some(&b'.');
    let (all, end) = if fractional { digits(bytes, point + 1, whole) } else { (whole, point) };
    let plain = match fractional {
        true => end > point + 1 && end - start - 1 <= MOST_FLOAT_DIGITS,
        false => end - start <= MOST_INTEGER_DIGITS,
    };
    let negative = start > 0;
    // Nought with a sign is left to the parser, which has a view of its own on it.
    if !plain || (negative && all == 0) || matches!(bytes.get(end), Some(b'.' | b'e' | b'E')) {
        return None;
    }
    let all = if negative { -(all as i64) } else { all as i64 };
    let value = if fractional { Plain::Float(all as f64 / POWERS[end - point - 1]) } else { Plain::Integer(all) };
    Some((value, end))
}

/// Goes on with a value as long as there are digits. Of more than nineteen the value is wrong.
#[inline(always)]
fn digits(bytes: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        at += 1;
    }
    (value, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is converted here in one division is the float that the standard library finds.
    #[test]
    fn plain_numbers_are_the_nearest() {
        let mut random = 1_u64;
        for round in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let digits = (random >> (round % 64)).to_string();
            let (whole, fraction) = digits.split_at(1 + round % digits.len());
            let taken = |text: &str| {
                let (value, length) = number(format!("{text},").as_bytes(), usize::from(text.starts_with('-')))?;
                assert_eq!(length, text.len());
                Some(value)
            };

            for sign in ["", "-"] {
                let text = format!("{sign}{digits}");
                let fits = digits.len() <= MOST_INTEGER_DIGITS && text != "-0";
                assert_eq!(taken(&text), fits.then(|| Plain::Integer(text.parse().unwrap())), "{text}");

                let text = format!("{sign}{whole}.{fraction}");
                let fits = digits.len() <= MOST_FLOAT_DIGITS && !fraction.is_empty();
                assert_eq!(taken(&text), fits.then(|| Plain::Float(text.parse().unwrap())), "{text}");
            }
        }
    }

    /// Wherever in a word it stands and whatever stands around it, the first special byte is found.
    #[test]
    fn the_first_special_byte_is_found() {
        for length in 0..40 {
            for byte in 0..=u8::MAX {
                for around in [b'a', 0x7f, 0x80, 0xff, b'!', b'#', b' ', b'[', b']'] {
                    let mut bytes = vec![around; length];
                    bytes.push(byte);
                    bytes.extend_from_slice(&[around; 9]);
                    let is_special = byte < b' ' || byte == b'"' || byte == b'\\';
                    assert_eq!(special(&bytes, 0), is_special.then_some(length), "{byte} after {length} {around}");
                }
            }
        }
    }

    /// A value that is not plain ends where it ends and not before, and never after its line: otherwise every line of a
    /// file of unfinished values would be looked for an end up to the end of the block.
    #[test]
    fn a_value_ends_within_its_line() {
        for value in ["-1e5", "0", r#""""#, r#""\"""#, r#""\\""#, r#"[{"]":"}"},[[]]]"#, r#"{"a":"\\\"}"}"#] {
            for after in [",", "}", "]", " ", "\n", "\r\n"] {
                assert_eq!(end(format!("{value}{after}").as_bytes()), Some(value.len()), "{value}{after}");
            }
        }
        for text in ["", "7", "\"\\\n\"", "\"\n\"", "\"\\", "[\n]", "{\"\n\"}", "]", "é", "x"] {
            assert_eq!(end(text.as_bytes()), None, "{text}");
        }
    }
}
