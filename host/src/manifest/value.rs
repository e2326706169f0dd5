//! Values that TOML has no type for: durations, sizes, names, addresses. An error says what would be accepted.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serializer;
use serde_json::{Number, Value};
use toml::de::{DeInteger, DeValue};

/// A path of the manifest, resolved against the manifest's folder. `.` in it is left out, for the sake of messages.
pub(super) fn path(base: &Path, path: &str) -> PathBuf {
    base.join(path).components().collect()
}

/// Units of time, in milliseconds.
const TIME: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Units of size, in bytes.
const SIZE: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// A century: longer is a slip, and anything shorter can be added to a time without a thought of overflow.
const LONGEST: u64 = 36_500 * 86_400_000;

/// A duration as manifests and options write it: `500ms`, `5s`, `10m`, `1h`, `2d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    match scaled(text, &TIME) {
        Some(millis) if millis <= LONGEST => Ok(Duration::from_millis(millis)),
        Some(_) => Err("at most 36500d".to_owned()),
        None => Err(r#"a whole number and a unit: "500ms", "5s", "10m", "1h" or "2d""#.to_owned()),
    }
}

/// A duration forward or back, such as `-5s`, in microseconds.
pub(super) fn parse_signed(text: &str) -> Option<i64> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    Some(sign * i64::try_from(parse_duration(text).ok()?.as_micros()).ok()?)
}

/// A duration as a person would write it, exact: `5s`.
pub(super) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis() as u64;
    let (unit, scale) =
        TIME.into_iter().rfind(|(_, scale)| millis.is_multiple_of(*scale)).expect("milliseconds divide all");
    format!("{}{unit}", millis / scale)
}

/// Writes a duration as manifests have it.
pub(super) fn serialize_duration<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show_duration(*duration))
}

/// A number of bytes: `64MB`, `16MiB`, `4096B`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    scaled(text, &SIZE)
}

/// A whole number with one of these units; upper and lower case are one, and a space may stand between.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim_start()))?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

/// A size as a person would write it, exact: `16MiB`.
pub(super) fn show_size(bytes: u64) -> String {
    let whole = SIZE.iter().filter(|(_, scale)| bytes >= *scale && bytes.is_multiple_of(*scale));
    match whole.max_by_key(|(_, scale)| *scale) {
        Some((unit, scale)) => format!("{}{unit}", bytes / scale),
        None => format!("{bytes}B"),
    }
}

/// A whole number, if it is one that 64 bits without a sign can hold.
pub(super) fn to_u64(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// What [`is_name`] wants, for messages.
pub(super) const NAME: &str = "up to 64 letters, digits, `_` and `-`, with a letter or digit first";

/// Whether this can name a part, plugin, function or pipeline. Names become folders, columns of reports and labels of
/// metrics, so they keep to what all of these take.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed)
}

/// Whether this is `host:port`.
pub(super) fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// The same value in JSON. Dates become strings.
pub(super) fn to_json(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::from(&**text),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::from(number),
            Err(_) => to_u64(number).map(Value::from).ok_or_else(|| format!("{number} does not fit into 64 bits"))?,
        },
        DeValue::Float(number) => {
            let finite = number.as_str().parse().ok().and_then(Number::from_f64);
            Value::from(finite.ok_or_else(|| format!("{number} is not a number in JSON"))?)
        }
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect::<Result<_, _>>()?,
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| Ok((key.to_string(), to_json(value.get_ref())?)))
            .collect::<Result<_, String>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A duration that is misread by a factor runs a pipeline at the wrong pace without a word.
    #[test]
    fn durations() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse_duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_duration("1 h"), Ok(Duration::from_secs(3_600)));
        assert_eq!(parse_duration("2d"), Ok(Duration::from_secs(172_800)));
        assert_eq!(parse_duration("36500d"), Ok(Duration::from_millis(LONGEST)));
        for wrong in [
            "",
            "5",
            "s",
            "5x",
            "-5s",
            "1.5s",
            "5s ",
            " 5s",
            "36501d",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong:?} was taken for a duration");
        }
    }

    /// MB and MiB differ, and what is shown can be written back.
    #[test]
    fn sizes() {
        assert_eq!(parse_size("64MB"), Some(64_000_000));
        assert_eq!(parse_size("16MiB"), Some(16 << 20));
        assert_eq!(parse_size("16 mib"), Some(16 << 20));
        assert_eq!(parse_size("7B"), Some(7));
        for wrong in ["", "64", "MB", "64M", "1.5MB", "-1MB", "18446744073709551615kB"] {
            assert_eq!(parse_size(wrong), None, "{wrong:?} was taken for a size");
        }
        for bytes in [1, 999, 1_000, 1_024, 1_500_000, 16 << 20, 4 << 30] {
            assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }
        assert_eq!(show_size(16 << 20), "16MiB");
    }

    /// The address is given to the resolver as it is; what can never work is refused while the place is still known.
    #[test]
    fn addresses() {
        assert!(is_address("127.0.0.1:9999") && is_address("localhost:1") && is_address("[::1]:80"));
        assert!(!is_address("localhost") && !is_address(":80") && !is_address("a:0") && !is_address("a:65536"));
    }
}
