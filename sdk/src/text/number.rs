//! Reading numbers.

/// Nineteen digits may not fit; eighteen always do.
const SAFE_DIGITS: usize = 18;

/// The whole number that a text is: an optional sign and decimal digits, nothing else. None if it is something else
/// or does not fit: what [`str::parse`] gives.
///
/// ```
/// # use tidemill_sdk::text::parse_i64;
/// assert_eq!(parse_i64("-42"), Some(-42));
/// assert_eq!(parse_i64("42 "), None);
/// ```
#[inline]
pub fn parse_i64(text: impl AsRef<[u8]>) -> Option<i64> {
    let (negative, digits) = match text.as_ref() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let (head, tail) = digits.split_at(digits.len().min(SAFE_DIGITS));
    let mut number: i64 = 0;
    for byte in head {
        number = number * 10 + digit(*byte)?;
    }
    if negative {
        number = -number;
    }
    for byte in tail {
        let digit = digit(*byte)?;
        number = number.checked_mul(10)?.checked_add(if negative { -digit } else { digit })?;
    }
    Some(number)
}

#[inline(always)]
fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}
