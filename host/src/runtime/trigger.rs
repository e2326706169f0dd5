//! When the next epoch starts.

use std::time::Duration;

use crate::model::ProcessingTime;

/// The start that follows an epoch which began at `began`: the next point on the grid of the interval. A batch that
/// overran it is followed at once; ticks missed meanwhile are one, and then it is back to the grid.
pub(super) fn next_start(began: ProcessingTime, interval: Duration) -> ProcessingTime {
    let interval = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX).max(1);
    let on_grid = began.micros().div_euclid(interval) * interval;
    ProcessingTime::from_micros(on_grid.saturating_add(interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The grid counts from 1970, not from the first epoch, as in Spark's ProcessingTimeExecutor.
    #[test]
    fn starts_are_on_the_grid() {
        let seconds = |s: i64| ProcessingTime::from_micros(s * 1_000_000);
        let five = Duration::from_secs(5);
        assert_eq!(next_start(seconds(0), five), seconds(5));
        assert_eq!(next_start(seconds(4), five), seconds(5));
        assert_eq!(next_start(seconds(5), five), seconds(10));
        // Began at 12, ran until 31: 15 has passed, so the next starts at once; that one, begun at 31, is followed by
        // 35.
        assert_eq!(next_start(seconds(12), five), seconds(15));
        assert_eq!(next_start(seconds(31), five), seconds(35));
        assert_eq!(next_start(seconds(-1), five), seconds(0));
    }

    /// Case 36 of those from Spark's suites, "processing-time trigger arithmetic and overrun", with the figures of
    /// ProcessingTimeExecutorSuite, in milliseconds: the next start after some times, and when batches
    /// of these durations start, one of which overruns.
    #[test]
    fn spark_36_starts_are_those_of_spark() {
        let millis = |ms: i64| ProcessingTime::from_micros(ms * 1000);
        let tenth = Duration::from_millis(100);
        for (began, next) in [(0, 100), (1, 100), (99, 100), (100, 200), (101, 200), (150, 200)] {
            assert_eq!(next_start(millis(began), tenth), millis(next));
        }
        let (mut now, mut starts) = (millis(0), Vec::new());
        for duration in [0, 500, 1500, 0, 0] {
            starts.push(now);
            let done = now.after(Duration::from_millis(duration));
            now = done.max(next_start(now, Duration::from_secs(1)));
        }
        assert_eq!(starts, [0, 1000, 2000, 3500, 4000].map(millis));
    }
}
