//! Sends readings above a limit one way and all others another.

use std::collections::BTreeMap;

use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Reading<'a> {
    time: Timestamp,
    sensor: &'a str,
    temperature: Option<f64>,
}

#[derive(Row)]
struct Alert<'a> {
    time: Timestamp,
    sensor: &'a str,
    message: String,
}

#[config]
struct Limits {
    /// The highest temperature that is all right, by sensor. A sensor that is not named has no limit.
    highest: BTreeMap<String, f64>,
}

/// Sends a reading that is too high, or missing, to `alerts` and all others to `normal`.
#[batch_handler]
fn route(rows: Rows<Reading<'_>>, alerts: Outlet<Alert<'_>>, normal: Outlet<Reading<'_>>, limits: &Limits) {
    for Reading { time, sensor, temperature } in rows {
        let limit = limits.highest.get(sensor).copied().unwrap_or(f64::INFINITY);
        match temperature {
            Some(degrees) if degrees <= limit => normal.write(Reading { time, sensor, temperature }),
            Some(degrees) => alerts.write(Alert { time, sensor, message: format!("{degrees} is above {limit}") }),
            None => alerts.write(Alert { time, sensor, message: "no temperature".to_owned() }),
        }
    }
}

plugin!(route);

#[cfg(test)]
mod tests {
    use tidemill_sdk::testing::{Scope, json};

    use super::*;

    #[test]
    fn what_is_too_high_or_missing_is_an_alert() {
        let readings = [("pump", Some(61.0)), ("pump", Some(60.0)), ("pump", None), ("roof", Some(99.0))];
        let readings =
            readings.map(|(sensor, temperature)| Reading { time: Timestamp::default(), sensor, temperature });
        let scope = Scope::default().config(json!({ "highest": { "pump": 60.0 } }));
        let written = scope.handle::<route>(readings).unwrap();
        let messages: Vec<_> = written["alerts"].rows::<Alert<'_>>().into_iter().map(|alert| alert.message).collect();
        assert_eq!(messages, ["61 is above 60", "no temperature"]);
        assert_eq!(written["normal"].len(), 2);
    }
}
