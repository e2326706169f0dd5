//! `sensor-averages` and `route-alerts`: JSON lines with a declared schema, averaged and sent two ways.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    run::{Example, examples, json_lines, written},
    table::Table,
};

/// Averages by sensor over all files. A missing value counts as none: it is neither a zero nor the end of the pipeline.
#[test]
fn readings_are_averaged_by_sensor() {
    let shown = Example::new("sensor-averages/pipeline.toml").run();
    let [Table { batch: 0, rows }] = &*shown else { panic!("one batch: {shown:?}") };
    let expected = temperatures();
    assert_eq!(rows.len(), expected.len());
    for row in rows {
        let values = &expected[&row["sensor"]];
        let number = |column: &str| row[column].parse::<f64>().expect("a number");
        assert_eq!(number("readings"), values.len() as f64, "{row:?}");
        assert_eq!(number("lowest"), values.iter().copied().fold(f64::INFINITY, f64::min), "{row:?}");
        assert_eq!(number("highest"), values.iter().copied().fold(f64::NEG_INFINITY, f64::max), "{row:?}");
        // Shown with two decimals.
        assert!((number("mean") - values.iter().sum::<f64>() / values.len() as f64).abs() < 0.005_001, "{row:?}");
        assert_eq!(row["last"], "2026-03-21T17:00:00Z");
    }
    let without_humidity = rows.iter().find(|row| row["sensor"] == "mill-race").expect("it has readings");
    assert_eq!(without_humidity["humidity"], "NULL");
}

/// Every reading leaves by one of the two outlets, and each outlet's rows reach its own sink.
#[test]
fn what_is_too_high_goes_another_way() {
    let example = Example::new("route-alerts/pipeline.toml")
        .set_path("sinks.normal.path", "normal")
        .set("sinks.normal.format", "json");
    let shown = example.run();
    let [Table { rows: alerts, .. }] = &*shown else { panic!("one batch: {shown:?}") };
    let mut alerts: Vec<(&str, &str)> = alerts.iter().map(|row| (&*row["sensor"], &*row["message"])).collect();
    // Files come in the order in which they were last changed, which a clone makes anew.
    alerts.sort_unstable();
    assert_eq!(
        alerts,
        [
            ("granary", "21.1 is above 21"),
            ("granary", "21.5 is above 21"),
            ("granary", "no temperature"),
            ("wheelhouse", "18.2 is above 18"),
            ("wheelhouse", "18.2 is above 18"),
            ("wheelhouse", "18.3 is above 18"),
            ("wheelhouse", "18.5 is above 18"),
        ]
    );

    let normal = written(&example.path("normal")).concat();
    assert_eq!(normal.len() + alerts.len(), readings().len());
    let limit = |sensor: &str| BTreeMap::from([("wheelhouse", 18.0), ("granary", 21.0)]).get(sensor).copied();
    for reading in normal {
        let (sensor, degrees) = (reading["sensor"].as_str().unwrap(), reading["temperature"].as_f64().unwrap());
        assert!(limit(sensor).is_none_or(|limit| degrees <= limit), "{reading}");
    }
}

fn readings() -> Vec<Value> {
    let input = examples().join("sensor-averages/input");
    ["morning.jsonl", "afternoon.jsonl"].iter().flat_map(|name| json_lines(&input.join(name))).collect()
}

fn temperatures() -> BTreeMap<String, Vec<f64>> {
    let mut temperatures = BTreeMap::<String, Vec<f64>>::new();
    for reading in readings() {
        let of_sensor = temperatures.entry(reading["sensor"].as_str().expect("a name").to_owned()).or_default();
        of_sensor.extend(reading["temperature"].as_f64());
    }
    temperatures
}
