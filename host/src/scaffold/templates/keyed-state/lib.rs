//! Alarms when a sensor reports more than ever before.

use tidemill_sdk::prelude::*;

/// The columns that make a key.
#[derive(Row, Clone, PartialEq)]
struct Sensor<'a> {
    sensor: &'a str,
}

/// The columns that the function reads beside the key.
#[derive(Row)]
struct Reading {
    value: f64,
}

/// The columns that it puts out.
#[derive(Row)]
struct Alarm<'a> {
    sensor: &'a str,
    value: f64,
}

/// What is kept for each sensor.
#[state]
struct Highest {
    value: f64,
}

/// Raises an alarm whenever a sensor reports more than ever before.
// Called once an epoch for each key that has rows or an expired timer. Returning none forgets the key.
#[keyed_state]
fn record(
    key: Sensor<'_>,
    highest: Option<Highest>,
    readings: Rows<Reading>,
    ctx: &mut KeyContext<Alarm<'_>>,
) -> Option<Highest> {
    let mut highest = highest;
    for Reading { value } in readings {
        if highest.as_ref().is_none_or(|highest| value > highest.value) {
            ctx.emit(Alarm {
                sensor: key.sensor,
                value,
            });
            highest = Some(Highest { value });
        }
    }
    highest
}

plugin!(record);

#[cfg(test)]
mod tests {
    use tidemill_sdk::testing::{KeyedState, Scope, json};

    use super::*;

    #[test]
    fn only_a_record_raises_an_alarm() {
        let mut run = KeyedState::<record, Sensor>::new(Scope::default());
        let mut epoch = |values: &[f64]| {
            let gate = Sensor { sensor: "gate" };
            let readings = values
                .iter()
                .map(|&value| (gate.clone(), Reading { value }));
            run.epoch(readings).unwrap().json()
        };
        let alarm = |value: f64| json!({ "sensor": "gate", "value": value });
        assert_eq!(epoch(&[3.0, 2.0]), [alarm(3.0)]);
        assert!(epoch(&[3.0]).is_empty());
        assert_eq!(epoch(&[1.0, 4.5]), [alarm(4.5)]);
    }
}
