//! Manifests that are right, what overrides do, and the golden files of those that are wrong.
//!
//! A wrong manifest is `tests/ui/NAME.toml` with `NAME.stderr` beside it, the whole text of the error. Lines of the
//! form `# --set key=value` at its head are applied. `TIDEMILL_BLESS=1 cargo test` writes the texts anew: read them
//! aloud.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use super::*;
use crate::model::{DataType, nearest};

const BASE: &str = "/pipelines";

fn read(text: &str) -> Manifest {
    parse(text, "pipeline.toml", Path::new(BASE)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn read_set(text: &str, overrides: &[&str]) -> Result<Manifest, Diagnostics> {
    let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().expect("key=value")).collect();
    parse_with(text, "pipeline.toml", Path::new(BASE), &overrides)
}

/// A wrong manifest must tell its author what to do next, so the whole text of each error is kept and read.
#[test]
fn wrong_manifests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manifest/tests/ui");
    let bless = std::env::var_os("TIDEMILL_BLESS").is_some();
    let mut differences = String::new();
    let mut cases = 0;
    for entry in fs::read_dir(&folder).expect("the folder of golden files") {
        let path = entry.expect("a golden file").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        cases += 1;
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a golden file");
        let overrides: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# --set ")).collect();
        let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().expect("key=value")).collect();
        let actual = match parse_with(&text, &name, Path::new(BASE), &overrides) {
            Ok(_) => "this manifest is right\n".to_owned(),
            Err(problems) => format!("{problems}\n"),
        };
        let golden = path.with_extension("stderr");
        if bless {
            fs::write(&golden, &actual).expect("writing a golden file");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if actual != expected {
            write!(differences, "{name} expected:\n{expected}\n{name} got:\n{actual}\n").expect("writing to a string");
        }
        assert!(!actual.starts_with("this manifest is right"), "{name} is right and belongs elsewhere");
    }
    assert!(cases > 0, "no golden files in {}", folder.display());
    assert!(differences.is_empty(), "{differences}");
}

/// The smallest pipeline there is: what is not said has the defaults that the reference promises.
#[test]
fn defaults() {
    let manifest = read(
        r#"
        name = "small"
        [sources.lines]
        type = "socket"
        address = "localhost:9999"
        [sinks.out]
        inputs = ["lines", "dead_letters"]
        type = "console"
        "#,
    );
    assert_eq!(manifest.name, "small");
    assert_eq!(manifest.trigger, Trigger::Continuous);
    assert_eq!((manifest.workers, &manifest.checkpoint), (None, &None));
    assert_eq!(manifest.bad_rows, BadRows::SetAside);
    assert_eq!(manifest.limits, Limits { call_timeout: Duration::from_secs(10), memory: 256 << 20, state: 2 << 30 });
    assert!(manifest.plugins.is_empty() && manifest.transforms.is_empty());
    let socket =
        SocketSource { address: "localhost:9999".to_owned(), max_line_bytes: 16 << 20, buffer_bytes: 64 << 20 };
    assert_eq!(manifest.sources[0].connector, SourceConnector::Socket(socket));
    assert_eq!(manifest.sinks[0].connector, SinkConnector::Console(ConsoleSink { rows: 20, truncate: Some(20) }));
    assert_eq!(manifest.sinks[0].mode, None);
    assert!(manifest.diagnostics().is_empty());
}

