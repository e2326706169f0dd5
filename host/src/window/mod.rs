//! Windows over event time: which of them a time belongs to, and when one is over. Pure arithmetic in microseconds.

use std::time::Duration;

use crate::model::EventTime;

/// Windows of one size, a new one every `slide`: tumbling when the two are equal, sliding when they overlap.
///
/// Laws: a time lies in every window that is given for it, these are all the windows of the grid that hold it, and all
/// times of one pane have the same windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    size: i64,
    slide: i64,
    offset: i64,
}

impl Windows {
    /// Windows that start at `offset` and every `slide` before and after it. None unless `0 < slide <= size`.
    pub fn new(size: Duration, slide: Duration, offset: i64) -> Option<Self> {
        let (size, slide) = (i64::try_from(size.as_micros()).ok()?, i64::try_from(slide.as_micros()).ok()?);
        (0 < slide && slide <= size).then(|| Windows { size, slide, offset: offset.rem_euclid(slide) })
    }

    /// Whether no two windows overlap.
    pub fn are_tumbling(&self) -> bool {
        self.size == self.slide
    }

    /// The start of the pane a time lies in. Panes are the pieces into which the edges of all windows cut time: rows
    /// are folded once for their pane, and only the results go to each of its windows ("No pane, no gain", Li et al.,
    /// 2005).
    pub fn pane(&self, time: EventTime) -> EventTime {
        let pane = self.pane_length();
        let into = time.micros().wrapping_sub(self.offset).rem_euclid(pane);
        EventTime::from_micros(time.micros().saturating_sub(into))
    }

    /// How long a pane is, in microseconds.
    pub fn pane_length(&self) -> i64 {
        greatest_common_divisor(self.size, self.slide)
    }

    /// The starts of all windows that hold a time, the latest first.
    pub fn starts(&self, time: EventTime) -> impl Iterator<Item = EventTime> + use<> {
        let into = time.micros().wrapping_sub(self.offset).rem_euclid(self.slide);
        let last = time.micros().saturating_sub(into);
        let (size, slide, time) = (self.size, self.slide, time.micros());
        let starts = (0..(size + slide - 1) / slide).map(move |back| last.saturating_sub(back * slide));
        starts.filter(move |start| time.saturating_sub(*start) < size).map(EventTime::from_micros)
    }

    /// Where the window that starts here ends; the end is no longer in it.
    pub fn end(&self, start: EventTime) -> EventTime {
        EventTime::from_micros(start.micros().saturating_add(self.size))
    }
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(size: u64, slide: u64, offset: i64) -> Windows {
        Windows::new(Duration::from_secs(size), Duration::from_secs(slide), offset * 1_000_000).expect("valid")
    }

    fn of(windows: Windows, second: i64) -> Vec<(i64, i64)> {
        let starts = windows.starts(EventTime::from_micros(second * 1_000_000));
        let mut found: Vec<_> =
            starts.map(|start| (start.micros() / 1_000_000, windows.end(start).micros() / 1_000_000)).collect();
        found.reverse();
        found
    }

    /// The figures of Spark's DataFrameTimeWindowingSuite: overlapping windows, and offsets on both sides of 1970.
    #[test]
    fn windows_are_those_of_spark() {
        let sliding = windows(10, 3, 0);
        assert_eq!(of(sliding, 27), [(18, 28), (21, 31), (24, 34), (27, 37)]);
        assert_eq!(of(sliding, 34), [(27, 37), (30, 40), (33, 43)]);
        assert_eq!(of(windows(10, 10, 5), 2), [(-5, 5)]);
        assert_eq!(of(windows(10, 10, 5), 12), [(5, 15)]);
        assert_eq!(of(windows(10, 10, -5), 70), [(65, 75)]);
        assert_eq!(of(windows(10, 10, -5), 65), [(65, 75)]);
        assert_eq!(of(windows(10, 10, 0), -1), [(-10, 0)]);
    }

    /// The law by which rows may be folded pane by pane, tried on sizes that are multiples of the slide and on others.
    #[test]
    fn times_of_one_pane_have_the_same_windows() {
        for (size, slide, offset) in [(10, 10, 0), (10, 5, 3), (10, 3, -1), (7, 4, 2), (600, 300, 0)] {
            let windows = windows(size, slide, offset);
            for second in -40..40 {
                let time = EventTime::from_micros(second * 1_000_000);
                let pane = windows.pane(time);
                assert!(pane <= time);
                assert!(windows.starts(pane).eq(windows.starts(time)), "{size}/{slide}+{offset} at {second}");
                let holds = |start: i64| start <= second && second < start + size as i64;
                let all = (-700..700).filter(|s| (s - offset).rem_euclid(slide as i64) == 0 && holds(*s)).count();
                assert_eq!(windows.starts(time).count(), all);
            }
        }
    }

    /// A slide of nothing would never end, and one above the size would lose the rows in between.
    #[test]
    fn impossible_windows_are_refused() {
        let seconds = Duration::from_secs;
        assert_eq!(Windows::new(seconds(10), seconds(0), 0), None);
        assert_eq!(Windows::new(seconds(10), seconds(11), 0), None);
        assert_eq!(Windows::new(Duration::MAX, seconds(1), 0), None);
    }
}
