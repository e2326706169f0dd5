//! The short way through a line ends where the long way does.

use super::super::{
    JsonLines,
    tests::{declared, read},
};
use super::*;
use crate::{
    model::DataType,
    source::{line, testing::Collected},
};

fn all_types() -> [(&'static str, DataType); 9] {
    DataType::ALL.map(|data_type| (data_type.name(), data_type))
}

/// A generator of numbers below a bound: xorshift, with the seed in the message of a failure.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Values that go into the column of this name; and others, for it and for keys that nobody wants.
fn value(key: &str, random: &mut Random) -> String {
    let others = [
        "null",
        "true",
        "0",
        "-0",
        "-0.0",
        "01",
        "1.",
        ".5",
        "1e400",
        "-1e-7",
        "0e1",
        "1E+2",
        "+1",
        "0.000001",
        "123456789012345678",
        "1234567890123456789",
        "18446744073709551615",
        "-9223372036854775808",
        "-9223372036854775809",
        "0.1234567890123456789",
        "99999999999999.9",
        "\"\"",
        "\"NaN\"",
        "\"plain\"",
        "\"r\u{e9}sum\u{e9}\"",
        r#""q\"uote""#,
        r#""\\""#,
        r#""\u00e9\n""#,
        r#""\ud800""#,
        r#""\x""#,
        "\"tab\there\"",
        "[]",
        "{}",
        r#"[1,{"a":"]}\""},[[]]]"#,
        r#"{"a":{"b":[true,null,1.5]}}"#,
        "[1,]",
        "{\"a\"}",
        "[}",
        "nul",
        "é",
        "",
    ];
    if random.below(8) == 0 {
        return random.of(&others).to_owned();
    }
    let digits = (random.0 >> random.below(64)).to_string();
    let sign = random.of(&["", "-"]);
    match key {
        "boolean" => random.of(&["true", "false"]).to_owned(),
        "int32" | "int64" => format!("{sign}{digits}"),
        "float32" | "float64" => {
            let (whole, fraction) = digits.split_at(1 + random.below(digits.len()));
            format!("{sign}{whole}.{fraction}0")
        }
        "binary" => random.of(&["\"AP8=\"", "\"\"", "\"AP8\""]).to_owned(),
        "timestamp" => {
            let (day, second) = (random.below(31), random.below(62));
            let end = random.of(&["Z", ".5Z", ".123456Z", ".1234567Z", "", "+02:00"]);
            format!("\"2026-02-{day:02}T08:00:{second:02}{end}\"")
        }
        "date" => format!("\"2026-02-{:02}\"", random.below(31)),
        _ => format!("\"{}\"", &digits[..random.below(digits.len())]),
    }
}

/// Lines that are alike for a while and then change: keys in any order, left out, doubled, unknown; spaces; now and
/// then a byte that is changed, added or left out.
fn lines(random: &mut Random) -> Vec<u8> {
    let mut keys = Vec::new();
    let mut space = "";
    let mut content = Vec::new();
    for _ in 0..40 {
        if random.below(6) == 0 || keys.is_empty() {
            keys = (0..random.below(8)).map(|_| random.of(&all_types()).0).collect();
            let others = ["unknown", "a key with \\\" escape", "é", ""];
            (0..random.below(3)).for_each(|_| keys.insert(random.below(keys.len() + 1), random.of(&others)));
            space = random.of(&["", "", "", " ", "  ", "\t", "\r"]);
        }
        let members =
            keys.iter().map(|key| format!("\"{key}\"{}:{space}{}", &space[..space.len() / 2], value(key, random)));
        let members = members.collect::<Vec<_>>().join(&format!(",{space}"));
        let line_end = random.of(&["\n", "\n", "\n", "\r\n", " \r\n"]);
        let mut line =
            format!("{space}{{{space}{members}{}}}{space}{line_end}", &space[..space.len() / 2]).into_bytes();
        if random.below(4) == 0 {
            let at = random.below(line.len());
            let byte = random.of(b"\"\\{}[]:,0-.eZ \t\r\n\x00\x0c\xc3\xa9ant");
            match random.below(4) {
                0 => line[at] = byte,
                1 => line.insert(at, byte),
                2 => drop(line.remove(at)),
                _ => line[at] ^= 1 << random.below(8),
            }
        }
        content.extend_from_slice(&line);
    }
    content
}

/// All lines by the general reader: the rows, and the number and error of each line that is none.
fn generally(schema: arrow::datatypes::SchemaRef, content: &[u8]) -> (Collected, Vec<(usize, String)>) {
    let mut json = JsonLines::new(schema);
    let mut bad = Vec::new();
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    for (at, bytes) in content.split(|&byte| byte == b'\n').enumerate() {
        let bytes = line::without_cr(bytes);
        let read = match std::str::from_utf8(bytes) {
            Ok(text) => json.line(text),
            Err(_) => Err(line::not_utf8(String::new(), bytes).error),
        };
        bad.extend(read.err().map(|error| (at + 1, error)));
    }
    let mut collected = Collected::default();
    assert!(json.flush(&mut collected).is_continue());
    (collected, bad)
}

/// Whatever the lines are, it must not show in the rows, the errors or their places which way they were read.
#[test]
fn the_short_way_ends_where_the_long_way_does() {
    for seed in 1..800 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let wanted: Vec<_> = all_types().into_iter().filter(|_| random.below(3) > 0).collect();
        let content = lines(&mut random);
        let (expected, bad) = generally(declared(&wanted), &content);
        let found = read(declared(&wanted), &content);
        assert_eq!(found.batches, expected.batches, "seed {seed}: {}", String::from_utf8_lossy(&content));
        let errors =
            found.bad.iter().map(|bad| (bad.place.rsplit(':').next().unwrap().parse().unwrap(), bad.error.clone()));
        assert_eq!(errors.collect::<Vec<_>>(), bad, "seed {seed}: {}", String::from_utf8_lossy(&content));
    }
}

