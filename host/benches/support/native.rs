//! What a good programmer writes by hand for the same jobs, on one thread: one pass over the files, a fast parser that
//! looks at the fields that are wanted, fast tables, keys copied once.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use arrow::temporal_conversions::timestamp_ms_to_datetime;
use hashbrown::HashMap as FastMap;
use serde::Deserialize;
use sonic_rs::Deserializer;

use super::files_in;

/// In milliseconds, as everything here.
const MINUTE: i64 = 60_000;
const DELAY: i64 = 5 * MINUTE;

/// Words of text files, counted.
pub(crate) fn word_count(folder: &Path) -> FastMap<String, u64> {
    let mut counts: FastMap<String, u64> = FastMap::new();
    for file in files_in(folder) {
        let bytes = fs::read(file).expect("a file");
        let text = simdutf8::basic::from_utf8(&bytes).expect("generated text");
        for line in text.lines() {
            for word in line.split_ascii_whitespace() {
                *counts.entry_ref(word).or_insert(0) += 1;
            }
        }
    }
    counts
}

/// Errors of each sensor and minute, written to a file of CSV: the windows that the watermark has passed.
pub(crate) fn error_count(folder: &Path, output: &Path) {
    #[derive(Deserialize)]
    struct Event<'a> {
        ts: &'a str,
        sensor: &'a str,
        level: &'a str,
    }
    let mut sensors = Sensors::default();
    let mut counts: Windows<u64> = Windows::default();
    let mut out = BufWriter::new(File::create(output).expect("the folder can be written"));
    writeln!(out, "window_start,window_end,sensor,count").expect("there is room");
    for file in files_in(folder) {
        let bytes = fs::read(file).expect("a file");
        for event in events::<Event<'_>>(&bytes) {
            let time = counts.see(event.ts);
            if event.level == "ERROR"
                && let Some(count) = counts.get(time - time.rem_euclid(MINUTE), MINUTE, sensors.id(event.sensor))
            {
                *count += 1;
            }
        }
        for (start, counts) in counts.close(MINUTE) {
            let (start, end) = (rfc3339(start), rfc3339(start + MINUTE));
            for (sensor, count) in sensors.names.iter().zip(counts).filter(|&(_, count)| count > 0) {
                writeln!(out, "{start},{end},{sensor},{count}").expect("there is room");
            }
        }
    }
    out.into_inner().expect("there is room").sync_all().expect("there is room");
}

/// Average, lowest and highest temperature by start of the window and sensor.
pub(crate) type Temperatures = BTreeMap<(i64, String), [f64; 3]>;

/// Temperatures of each sensor over ten minutes, every five minutes.
pub(crate) fn sliding(folder: &Path) -> Temperatures {
    #[derive(Deserialize)]
    struct Event<'a> {
        ts: &'a str,
        sensor: &'a str,
        temperature: f64,
    }
    const SLIDE: i64 = 5 * MINUTE;
    const SIZE: i64 = 10 * MINUTE;
    let mut sensors = Sensors::default();
    let mut open: Windows<Range> = Windows::default();
    let mut table = Temperatures::new();
    let mut show = |names: &[String], start: i64, ranges: &[Range]| {
        for (name, range) in names.iter().zip(ranges).filter(|(_, range)| range.rows > 0) {
            table.insert((start, name.clone()), [range.sum / range.rows as f64, range.min, range.max]);
        }
    };
    for file in files_in(folder) {
        let bytes = fs::read(file).expect("a file");
        for event in events::<Event<'_>>(&bytes) {
            let time = open.see(event.ts);
            let (last, sensor) = (time - time.rem_euclid(SLIDE), sensors.id(event.sensor));
            for start in [last, last - SLIDE] {
                if let Some(range) = open.get(start, SIZE, sensor) {
                    range.add(event.temperature);
                }
            }
        }
        open.close(SIZE).for_each(|(start, ranges)| show(&sensors.names, start, &ranges));
    }
    open.open.iter().for_each(|(&start, ranges)| show(&sensors.names, start, ranges));
    table
}

#[derive(Clone)]
struct Range {
    sum: f64,
    rows: u64,
    min: f64,
    max: f64,
}

impl Default for Range {
    fn default() -> Self {
        Range { sum: 0.0, rows: 0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Range {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.rows += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

/// Sensors as small numbers.
#[derive(Default)]
struct Sensors {
    ids: FastMap<String, usize>,
    names: Vec<String>,
}

impl Sensors {
    fn id(&mut self, name: &str) -> usize {
        *self.ids.entry_ref(name).or_insert_with(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        })
    }
}

/// Windows that the watermark has not passed, each with a value for every sensor.
#[derive(Default)]
struct Windows<T> {
    open: BTreeMap<i64, Vec<T>>,
    newest: i64,
    watermark: i64,
}

impl<T: Default + Clone> Windows<T> {
    /// Takes note of an event's time, and reads it.
    fn see(&mut self, ts: &str) -> i64 {
        let time = millis(ts);
        self.newest = self.newest.max(time);
        time
    }

    /// The value of a sensor in the window that begins at `start`; none when the row is late for it.
    fn get(&mut self, start: i64, size: i64, sensor: usize) -> Option<&mut T> {
        if start + size <= self.watermark {
            return None;
        }
        let values = self.open.entry(start).or_default();
        if values.len() <= sensor {
            values.resize(sensor + 1, T::default());
        }
        Some(&mut values[sensor])
    }

    /// Moves the watermark to where it belongs after what was seen, and takes out the windows that it passed.
    fn close(&mut self, size: i64) -> impl Iterator<Item = (i64, Vec<T>)> {
        self.watermark = self.newest - DELAY;
        let still_open = self.open.split_off(&(self.watermark - size + 1));
        std::mem::replace(&mut self.open, still_open).into_iter()
    }
}

/// Generated JSON, parsed as one stream, which costs far less than to begin anew for every line.
fn events<'a, T: Deserialize<'a> + 'a>(bytes: &'a [u8]) -> impl Iterator<Item = T> {
    let text = simdutf8::basic::from_utf8(bytes).expect("generated text");
    Deserializer::from_str(text).into_stream().map_while(|event| match event {
        Ok(event) => Some(event),
        // How this parser says that there is nothing left.
        Err(error) if error.is_eof() => None,
        Err(error) => panic!("a generated event does not parse: {error}"),
    })
}

/// The milliseconds since 1970 of `2026-01-31T08:00:00.000Z`.
fn millis(ts: &str) -> i64 {
    let ts: &[u8; 24] = ts.as_bytes().try_into().expect("generated times have milliseconds");
    let number = |digits: &[u8]| digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    let (year, month, day) = (number(&ts[..4]), number(&ts[5..7]), number(&ts[8..10]));
    let (hour, minute, second) = (number(&ts[11..13]), number(&ts[14..16]), number(&ts[17..19]));
    ((days(year, month, day) * 24 + hour) * 60 + minute) * MINUTE + second * 1000 + number(&ts[20..23])
}

/// The days since 1970. Years begin in March here, so that the day that comes and goes is their last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let before_month = (153 * ((month + 9) % 12) + 2) / 5;
    year * 365 + year / 4 - year / 100 + year / 400 + before_month + day - 1 - 719_468
}

fn rfc3339(millis: i64) -> String {
    let time = timestamp_ms_to_datetime(millis).expect("a time of this century");
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