/// Every key once, so that none is read under another's name.
#[test]
fn every_key() {
    let manifest = read(
        r#"
        name = "everything"
        trigger = { every = "5s" }
        workers = 4
        checkpoint = "state"
        bad_rows = "stop"

        [limits]
        call_timeout = "500ms"
        memory = "64MB"

        [plugins.words]
        crate = "../plugins/words"
        [plugins.pinned]
        path = "/opt/pinned.wasm"
        sha256 = "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"

        [sources.lines]
        type = "socket"
        address = "[::1]:9999"
        max_line_bytes = 4096
        buffer_bytes = "1MiB"
        [sources.logs]
        type = "files"
        path = "logs/*.json"
        format = "json"
        schema = { when = "timestamp", level = "utf8", "a b" = "int32" }
        max_files_per_trigger = 3
        max_bytes_per_trigger = "10MB"
        latest_first = true
        max_file_age = "1h"
        max_line_bytes = "1kB"
        [sources.texts]
        type = "files"
        path = "/var/log"
        [sources.ticks]
        type = "rate"
        rows_per_second = 1_000
        rows = 0x10

        [transforms.tokens]
        inputs = ["lines", "texts"]
        where = "value <> ''"
        call = "words.tokenize"
        config = { lower = true, weights = [1, 2.5], since = 2024-01-01 }
        columns = { line = "value", also = "upper(value)" }
        keep = ["value"]
        select = ["word", "upper(word) as upper"]
        [transforms.counts]
        inputs = ["tokens"]
        group_by = ["word"]
        aggregates = { z = "count(*)", a = "max(upper)" }
        [transforms.sums]
        inputs = ["tokens.rest"]
        group_by = []
        reduce = "pinned.add"
        over = "batch"

        [sinks.table]
        inputs = ["counts"]
        type = "memory"
        mode = "complete"
        max_rows = 10
        [sinks.wide]
        inputs = ["ticks"]
        type = "console"
        rows = 5
        truncate = false
        [sinks.csv]
        inputs = ["sums", "logs"]
        type = "files"
        path = "out"
        format = "csv"
        "#,
    );
    let base = |path: &str| Path::new(BASE).join(path);
    assert_eq!(manifest.trigger, Trigger::Every(Duration::from_secs(5)));
    assert_eq!((manifest.workers, manifest.bad_rows), (Some(4), BadRows::Stop));
    assert_eq!(manifest.checkpoint, Some(base("state")));
    assert_eq!(
        manifest.limits,
        Limits { call_timeout: Duration::from_millis(500), memory: 64_000_000, state: 2 << 30 }
    );

    let [words, pinned] = &manifest.plugins[..] else { panic!("two plugins") };
    assert_eq!(words.origin.value, PluginOrigin::Crate(base("../plugins/words")));
    assert_eq!(pinned.origin.value, PluginOrigin::Path("/opt/pinned.wasm".into()));
    assert_eq!(pinned.sha256.as_ref().map(|sha256| &sha256.value[..16]), Some("0123456789abcdef"), "in lower case");

    let connectors: Vec<_> = manifest.sources.iter().map(|source| &source.connector).collect();
    let lines = SocketSource { address: "[::1]:9999".to_owned(), max_line_bytes: 4096, buffer_bytes: 1 << 20 };
    assert_eq!(connectors[0], &SourceConnector::Socket(lines));
    let columns = [("when", DataType::Timestamp), ("level", DataType::Utf8), ("a b", DataType::Int32)];
    let logs = FilesSource {
        path: base("logs/*.json"),
        format: FileFormat::Json { schema: columns.map(|(name, data_type)| (name.to_owned(), data_type)).to_vec() },
        max_files_per_trigger: Some(3),
        max_bytes_per_trigger: Some(10_000_000),
        latest_first: true,
        max_file_age: Duration::from_secs(3_600),
        max_line_bytes: 1_000,
    };
    assert_eq!(connectors[1], &SourceConnector::Files(logs));
    let texts = FilesSource {
        path: "/var/log".into(),
        format: FileFormat::Text,
        max_files_per_trigger: None,
        max_bytes_per_trigger: None,
        latest_first: false,
        max_file_age: Duration::from_secs(7 * 86_400),
        max_line_bytes: 16 << 20,
    };
    assert_eq!(connectors[2], &SourceConnector::Files(texts));
    assert_eq!(connectors[3], &SourceConnector::Rate(RateSource { rows_per_second: 1_000, rows: Some(16) }));

    let [tokens, counts, sums] = &manifest.transforms[..] else { panic!("three transforms") };
    let inputs: Vec<String> = tokens.inputs.iter().map(|input| input.value.to_string()).collect();
    assert_eq!(inputs, ["lines", "texts"]);
    assert_eq!(tokens.filter.as_ref().map(|filter| &*filter.value), Some("value <> ''"));
    let Some(Operation::Call(call)) = &tokens.operation else { panic!("a call") };
    assert_eq!(call.function.value.to_string(), "words.tokenize");
    let config = serde_json::json!({ "lower": true, "weights": [1, 2.5], "since": "2024-01-01" });
    assert_eq!(call.config.as_ref().map(|config| &config.value), Some(&config));
    let columns: Vec<_> = call.columns.iter().map(|(name, from)| (&*name.value, &*from.value)).collect();
    assert_eq!(columns, [("line", "value"), ("also", "upper(value)")]);
    assert_eq!(call.keep[0].value, "value");
    let select: Vec<_> = tokens.select.iter().flatten().map(|column| &*column.value).collect();
    assert_eq!(select, ["word", "upper(word) as upper"]);

    let Some(Operation::Group(group)) = &counts.operation else { panic!("a group") };
    assert_eq!((group.by[0].value.as_str(), &group.extent), ("word", &Extent::All));
    let Aggregate::Sql(aggregates) = &group.aggregate else { panic!("aggregates") };
    let aggregates: Vec<_> = aggregates.iter().map(|(name, sql)| (&*name.value, &*sql.value)).collect();
    assert_eq!(aggregates, [("z", "count(*)"), ("a", "max(upper)")], "in the order of the file");
    let Some(Operation::Group(group)) = &sums.operation else { panic!("a group") };
    assert_eq!((group.by.len(), &group.extent), (0, &Extent::Batch));
    let Aggregate::Reduce(reduce) = &group.aggregate else { panic!("a reducer") };
    assert_eq!(reduce.function.value.to_string(), "pinned.add");
    assert_eq!(sums.inputs[0].value.outlet.as_deref(), Some("rest"));

    let connectors: Vec<_> = manifest.sinks.iter().map(|sink| &sink.connector).collect();
    assert_eq!(connectors[0], &SinkConnector::Memory(MemorySink { max_rows: 10 }));
    assert_eq!(connectors[1], &SinkConnector::Console(ConsoleSink { rows: 5, truncate: None }));
    assert_eq!(connectors[2], &SinkConnector::Files(FilesSink { path: base("out"), format: OutputFormat::Csv }));
    assert_eq!(manifest.sinks[0].mode.as_ref().map(|mode| mode.value), Some(OutputMode::Complete));

    let json = serde_json::to_string(&manifest).expect("a manifest serialises");
    assert!(json.contains(r#""call":{"function":{"plugin":"words","function":"tokenize"}"#), "{json}");
    assert!(!json.contains("span") && !json.contains("[plugins.words]"), "places and text are not part of it: {json}");
}

/// A transform may stand before its inputs in the file; the plan wants it after them, and otherwise nothing moved.
#[test]
fn transforms_come_after_their_inputs() {
    let manifest = read(
        r#"
        name = "order"
        [sources.s]
        type = "rate"
        [transforms.last]
        inputs = ["middle", "free"]
        [transforms.free]
        inputs = ["s"]
        [transforms.middle]
        inputs = ["first"]
        [transforms.first]
        inputs = ["s"]
        [sinks.out]
        inputs = ["last"]
        type = "console"
        "#,
    );
    let names: Vec<&str> = manifest.transforms.iter().map(|transform| transform.name.value.as_str()).collect();
    assert_eq!(names, ["free", "first", "middle", "last"]);
}

/// One of the two limits of a socket alone must not clash with the default of the other.
#[test]
fn a_socket_buffer_always_holds_a_line() {
    let socket = |settings: &str| {
        let manifest = read(&SMALL.replace("[sinks.out]", &format!("{settings}\n[sinks.out]")));
        let SourceConnector::Socket(socket) = &manifest.sources[0].connector else { panic!("a socket") };
        (socket.max_line_bytes, socket.buffer_bytes)
    };
    assert_eq!(socket("max_line_bytes = \"128MiB\""), (128 << 20, 128 << 20));
    assert_eq!(socket("buffer_bytes = \"1MiB\""), (1 << 20, 1 << 20));
}

const SMALL: &str = r#"
name = "small"
trigger = "once"
[sources.lines]
type = "socket"
address = "localhost:9999"
[sinks.out]
inputs = ["lines"]
type = "console"
"#;

/// `--set` changes what is there, adds what is not, and takes a value that is no TOML for a string.
#[test]
fn overrides_change_and_add() {
    let manifest = read_set(
        SMALL,
        &[
            "trigger.every=5s",
            "workers = 2",
            "limits.memory=64MB",
            "sources.lines.address=127.0.0.1:9998",
            "sinks.out.rows=3",
            "sinks.out.rows=4",
            "sinks.more={ type = \"memory\", inputs = [\"lines\"] }",
        ],
    );
    let manifest = manifest.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(manifest.trigger, Trigger::Every(Duration::from_secs(5)));
    assert_eq!((manifest.workers, manifest.limits.memory), (Some(2), 64_000_000));
    let SourceConnector::Socket(socket) = &manifest.sources[0].connector else { panic!("a socket") };
    assert_eq!(socket.address, "127.0.0.1:9998");
    assert_eq!(manifest.sinks[0].connector, SinkConnector::Console(ConsoleSink { rows: 4, truncate: Some(20) }));
    assert_eq!(manifest.sinks[1].name.value.as_str(), "more");
}

/// A check made after parsing still finds the place of a value that came from the command line.
#[test]
fn later_checks_name_the_command_line_too() {
    let manifest =
        read_set(SMALL, &["workers=2", "sinks.out.mode=complete"]).unwrap_or_else(|problems| panic!("{problems}"));
    let mode = manifest.sinks[0].mode.as_ref().expect("it was set");
    let mut problems = manifest.diagnostics();
    problems.push(
        Diagnostic::error("no aggregate to show completely")
            .at(mode.span.clone(), "this mode")
            .also(manifest.sinks[0].inputs[0].span.clone(), "plain rows")
            .help("use \"append\""),
    );
    let expected = "\
error: no aggregate to show completely
 --> command line:1:22
  |
  | --set sinks.out.mode=complete
  |                      ^^^^^^^^ this mode
  |
 ::: pipeline.toml:8:11
  |
8 | inputs = [\"lines\"]
  |           ------- plain rows
  |
  = help: use \"append\"";
    assert_eq!(problems.to_string(), expected);
    assert!(problems.styled().contains("\u{1b}["));
    assert_eq!(problems.clone().into_result(()), Err(problems));
}

/// What cannot be a setting is refused by the option itself, before any file is read.
#[test]
fn overrides_must_be_key_and_value() {
    for wrong in ["", "trigger", "=once", "a..b=1", "a b=1", "#a=1"] {
        assert!(wrong.parse::<Override>().is_err(), "{wrong:?} was taken for key=value");
    }
}

/// A misspelt key is reported instead of the missing one it was meant to be. That only works while no key that is right
/// could be taken for a misspelling of one that must be there.
#[test]
fn keys_that_must_be_there_are_unlike_all_others() {
    let sections = [
        ("name", "trigger workers checkpoint bad_rows limits plugins sources transforms sinks"),
        ("every", ""),
        ("crate path", "sha256"),
        ("type address", "max_line_bytes buffer_bytes watermark"),
        (
            "type path schema",
            "format max_files_per_trigger max_bytes_per_trigger latest_first max_file_age max_line_bytes watermark",
        ),
        ("type", "rows_per_second rows watermark"),
        ("inputs group_by aggregates reduce call", "where over config columns keep select window session watermark"),
        ("inputs type path format", "mode rows truncate max_rows"),
    ];
    for (required, optional) in sections {
        for key in required.split_whitespace() {
            let others = required.split_whitespace().chain(optional.split_whitespace()).filter(|other| *other != key);
            for other in others {
                assert_eq!(nearest(other, [key]), None, "`{other}` would be taken for `{key}`");
            }
        }
    }
}

/// Editors of some systems put a byte order mark in front and carriage returns at the ends of lines.
#[test]
fn files_of_other_systems() {
    let text = format!("\u{feff}{}", SMALL.replace('\n', "\r\n"));
    assert_eq!(read(&text).sources[0].connector, read(SMALL).sources[0].connector);
    let wrong = parse(&text.replace("console", "consol"), "pipeline.toml", Path::new(BASE)).expect_err("no such type");
    assert!(wrong.to_string().contains("9 | type = \"consol\"\n  |        ^^^^^^^^ did you mean"), "{wrong}");
}

/// Whatever a file holds, the answer is a manifest or faults that can be shown: tried with every prefix of a manifest
/// and with each of its characters left out.
#[test]
fn broken_text_never_panics() {
    let text = SMALL.replace("localhost", "höst");
    for (at, c) in text.char_indices() {
        let without = format!("{}{}", &text[..at], &text[at + c.len_utf8()..]);
        for broken in [&text[..at], &without] {
            if let Err(problems) = parse(broken, "pipeline.toml", Path::new(BASE)) {
                assert!(problems.to_string().starts_with("error: "), "{problems}");
            }
        }
    }
}

/// What `explain` prints of a trigger can be put back into a manifest.
#[test]
fn durations_are_written_as_they_are_read() {
    for text in ["500ms", "5s", "90s", "10m", "1h", "2d", "1500ms"] {
        let duration = parse_duration(text).expect("it is one");
        let written = serde_json::to_value(Trigger::Every(duration)).expect("text can be written");
        assert_eq!(written, serde_json::json!({ "every": text }));
    }
}
