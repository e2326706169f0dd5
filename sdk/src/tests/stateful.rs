use std::time::Duration;

use crate::{
    bindings::exports::tidemill::plugin::describe::Role,
    prelude::*,
    testing::{self, KeyedState, Scope, json},
    tests::describe,
};

#[derive(Row, Debug, Clone, PartialEq)]
struct User<'a> {
    user: &'a str,
}

#[derive(Row)]
struct Click {
    at: Timestamp,
}

#[derive(Row, Debug, PartialEq)]
struct Session<'a> {
    user: &'a str,
    clicks: u32_as_i64,
}

#[expect(non_camel_case_types, reason = "a column has no unsigned type")]
type u32_as_i64 = i64;

#[state]
struct Open {
    clicks: i64,
    end: Timestamp,
}

#[config]
struct Gap {
    seconds: u64,
}

/// Closes a session when the watermark has passed its end.
#[keyed_state(version = 2, migrate = from_count)]
fn sessions(
    user: User,
    open: Option<Open>,
    clicks: Rows<Click>,
    ctx: &mut KeyContext<Session>,
    config: &Gap,
) -> Result<Option<Open>, String> {
    if ctx.expired().iter().any(|timer| matches!(timer, Timer::EventTime(_))) {
        let open = open.ok_or("a timer without a session")?;
        ctx.emit(Session { user: user.user, clicks: open.clicks });
        return Ok(None);
    }
    let mut open = open.unwrap_or(Open { clicks: 0, end: Timestamp::default() });
    ctx.cancel(Timer::EventTime(open.end));
    for click in clicks {
        if Some(click.at) <= ctx.watermark() {
            return Err(format!("{} clicked before the watermark", user.user));
        }
        open.clicks += 1;
        open.end = open.end.max(click.at + Duration::from_secs(config.seconds));
    }
    ctx.set(Timer::EventTime(open.end));
    Ok(Some(open))
}

fn from_count(from_version: u32, state: &[u8]) -> Result<Open, String> {
    assert_eq!(from_version, 1);
    Ok(Open { clicks: crate::decode_state(state)?, end: Timestamp::default() })
}

/// Counts, and forgets who has not been seen for a minute.
#[keyed_state]
fn recent(_user: User, count: Option<i64>, clicks: Rows<Click>, ctx: &mut KeyContext<Session<'_>>) -> Option<i64> {
    ctx.expire_after(Duration::from_secs(60));
    Some(count.unwrap_or(0) + clicks.len() as i64)
}

#[derive(Row, Clone)]
struct Reading<'a> {
    sensor: &'a str,
    value: f64,
}

#[derive(Row)]
struct Alert {
    sensor: String,
    epoch: i64,
}

#[config]
#[derive(Default)]
#[serde(default)]
struct Limit {
    limit: f64,
}

/// Routes readings.
#[batch_handler]
fn route(
    epoch: Epoch,
    rows: Rows<Reading>,
    errors: Outlet<Alert>,
    all: Outlet<Reading>,
    config: &Limit,
) -> Result<(), String> {
    for reading in rows {
        if reading.value.is_nan() {
            return Err(format!("{} does not measure anything", reading.sensor));
        }
        if reading.value > config.limit {
            errors.write(Alert { sensor: reading.sensor.to_owned(), epoch: epoch.number() as i64 });
        }
        all.write(reading);
    }
    Ok(())
}

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn click(user: &str, at: i64) -> (User<'_>, Click) {
    (User { user }, Click { at: seconds(at) })
}

