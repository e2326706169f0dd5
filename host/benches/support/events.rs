//! Events of sensors, as JSON lines in the order of their time: no row is late with a watermark five minutes behind.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{generated, random::Random, scaled};

const FILES: usize = 10;
const SENSORS: u64 = 1000;

/// 5 million events of 1000 sensors over 83 minutes, 450 MB in ten files.
pub(crate) struct Events {
    /// Where they are.
    pub(crate) folder: PathBuf,
    /// How many.
    pub(crate) rows: usize,
}

/// Makes them, or finds them made.
pub(crate) fn events() -> Events {
    let in_file = scaled(500_000);
    let folder = generated(&format!("events-{FILES}x{in_file}"), |folder| {
        let mut stream = Stream { random: Random::new(7), millis: 0 };
        for file in 0..FILES {
            stream.write(&folder.join(format!("part-{file:03}.jsonl")), in_file, file + 1 == FILES);
        }
    });
    Events { folder, rows: FILES * in_file }
}

struct Stream {
    random: Random,
    /// Since the beginning of 2026.
    millis: u64,
}

impl Stream {
    fn write(&mut self, path: &Path, rows: usize, is_last: bool) {
        let mut out = BufWriter::new(File::create(path).expect("the folder is there"));
        for row in 0..rows {
            // Where the stream ends, the watermark must be the same for whoever takes it before the filter, as the
            // pipeline says, and behind it, where Spark's optimiser moves it: the last event passes the filter.
            self.event(&mut out, is_last && row + 1 == rows);
        }
        out.flush().expect("there is room");
    }

    fn event(&mut self, out: &mut impl Write, is_error: bool) {
        self.millis += self.random.below(3);
        let (second, milli) = (self.millis / 1000, self.millis % 1000);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        assert!(hour < 24, "the events are of one day");
        let sensor = self.random.below(SENSORS);
        let hundredths = 1500 + self.random.below(2000);
        let level = match self.random.below(100) {
            _ if is_error => "ERROR",
            0..10 => "ERROR",
            10..25 => "WARN",
            _ => "INFO",
        };
        writeln!(
            out,
            r#"{{"ts":"2026-01-01T{hour:02}:{minute:02}:{second:02}.{milli:03}Z","sensor":"sensor-{sensor:03}","temperature":{}.{:02},"level":"{level}"}}"#,
            hundredths / 100,
            hundredths % 100
        )
        .expect("there is room");
    }
}