/// The lines that matter for speed do go the short way, and nothing that is wrong does.
#[test]
fn what_goes_the_short_way() {
    let schema = declared(&[("s", DataType::Utf8), ("n", DataType::Float64), ("t", DataType::Timestamp)]);
    let json = JsonLines::new(schema);
    let (mut columns, mut shape) = (json.columns, Shape::default());
    let mut short = |line: &str| {
        let length = shape.read(line, &json.index, &mut columns, 0);
        columns.iter_mut().for_each(|column| column.set_len(0));
        length
    };
    for line in [
        "{\"s\":\"x\",\"n\":21.37,\"t\":\"2026-01-31T08:00:00.123Z\"}\n",
        " {\"s\": \"x\",\t\"n\" : null , \"t\": 0 } \r\n",
        "{\"s\":\"q\\\"\\u00e9\",\"n\":1e-3,\"t\":\"2026-01-31T08:00:00+02:00\"}\n",
        "{\"a\":[1,{\"b\":\"}]\"}],\"b\":\"\\n\",\"c\":1e9,\"s\":\"\",\"n\":1,\"n\":2}\n",
        "{ }\n",
    ] {
        assert_eq!(short(line), Some(line.len()), "{line}");
        assert_eq!(short(&format!("{line}{line}")), Some(line.len()), "{line}");
    }
    for line in [
        "\n",
        "{}",
        "{\"s\":\"x\"}",
        "{\"s\":\"x\"",
        "}\n",
        ",\"s\":\"x\"}\n",
        "{\"s\":\"x\"}}\n",
        "{,}\n",
        "{\"s\":\"x\",}\n",
        "{\"s\":\"x\"\n}\n",
        "{\"s\":7}\n",
        "{\"s\":\"\x01\"}\n",
        "{\"s\":\"\\\n\"}\n",
        "{\"s\":\"\\ud800\"}\n",
        "{\"a\":[}\n",
        "{\"a\":1.}\n",
        "{\"a\":01}\n",
        "{\"a\":1e999}\n",
        "{\"a\":é}\n",
        "{\"s\\u0061\":\"x\"}\n",
        "{\"t\":\"2026-02-30T08:00:00Z\"}\n",
        "[]\n",
        "{\"a\":[\n]}\n",
    ] {
        assert_eq!(short(line), None, "{line}");
    }
    let deep = format!("{{\"a\":{}0{}}}\n", "[".repeat(64), "]".repeat(64));
    assert_eq!(short(&deep), None);
    let long = format!("{{\"{}\":0}}\n", "k".repeat(LONGEST_KEY));
    assert_eq!(short(&long), None);
    let wide = format!("{{{}\"a\":0}}\n", "\"a\":0,".repeat(MOST_KEYS));
    assert_eq!(short(&wide), None);
    assert!(shape.steps.len() <= MOST_KEYS);
}
