//! Timestamps as text.

use std::str::FromStr;

use arrow::{array::timezone::Tz, compute::kernels::cast_utils::string_to_datetime};

/// Microseconds since 1970. A time without an offset is in UTC; digits after the sixth of a fraction are dropped.
pub(super) fn micros(text: &str) -> Option<i64> {
    usual(text.as_bytes()).or_else(|| general(text))
}

/// A time in any form that Arrow takes.
fn general(text: &str) -> Option<i64> {
    let utc = Tz::from_str("+00:00").expect("an offset of nothing is a time zone");
    Some(string_to_datetime(&utc, text).ok()?.timestamp_micros())
}

/// A time in the form in which nearly all are written, such as `2026-01-31T08:00:00.5Z`, in a fraction of the time.
fn usual(text: &[u8]) -> Option<i64> {
    let (time, rest) = text.split_first_chunk::<19>()?;
    // Two views of the same, because there is no word of 19 bytes.
    let head = digits(time.first_chunk().expect("19 is more"), b"0000-00-00T00:00")?;
    let tail = digits(time.last_chunk().expect("19 is more"), b"0-00-00T00:00:00")?;
    let pair = |digits: &[u8; 16], at: usize| u32::from(digits[at]) * 10 + u32::from(digits[at + 1]);
    let (hour, minute, second) = (pair(&head, 11), pair(&head, 14), pair(&tail, 14));
    // A leap second, 60, is left to Arrow.
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days(pair(&head, 0) * 100 + pair(&head, 2), pair(&head, 5), pair(&head, 8))?;
    let seconds = i64::from(days) * 86_400 + i64::from(hour * 3_600 + minute * 60 + second);
    Some(seconds * 1_000_000 + i64::from(fraction(rest.strip_suffix(b"Z")?)?))
}

/// The digits that stand where the form has noughts, if the rest is as in the form. All bytes at once, each in its byte
/// of one number.
#[inline(always)]
fn digits(bytes: &[u8; 16], form: &[u8; 16]) -> Option<[u8; 16]> {
    const HIGH: u128 = u128::from_ne_bytes([0x80; 16]);
    // What makes a byte that is too large reach the high bit.
    let limits = u128::from_le_bytes(form.map(|byte| if byte == b'0' { 0x7f - 9 } else { 0x7f }));
    let digits = u128::from_le_bytes(*bytes) ^ u128::from_le_bytes(*form);
    // Only a byte that has the high bit itself can carry into the next one and spoil it.
    ((digits.wrapping_add(limits) | digits) & HIGH == 0).then_some(digits.to_le_bytes())
}

/// Microseconds of a fraction: nothing, or a point and up to six digits.
#[inline(always)]
fn fraction(text: &[u8]) -> Option<u32> {
    let [b'.', digits @ ..] = text else { return text.is_empty().then_some(0) };
    if digits.is_empty() || digits.len() > 6 {
        return None;
    }
    (0..6).try_fold(0, |value, at| {
        let digit = digits.get(at).unwrap_or(&b'0');
        digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0'))
    })
}

/// Days since 1970 of a day of the Gregorian calendar. None when there is no such day.
#[inline(always)]
fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    // In years that begin in March the leap day is the last. 400 years more, so that none is below nought.
    let year = year + 400 - u32::from(month < 3);
    let before_month = (153 * ((month + 9) % 12) + 2) / 5;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + before_month + day;
    // So many for the first of January 1970.
    Some(days as i32 - 865_566)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On every day that there is or that somebody might think there is, the short way gives what Arrow gives.
    #[test]
    fn the_usual_form_is_what_arrow_reads() {
        let years = (0..10_000).filter(|year| year % 97 == 0 || year % 100 < 2 || (1890..2110).contains(year));
        for year in years {
            for month in 0..=13 {
                for day in [0, 1, 9, 28, 29, 30, 31, 32] {
                    let text = format!("{year:04}-{month:02}-{day:02}T23:05:09.{year:04}Z");
                    assert_eq!(usual(text.as_bytes()), general(&text), "{text}");
                }
            }
        }
    }

    /// One byte off the usual form is read as Arrow reads it, or left to Arrow.
    #[test]
    fn other_forms_are_left_to_arrow() {
        for text in [
            "2026-02-28T23:59:59Z",
            "2024-02-29T00:00:00.1Z",
            "1969-12-31T23:59:59.999999Z",
            "0000-01-01T00:00:00.123Z",
        ] {
            assert_eq!(usual(text.as_bytes()), general(text), "{text}");
            for at in 0..text.len() {
                for byte in 0..=0x7f {
                    let mut other = text.as_bytes().to_vec();
                    other[at] = byte;
                    let other = String::from_utf8(other).unwrap();
                    assert!(usual(other.as_bytes()).is_none_or(|time| Some(time) == general(&other)), "{other:?}");
                    assert_eq!(micros(&other), general(&other), "{other:?}");
                }
            }
        }
        for text in
            ["2026-01-31T08:00:60Z", "2026-01-31T08:00:00", "2026-01-31 08:00:00Z", "2026-01-31T08:00:00.1234567Z"]
        {
            assert_eq!((usual(text.as_bytes()), micros(text).is_some()), (None, true), "{text}");
        }
    }
}
