use std::borrow::Cow;

use crate::{
    prelude::*,
    testing::{self, json},
    tests::describe,
    wire::DataType,
};

#[derive(Row, Debug, Clone, PartialEq)]
struct Everything<'a> {
    boolean: bool,
    int32: i32,
    int64: i64,
    float32: f32,
    float64: f64,
    borrowed: &'a str,
    owned: String,
    either: Cow<'a, str>,
    bytes: &'a [u8],
    owned_bytes: Vec<u8>,
    time: Timestamp,
    day: Date,
    maybe_boolean: Option<bool>,
    maybe_int64: Option<i64>,
    maybe_text: Option<&'a str>,
    maybe_bytes: Option<Vec<u8>>,
    maybe_time: Option<Timestamp>,
    r#type: i32,
    #[row(rename = "two words")]
    two_words: i32,
}

#[transform]
fn same(row: Everything) -> Everything {
    row
}

fn everything(number: i64, text: &str) -> Everything<'_> {
    let some = number % 3 == 0;
    Everything {
        boolean: number % 2 == 0,
        int32: number as i32,
        int64: number << 40,
        float32: number as f32 / 2.0,
        float64: number as f64 / 3.0,
        borrowed: text,
        owned: text.to_uppercase(),
        either: Cow::Borrowed(text),
        bytes: text.as_bytes(),
        owned_bytes: vec![number as u8; number as usize % 40],
        time: Timestamp::from_micros(number * 1_000_000),
        day: Date::from_days(number as i32),
        maybe_boolean: some.then_some(true),
        maybe_int64: some.then_some(number),
        maybe_text: some.then_some(text),
        maybe_bytes: some.then(|| text.as_bytes().to_vec()),
        maybe_time: some.then_some(Timestamp::from_micros(-1)),
        r#type: 1,
        two_words: 2,
    }
}

/// A row goes into columns and out of them twice on its way through a function. Every type, with and without a value,
/// with texts shorter and longer than the block they are copied in, must come out as it went in.
#[test]
fn every_type_comes_back_as_it_went() {
    let texts: Vec<String> = (0..100).map(|length| "ä🌊x".repeat(length % 13)).collect();
    let rows: Vec<_> = texts.iter().zip(0..).map(|(text, number)| everything(number, text)).collect();
    let through = testing::transform::<same>(rows.clone()).unwrap();
    assert_eq!(through.rows::<Everything>(), rows);
}

#[test]
fn columns_have_the_names_and_types_of_the_fields() {
    let columns = describe::<same>().input;
    let find = |name: &str| columns.iter().find(|column| column.name == name).unwrap();
    assert_eq!(find("borrowed").data_type, DataType::Utf8);
    assert!(!find("borrowed").nullable);
    assert_eq!(find("maybe_time").data_type, DataType::Timestamp);
    assert!(find("maybe_time").nullable);
    assert_eq!(find("type").data_type, DataType::Int32);
    assert_eq!(find("two words").data_type, DataType::Int32);
    assert_eq!(describe::<same>().output, columns);
}

#[test]
fn tables_are_shown_as_json() {
    let row = testing::transform::<same>([everything(1, "tide")]).unwrap().json().remove(0);
    assert_eq!(row["borrowed"], json!("tide"));
    assert_eq!(row["bytes"], json!("74696465"));
    assert_eq!(row["time"], json!("1970-01-01T00:00:01.000000Z"));
    assert_eq!(row["day"], json!("1970-01-02"));
    assert_eq!(row["maybe_text"], json!(null));
}

/// Times are read from logs of all kinds; one read wrongly puts a row into the wrong window for good.
#[test]
fn times_are_read_and_written() {
    let micros = |text: &str| text.parse::<Timestamp>().map(Timestamp::micros).ok();
    assert_eq!(micros("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(micros("1969-12-31 23:59:59.5"), Some(-500_000));
    assert_eq!(micros("2000-02-29T12:00:00,1234567+02:00"), Some(951_818_400_123_456));
    assert_eq!(micros("9999-12-31T23:59:59.999999Z"), Some(253_402_300_799_999_999));
    let wrong = [
        "",
        "2001-02-29T00:00:00Z",
        "2001-02-28T24:00:00Z",
        "2001-02-28T00:60:00Z",
        "2001-02-28",
        "2001-02-28T00:00:00.",
    ];
    for text in wrong.into_iter().chain(["2001-02-28T00:00:00ZZ", "2001-13-01T00:00:00Z", "2001-00-10T00:00:00Z"]) {
        assert_eq!(micros(text), None, "{text}");
    }
    for days in (-800_000..2_900_000).step_by(17) {
        let day = Date::from_days(days);
        let (year, month, date) = day.ymd();
        assert_eq!(Date::from_ymd(year, month, date), Some(day));
        if (0..=9999).contains(&year) {
            assert_eq!(day.to_string().parse(), Ok(day));
        }
    }
    assert_eq!("2026-01-32".parse::<Date>().unwrap_err().to_string(), "`2026-01-32` is not a day like 2026-01-31");
}
