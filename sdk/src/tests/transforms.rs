use std::{
    collections::{BTreeMap, BTreeSet},
    num::ParseIntError,
};

use crate::{
    bindings::exports::tidemill::plugin::describe::Role,
    function::Prepared,
    prelude::*,
    testing::{self, Scope, json, logged},
    tests::{batch, describe, prepared, utf8},
};

#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

#[derive(Row, Debug, PartialEq)]
struct Number {
    n: i64,
}

fn lines<const N: usize>(values: [&str; N]) -> [Line<'_>; N] {
    values.map(|value| Line { value })
}

/// How long the line is.
///
/// In bytes.
#[transform]
fn length(line: Line) -> Number {
    Number { n: line.value.len() as i64 }
}

#[transform]
fn odd_length(line: Line) -> Option<Number> {
    Some(length(line)).filter(|number| number.n % 2 == 1)
}

#[transform]
fn up_to(line: Line) -> Vec<Number> {
    (0..line.value.len() as i64).map(|n| Number { n }).collect()
}

#[transform]
fn numbers(line: Line<'_>) -> Result<impl Iterator<Item = Number>, ParseIntError> {
    let numbers: Vec<i64> = words(line.value).map(str::parse).collect::<Result<_, _>>()?;
    Ok(numbers.into_iter().map(|n| Number { n }))
}

#[filter]
fn is_number(line: Line) -> bool {
    parse_i64(line.value).is_some()
}

#[filter]
fn is_positive(line: Line) -> Result<bool, String> {
    parse_i64(line.value).map(|n| n > 0).ok_or_else(|| format!("`{}` is not a number", line.value))
}

#[config]
struct Factor {
    /// What to multiply "by".
    factor: i64,
    #[serde(default)]
    offset: i64,
}

#[transform]
fn scaled(number: Number, config: &Factor) -> Number {
    Number { n: number.n * config.factor + config.offset }
}

#[config]
#[derive(Default)]
#[serde(default)]
struct Optional {
    factor: i64,
}

#[filter]
fn with_defaults(_number: Number, config: &Optional) -> bool {
    config.factor == 0
}

#[config]
enum Unit {
    #[serde(rename = "metres")]
    Metres,
    Feet,
}

#[config]
struct Nested {
    by_name: BTreeMap<String, Vec<Factor>>,
    unit: Option<Unit>,
    r#type: BTreeSet<u8>,
}

#[filter]
fn nested(_number: Number, config: &Nested) -> bool {
    let metres = matches!(config.unit, Some(Unit::Metres));
    metres && config.by_name["a"][0].factor == 2 && config.r#type.contains(&1)
}

#[transform]
fn in_context(_line: Line) -> Number {
    log::info!("epoch {}", context::epoch());
    Number { n: context::batch_time().micros() + (context::random() % 1000) as i64 }
}

#[test]
fn every_shape_of_return_gives_its_rows() {
    let rows = |table: testing::Table| table.rows::<Number>().into_iter().map(|number| number.n).collect::<Vec<_>>();
    assert_eq!(rows(testing::transform::<length>(lines(["", "ab", "abc"])).unwrap()), [0, 2, 3]);
    assert_eq!(rows(testing::transform::<odd_length>(lines(["", "ab", "abc"])).unwrap()), [3]);
    assert_eq!(rows(testing::transform::<up_to>(lines(["", "ab", "abc"])).unwrap()), [0, 1, 0, 1, 2]);
    assert_eq!(rows(testing::transform::<numbers>(lines(["", "1 2", "3"])).unwrap()), [1, 2, 3]);
    assert!(testing::transform::<numbers>(lines([])).unwrap().is_empty());
}

/// The host carries event time along by the parents. A function that maps one to one has none, and whoever did not ask
/// for them does not pay for them.
#[test]
fn parents_are_given_when_asked_for_and_needed() {
    let call = |prepared: Prepared, parents| {
        let Prepared::Transform(apply) = prepared else { panic!("not a transform") };
        apply(&batch(3, vec![utf8(&[0, 2, 2, 5], "ababc")]), parents).unwrap().parents
    };
    assert_eq!(call(prepared::<up_to>(), true), Some(vec![0, 0, 2, 2, 2]));
    assert_eq!(call(prepared::<up_to>(), false), None);
    assert_eq!(call(prepared::<odd_length>(), true), Some(vec![2]));
    assert_eq!(call(prepared::<length>(), true), None);
}