/// A session is the smallest thing that needs all of keyed state: rows of many keys in one batch, states that come
/// back in the next epoch, a timer moved and then fired without a row, and a key that is removed.
#[test]
fn sessions_open_grow_and_close_with_the_watermark() {
    let mut run = KeyedState::<sessions, User>::new(Scope::default().config(json!({ "seconds": 10 })));
    assert!(run.epoch([click("ada", 1), click("bob", 2), click("ada", 5)]).unwrap().is_empty());
    run.set_watermark(seconds(5));
    assert!(run.epoch([click("ada", 12)]).unwrap().is_empty());
    assert_eq!(run.keys(), [User { user: "ada" }, User { user: "bob" }]);

    run.set_watermark(seconds(16));
    let closed = run.epoch::<Click>([]).unwrap();
    assert_eq!(closed.rows::<Session>(), [Session { user: "bob", clicks: 1 }]);
    run.set_watermark(seconds(22));
    let closed = run.epoch::<Click>([]).unwrap();
    assert_eq!(closed.rows::<Session>(), [Session { user: "ada", clicks: 3 }]);
    assert!(run.keys().is_empty());

    let failure = run.epoch([click("ada", 3)]).unwrap_err();
    assert_eq!(failure.message, "ada clicked before the watermark");
}

#[test]
fn a_state_lives_as_long_as_it_was_told_to() {
    let mut run = KeyedState::<recent, User>::new(Scope::default());
    run.epoch([click("ada", 0), click("bob", 0)]).unwrap();
    run.set_batch_time(seconds(50));
    run.epoch([click("ada", 0)]).unwrap();
    run.set_batch_time(seconds(70));
    run.epoch::<Click>([]).unwrap();
    assert_eq!(run.keys(), [User { user: "ada" }]);
}

#[test]
fn an_older_state_is_migrated() {
    let mut run = KeyedState::<sessions, User>::new(Scope::default().config(json!({ "seconds": 10 })));
    run.restore(User { user: "ada" }, 1, &41_i64).unwrap();
    run.epoch([click("ada", 1)]).unwrap();
    run.set_watermark(seconds(11));
    assert_eq!(run.epoch::<Click>([]).unwrap().rows::<Session>(), [Session { user: "ada", clicks: 42 }]);

    let mut run = KeyedState::<recent, User>::new(Scope::default());
    let failure = run.restore(User { user: "ada" }, 1, &41_i64).unwrap_err();
    assert!(failure.message.starts_with("there is no way from version 1 of the state"));
}

#[test]
fn stateful_functions_are_described() {
    let described = describe::<sessions>();
    assert_eq!((described.role, described.state_version), (Role::KeyedState, 2));
    assert_eq!(described.key[0].name, "user");
    assert_eq!(described.input[0].name, "at");
    assert_eq!(described.output[1].name, "clicks");
    let described = describe::<route>();
    assert_eq!((described.role, described.output.len()), (Role::BatchHandler, 0));
    let outlets: Vec<_> = described.outlets.iter().map(|o| (o.name.as_str(), o.columns[0].name.as_str())).collect();
    assert_eq!(outlets, [("errors", "sensor"), ("all", "sensor")]);
}

#[test]
fn a_batch_handler_routes_rows_to_its_outlets() {
    let readings = [("a", 1.0), ("b", 3.0)].map(|(sensor, value)| Reading { sensor, value });
    let scope = Scope::default().epoch(Epoch::new(5)).config(json!({ "limit": 2.0 }));
    let outlets = scope.handle::<route>(readings).unwrap();
    assert_eq!(outlets["errors"].json(), [json!({ "sensor": "b", "epoch": 5 })]);
    assert_eq!(outlets["all"].len(), 2);
    let failure = testing::handle::<route>([Reading { sensor: "c", value: f64::NAN }]).unwrap_err();
    assert_eq!((failure.row, failure.message.as_str()), (None, "c does not measure anything"));
}

/// An outlet holds a bounded number of rows back. Those before the bound and those after it must all arrive, in order.
#[test]
fn an_outlet_hands_over_full_buffers_and_the_rest() {
    let readings = (0..20_000).map(|n| Reading { sensor: "a", value: f64::from(n) });
    let outlets = testing::handle::<route>(readings).unwrap();
    let values: Vec<f64> = outlets["all"].rows::<Reading>().iter().map(|reading| reading.value).collect();
    assert_eq!(values, (0..20_000).map(f64::from).collect::<Vec<_>>());
    assert_eq!(outlets["errors"].len(), 19_999);
}
