//! Points in time and days, as columns hold them.

use std::{
    fmt,
    ops::{Add, Sub},
    str::FromStr,
    time::Duration,
};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// A point in time: microseconds since 1970-01-01T00:00:00 UTC.
///
/// Reads and writes RFC 3339; a space may stand for the `T`, and a time without an offset is taken to be UTC.
///
/// ```
/// # use tidemill_sdk::Timestamp;
/// let time: Timestamp = "2026-01-31 09:30:00.25+01:00".parse()?;
/// assert_eq!(time.to_string(), "2026-01-31T08:30:00.250000Z");
/// # Ok::<(), tidemill_sdk::NotATime>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A day: days since 1970-01-01. Reads and writes `2026-01-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Date(i32);

/// A text that is not the time or the day it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotATime {
    text: String,
    expected: &'static str,
}

impl Timestamp {
    /// The time this many microseconds after 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The day it falls on, in UTC.
    pub const fn date(self) -> Date {
        Date(self.0.div_euclid(MICROS_PER_DAY) as i32)
    }
}

impl Date {
    /// The day this many days after 1970-01-01.
    pub const fn from_days(days: i32) -> Self {
        Date(days)
    }

    /// Days since 1970-01-01.
    pub const fn days(self) -> i32 {
        self.0
    }

    /// The day with this number of a month of a year; none when there is no such day.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        let date = Date(i32::try_from(days_of(year, month, day)).ok()?);
        (date.ymd() == (year, month, day)).then_some(date)
    }

    /// Year, month and day of the Gregorian calendar.
    pub fn ymd(self) -> (i32, u32, u32) {
        // Howard Hinnant's days-to-civil algorithm: years start in March, so that the leap day comes last.
        let days = i64::from(self.0) + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        (year as i32, month as u32, day as u32)
    }
}

/// The inverse of [`Date::ymd`], for any numbers.
fn days_of(year: i32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(micros(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    fn sub(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(micros(duration)))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.ymd();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.rem_euclid(MICROS_PER_DAY);
        let (seconds, micros) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{}T{hours:02}:{minutes:02}:{seconds:02}.{micros:06}Z", self.date())
    }
}

impl fmt::Display for NotATime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}", self.text, self.expected)
    }
}

impl std::error::Error for NotATime {}

impl FromStr for Date {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let mut rest = text.as_bytes();
        date(&mut rest)
            .filter(|_| rest.is_empty())
            .ok_or_else(|| NotATime { text: text.to_owned(), expected: "a day like 2026-01-31" })
    }
}

impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let mut rest = text.as_bytes();
        timestamp(&mut rest)
            .filter(|_| rest.is_empty())
            .ok_or_else(|| NotATime { text: text.to_owned(), expected: "a time like 2026-01-31T08:30:00Z" })
    }
}

fn timestamp(rest: &mut &[u8]) -> Option<Timestamp> {
    let date = date(rest)?;
    one_of(rest, b"Tt ")?;
    let (hours, minutes, seconds) = (below(rest, 24)?, colon(rest)?, colon(rest)?);
    let fraction = if one_of(rest, b".,").is_some() { fraction(rest)? } else { 0 };
    let offset_minutes = match one_of(rest, b"Zz+-") {
        Some(sign @ (b'+' | b'-')) => {
            let minutes = below(rest, 24)? * 60 + colon(rest)?;
            if sign == b'+' { minutes } else { -minutes }
        }
        _ => 0,
    };
    let seconds = hours * 3600 + (minutes - offset_minutes) * 60 + seconds;
    Some(Timestamp(i64::from(date.0) * MICROS_PER_DAY + seconds * MICROS_PER_SECOND + fraction))
}

fn date(rest: &mut &[u8]) -> Option<Date> {
    let year = digits(rest, 4)?;
    one_of(rest, b"-")?;
    let month = digits(rest, 2)?;
    one_of(rest, b"-")?;
    let day = digits(rest, 2)?;
    Date::from_ymd(year as i32, month as u32, day as u32)
}

fn colon(rest: &mut &[u8]) -> Option<i64> {
    one_of(rest, b":")?;
    below(rest, 60)
}

fn below(rest: &mut &[u8], limit: i64) -> Option<i64> {
    digits(rest, 2).filter(|number| *number < limit)
}

/// Takes exactly `count` digits.
fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (digits, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    digits.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

/// Takes the digits of a fraction of a second, at least one; those below a microsecond are cut off.
fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, behind) = rest.split_at(length);
    *rest = behind;
    let padded = digits.iter().chain([b'0'; 6].iter()).take(6);
    (length > 0).then(|| padded.fold(0, |micros, byte| micros * 10 + i64::from(byte - b'0')))
}

fn one_of(rest: &mut &[u8], bytes: &[u8]) -> Option<u8> {
    let (first, behind) = rest.split_first().filter(|(first, _)| bytes.contains(first))?;
    *rest = behind;
    Some(*first)
}