#[test]
fn an_error_names_its_row() {
    let failure = testing::transform::<numbers>(lines(["1", "2 x"])).unwrap_err();
    assert_eq!((failure.row, failure.message.as_str()), (Some(1), "invalid digit found in string"));
    let failure = testing::filter::<is_positive>(lines(["1", "-1", "x"])).unwrap_err();
    assert_eq!((failure.row, failure.message.as_str()), (Some(2), "`x` is not a number"));
}

#[test]
fn a_filter_keeps_what_it_says_yes_to() {
    let texts: Vec<String> = (0..20).map(|n| if n % 3 == 0 { "x".to_owned() } else { n.to_string() }).collect();
    let kept = testing::filter::<is_number>(texts.iter().map(|value| Line { value })).unwrap();
    assert_eq!(kept, (0..20).map(|n| n % 3 != 0).collect::<Vec<_>>());
}

#[test]
fn a_config_is_described_checked_and_handed_over() {
    let described = describe::<scaled>();
    let schema: serde_json::Value = serde_json::from_str(&described.config_schema.unwrap()).unwrap();
    assert_eq!(
        schema,
        json!({
            "type": "object",
            "properties": {
                "factor": { "description": "What to multiply \"by\".", "type": "integer" },
                "offset": { "type": "integer" },
            },
            "required": ["factor"],
            "additionalProperties": false,
        })
    );
    assert_eq!(described.default_config, None);
    assert_eq!(describe::<with_defaults>().default_config.as_deref(), Some("{}"));

    let with = |config| Scope::default().config(config).transform::<scaled>([Number { n: 2 }]);
    assert_eq!(with(json!({ "factor": 3, "offset": 1 })).unwrap().rows::<Number>(), [Number { n: 7 }]);
    let wrong = |config| with(config).unwrap_err().message;
    assert!(wrong(json!({ "factor": "x" })).starts_with("setting `factor`: invalid type: string \"x\", expected i64"));
    assert!(wrong(json!({ "factor": 1, "ofset": 1 })).contains("unknown field `ofset`, expected `factor` or `offset`"));
    let missing = testing::transform::<scaled>([Number { n: 2 }]).unwrap_err().message;
    assert!(missing.starts_with("missing field `factor`"), "{missing}");
    let needless = Scope::default().config(json!({})).transform::<length>(lines([""])).unwrap_err().message;
    assert_eq!(needless, "takes no config: remove it");
}

#[test]
fn settings_nest() {
    let config = json!({ "by_name": { "a": [{ "factor": 2 }] }, "unit": "metres", "type": [1] });
    assert_eq!(Scope::default().config(config).filter::<nested>([Number { n: 1 }]), Ok(vec![true]));
    let config = json!({ "by_name": { "a": [{ "factor": 2 }, { "factor": "x" }] }, "type": [1] });
    let wrong = Scope::default().config(config).filter::<nested>([Number { n: 1 }]).unwrap_err();
    assert!(wrong.message.starts_with("setting `by_name.a[1].factor`: invalid type"), "{}", wrong.message);

    let schema: serde_json::Value = serde_json::from_str(&describe::<nested>().config_schema.unwrap()).unwrap();
    let properties = &schema["properties"];
    assert_eq!(properties["by_name"]["additionalProperties"]["items"]["required"], json!(["factor"]));
    assert_eq!(properties["unit"], json!({ "anyOf": [{ "type": "null" }, { "enum": ["metres", "Feet"] }] }));
    assert_eq!(properties["type"]["items"], json!({ "type": "integer", "minimum": 0 }));
    assert_eq!(schema["required"], json!(["by_name", "type"]));
}

#[test]
fn a_function_is_described_by_its_attribute_and_its_documentation() {
    let described = describe::<length>();
    assert_eq!(described.role, Role::Transform);
    assert_eq!(described.doc, "How long the line is.\n\nIn bytes.");
    assert_eq!(described.input[0].name, "value");
    assert_eq!(described.output[0].name, "n");
    assert_eq!(described.config_schema, None);
    let described = describe::<is_number>();
    assert_eq!((described.role, described.output), (Role::Filter, Vec::new()));
}

/// An epoch that runs again must give the same rows, so time and randomness come from its scope alone.
#[test]
fn the_context_is_the_scopes() {
    let scope = Scope::default().epoch(Epoch::new(7)).batch_time(Timestamp::from_micros(1_000_000)).seed(3);
    logged();
    let first = scope.transform::<in_context>(lines([""])).unwrap().rows::<Number>();
    assert!((1_000_000..1_001_000).contains(&first[0].n));
    assert!(logged().contains(&(log::Level::Info, "epoch 7".to_owned())));
    let Prepared::Transform(_) = prepared::<in_context>() else { panic!("not a transform") };
}
