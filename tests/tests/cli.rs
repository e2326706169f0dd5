//! The command line as users meet it: help, exit codes, errors, and how a run starts, reports, stops and goes on.

use std::fs;

use serde_json::Value;
use tidemill_tests::{Folder, Running, repository, tidemill};

/// Rows without end, counted into memory: nothing on standard output but what the command line itself puts there.
const RATE: &str = r#"
name = "rate"
trigger = { every = "50ms" }

[sources.numbers]
type = "rate"
rows_per_second = 1000

[transforms.counts]
inputs = ["numbers"]
group_by = ["value % 3 as rest"]
aggregates = { count = "count(*)" }

[sinks.table]
inputs = ["counts"]
type = "memory"
"#;

/// The lines of a folder's files, copied into files.
const COPY: &str = r#"
name = "copy"
trigger = "available-now"

[sources.lines]
type = "files"
path = "in"

[sinks.copies]
inputs = ["lines"]
type = "files"
path = "out"
format = "text"
"#;

/// The same, printed.
fn printed() -> Folder {
    Folder::with(&COPY.replace("type = \"files\"\npath = \"out\"\nformat = \"text\"", "type = \"console\""))
}

/// One epoch with more rows than fit into a pipe, all printed.
fn long_table() -> Folder {
    let folder = Folder::with(
        r#"
name = "table"
trigger = "once"

[sources.lines]
type = "files"
path = "in"

[sinks.table]
inputs = ["lines"]
type = "console"
rows = 20000
"#,
    );
    let lines: Vec<String> = (0..20_000).map(|line| format!("line {line}")).collect();
    folder.write("in/lines.txt", lines.join("\n"));
    folder
}

fn progress(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn offset(progress: &Value, which: &str) -> u64 {
    progress["sources"][0][which].as_u64().expect("the source has read something, and a rate source counts")
}

/// Help is on standard output and ends well, because it was asked for; every command shows how it is used, and exit
/// codes are where a script's author looks for them.
#[test]
fn help_is_complete() {
    let help = Running::start(&mut tidemill(["--help"])).finish();
    assert_eq!(help.code, Some(0));
    for expected in ["Exit codes:", "130", "TIDEMILL_LOG"] {
        assert!(help.stdout().contains(expected), "{}", help.stdout());
    }
    let commands = ["new", "build", "inspect", "test", "validate", "explain", "run", "savepoint", "verify", "state"];
    for command in commands {
        assert!(help.stdout().contains(&format!("\n  {command} ")), "{}", help.stdout());
        let help = Running::start(&mut tidemill([command, "--help"])).finish();
        assert_eq!(help.code, Some(0), "{command}");
        assert!(
            help.stdout().contains("Example:\n  ") && help.stdout().contains(&format!("tidemill {command} ")),
            "{command}"
        );
    }
    let version = Running::start(&mut tidemill(["-V"])).finish();
    assert_eq!((version.code, version.stdout()), (Some(0), format!("tidemill {}", env!("CARGO_PKG_VERSION"))));
}

/// A command line that makes no sense is told apart from a pipeline that fails: nothing has run.
#[test]
fn a_wrong_command_line_exits_with_2() {
    let folder = Folder::with(RATE);
    let wrong: [(&[&str], &str); 8] = [
        (&[], "Usage:"),
        (&["sail"], "unrecognized subcommand 'sail'"),
        (&["run"], "PIPELINE.toml"),
        (&["run", "pipeline.toml", "--timeout", "30"], "\"500ms\", \"5s\""),
        (&["run", "pipeline.toml", "--workers", "0"], "1..=1024"),
        (&["run", "pipeline.toml", "--set", "trigger"], "`trigger` is not key=value"),
        (&["run", "elsewhere.toml"], "the manifest cannot be read"),
        (&["inspect", "pipeline.toml"], "pipeline.toml is not a WebAssembly component"),
    ];
    for (arguments, expected) in wrong {
        let finished = folder.call(arguments);
        assert_eq!(finished.code, Some(2), "{arguments:?}: {}", finished.stderr());
        assert!(finished.stderr().contains(expected), "{arguments:?}: {}", finished.stderr());
        assert!(finished.stdout.is_empty(), "{arguments:?}: {}", finished.stdout());
    }
}

/// A filter for the log that is none must not be taken for "log nothing".
#[test]
fn a_wrong_log_filter_is_refused() {
    let folder = Folder::with(RATE);
    let mut command = folder.command(["validate", "pipeline.toml"]);
    let finished = Running::start(command.env("TIDEMILL_LOG", "=loud=")).finish();
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr().contains("TIDEMILL_LOG is `=loud=`"), "{}", finished.stderr());
}

/// What is wrong is shown at its place, plainly where no terminal is; what is right is one line that says so.
#[test]
fn validate_tells_right_from_wrong() {
    let folder = Folder::with(RATE);
    let right = folder.call(["validate", "pipeline.toml"]);
    assert_eq!((right.code, right.stderr()), (Some(0), String::new()));
    assert_eq!(right.stdout(), "pipeline.toml: ok (1 source, 1 transform, 1 sink, 0 plugins)");
    assert!(!folder.path(".tidemill").exists(), "validate must leave nothing behind");

    folder.write("wrong.toml", RATE.replace("count(*)", "count(nothing)").replace("trigger", "triger"));
    let wrong = folder.call(["validate", "wrong.toml"]);
    assert_eq!((wrong.code, wrong.stdout.len()), (Some(2), 0));
    let expected = "error: unknown key `triger`\n --> wrong.toml:3:1\n";
    assert!(
        wrong.stderr().contains(expected) && wrong.stderr().contains("did you mean `trigger`?"),
        "{}",
        wrong.stderr()
    );
    assert!(!wrong.stderr().contains('\x1b'), "{}", wrong.stderr());
}

/// The last word is the command line's, and it is checked like the file, with its own place in messages.
#[test]
fn set_changes_the_manifest() {
    let folder = Folder::with(RATE);
    let set = ["--set", "sources.numbers.rows_per_second=7", "--set", "trigger=once"];
    let explained = folder.call([&["explain", "pipeline.toml"], &set[..]].concat());
    assert_eq!(explained.code, Some(0), "{}", explained.stderr());
    assert!(explained.stdout().contains("rate 7 rows/s") && explained.stdout().contains("(trigger: once)"));

    let wrong = folder.call(["explain", "pipeline.toml", "--set", "sources.numbers.rows_per_sec=7"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr().contains("unknown key `rows_per_sec`") && wrong.stderr().contains("--> command line"));
}

/// Other programs read the plan: each part with its inputs and typed columns.
#[test]
fn explain_as_json() {
    let finished = Folder::with(RATE).call(["explain", "pipeline.toml", "--format", "json"]);
    let plan: Value = serde_json::from_str(&finished.stdout()).unwrap();
    assert_eq!(plan["name"], "rate");
    let parts: Vec<(&str, &str)> = plan["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| (part["kind"].as_str().unwrap(), part["name"].as_str().unwrap()))
        .collect();
    assert_eq!(parts, [("source", "numbers"), ("transform", "counts"), ("sink", "table")]);
    let columns = serde_json::json!([{"name": "rest", "data_type": "int64"}, {"name": "count", "data_type": "int64"}]);
    assert_eq!((&plan["parts"][1]["columns"], &plan["parts"][1]["inputs"][0]), (&columns, &Value::from("numbers")));
}

/// The smallest pipeline: lines in, a table out.
#[test]
fn a_run_prints_its_table() {
    let folder = printed();
    folder.write("in/a.txt", "high tide\nlow tide\n");
    let finished = folder.call(["run", "pipeline.toml"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr());
    for line in ["Batch: 0", "| high tide |", "| low tide  |"] {
        assert!(finished.stdout.iter().any(|printed| printed == line), "{}", finished.stdout());
    }
}

/// A second run goes on where the first has ended: every file is read once, and the checkpoint lies beside the
/// manifest.
#[test]
fn a_second_run_goes_on_from_the_checkpoint() {
    let folder = Folder::with(COPY);
    folder.write("in/a.txt", "one\ntwo\n");
    assert_eq!(folder.call(["run", "pipeline.toml"]).code, Some(0));
    folder.write("in/b.txt", "three\n");
    assert_eq!(folder.call(["run", "pipeline.toml"]).code, Some(0));
    assert_eq!(folder.output("out"), ["one", "two", "three"]);
    assert!(folder.path(".tidemill/copy").is_dir());
}

/// A checkpoint is a history: with the same one there is nothing new, with another the same files are read anew.
#[test]
fn the_checkpoint_can_be_elsewhere() {
    let folder = printed();
    folder.write("in/a.txt", "high tide\n");
    let batches = |checkpoint: &str| {
        let run = folder.call(["run", "pipeline.toml", "--checkpoint", checkpoint]);
        assert_eq!(run.code, Some(0), "{}", run.stderr());
        run.stdout.iter().filter(|line| line.starts_with("Batch: ")).count()
    };
    assert_eq!((batches("mine"), batches("mine"), batches("yours")), (1, 0, 1));
    assert!(folder.path("mine").is_dir() && !folder.path(".tidemill").exists());
}

/// One JSON object a line and nothing else, so that a program can read it; with the field names of Spark's reports.
#[test]
fn progress_as_json() {
    let finished = Folder::with(RATE).call(["run", "pipeline.toml", "--timeout", "1s", "--progress", "json"]);
    assert_eq!((finished.code, finished.stderr()), (Some(0), String::new()));
    assert!(!finished.stdout.is_empty());
    let mut end = 0;
    for (epoch, line) in finished.stdout.iter().enumerate() {
        let progress = progress(line);
        assert_eq!(progress["batchId"].as_u64(), Some(epoch as u64));
        assert_eq!(offset(&progress, "startOffset"), end);
        end = offset(&progress, "endOffset");
        assert_eq!(progress["numInputRows"].as_u64(), Some(end - offset(&progress, "startOffset")));
        assert!(progress["durationMs"]["triggerExecution"].as_f64().unwrap() > 0.0);
        assert_eq!(progress["stateOperators"][0]["operatorName"], "counts");
    }
}

/// Without a terminal there is no line to rewrite: each epoch has its own, and standard output stays the sinks'.
#[test]
fn progress_as_lines() {
    let finished = Folder::with(RATE).call(["run", "pipeline.toml", "--timeout", "1s", "--progress", "line"]);
    assert_eq!((finished.code, finished.stdout.len()), (Some(0), 0));
    assert!(
        finished.stderr[0].starts_with("epoch 0: ") && finished.stderr[0].contains(" keys, "),
        "{}",
        finished.stderr()
    );
    assert!(!finished.stderr().contains('\x1b'), "{}", finished.stderr());
}

/// The first Ctrl-C loses nothing: the epoch is finished and committed, and the next run starts exactly behind it.
#[test]
fn ctrl_c_finishes_the_epoch() {
    let folder = Folder::with(RATE);
    let run = ["run", "pipeline.toml", "--progress", "json"];
    let mut running = folder.start(run);
    let mut last = running.stdout_line().unwrap();
    running.interrupt();
    let finished = running.finish();
    assert_eq!((finished.code, finished.stderr().lines().count()), (Some(0), 1), "{}", finished.stderr());
    assert!(finished.stderr().starts_with("stopping after this epoch; press Ctrl-C again"), "{}", finished.stderr());
    if let Some(line) = finished.stdout.last() {
        last.clone_from(line);
    }

    let mut running = folder.start(run);
    let next = progress(&running.stdout_line().unwrap());
    running.interrupt();
    assert_eq!(running.finish().code, Some(0));
    let last = progress(&last);
    assert_eq!(next["batchId"].as_u64(), last["batchId"].as_u64().map(|epoch| epoch + 1));
    assert_eq!(offset(&next, "startOffset"), offset(&last, "endOffset"));
}

/// A pipeline that cannot finish its epoch, here because nobody reads what it prints, can still be left: by the second
/// Ctrl-C. The epoch was not committed, so the next run has it again.
#[test]
fn a_second_ctrl_c_leaves_at_once() {
    let folder = long_table();
    let mut running = folder.start(["run", "pipeline.toml"]);
    assert!(running.stdout_line().unwrap().starts_with("---"));
    running.interrupt();
    assert!(running.stderr_line().unwrap().starts_with("stopping after this epoch"));
    running.interrupt();
    assert_eq!(running.finish().code, Some(130));

    let again = folder.call(["run", "pipeline.toml"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr());
    assert!(again.stdout.iter().any(|line| line == "Batch: 0"));
    assert!(again.stdout.iter().any(|line| line == "| line 19999 |"));
}

/// `tidemill ... | head` has done what it should: no error, whether a sink, a report or a command was writing.
#[test]
fn a_closed_standard_output_ends_quietly() {
    let folder = long_table();
    folder.write("rate.toml", RATE);
    for arguments in
        [&["run", "pipeline.toml"][..], &["run", "rate.toml", "--progress", "json"], &["explain", "rate.toml"]]
    {
        let mut running = folder.start(arguments);
        running.stdout_line().unwrap();
        running.close_stdout();
        let finished = running.finish();
        assert_eq!((finished.code, finished.stderr()), (Some(0), String::new()), "{arguments:?}");
    }
}

/// What goes wrong while it runs is a failure, not a refusal, and names the place.
#[test]
fn a_failing_pipeline_exits_with_1() {
    let manifest = COPY.replace("path = \"in\"", "path = \"in\"\nformat = \"json\"\nschema = { level = \"int64\" }");
    let folder = Folder::with(&manifest.replace("format = \"text\"", "format = \"json\""));
    folder.write("in/a.jsonl", "{\"level\": 1}\n{\"level\": \"high\"}\n");
    let stopped = folder.call(["run", "pipeline.toml", "--set", "bad_rows=stop"]);
    assert_eq!(stopped.code, Some(1), "{}", stopped.stderr());
    assert!(
        stopped.stderr().starts_with("error: source `lines`: ") && stopped.stderr().contains("a.jsonl:2"),
        "{}",
        stopped.stderr()
    );

    // Set aside instead, it is in the log, and the rest arrives.
    let going_on = folder.call(["run", "pipeline.toml"]);
    assert_eq!(going_on.code, Some(0), "{}", going_on.stderr());
    let expected =
        ["WARN epoch 0 was under way and is run again with what has changed", "WARN row set aside in `lines`: "];
    assert!(expected.iter().all(|expected| going_on.stderr().contains(expected)), "{}", going_on.stderr());
    assert_eq!(folder.output("out"), ["{\"level\":1}"]);
}

/// From a crate to rows: it is built, tells what it is, and can be tried with rows from a shell before any pipeline
/// exists.
#[test]
fn a_plugin_is_built_inspected_and_tried() {
    let folder = Folder::with(RATE);
    let source = repository().join("guest-examples/word-count");
    let built = folder.call(["build", source.to_str().unwrap()]);
    assert_eq!(built.code, Some(0), "{}", built.stderr());
    let file = built.stdout[0].as_str();
    assert!(file.ends_with("word_count.wasm") && built.stdout().contains("tokenize (transform)"), "{}", built.stdout());

    let inspected: Value = serde_json::from_str(&folder.call(["inspect", file, "--format", "json"]).stdout()).unwrap();
    let function = &inspected["functions"][0];
    assert_eq!((&inspected["name"], &function["name"]), (&Value::from("word-count"), &Value::from("tokenize")));
    assert_eq!(function["input"][0], serde_json::json!({"name": "value", "data_type": "utf8", "nullable": false}));
    assert_eq!(inspected["sha256"].as_str().unwrap().len(), 64);

    folder.write("rows.jsonl", "{\"value\": \"high tide\"}\n{\"value\": 3}\n{\"value\": \"ebb\"}\n");
    let mut command = tidemill(["test", file, "tokenize"]);
    let tried = Running::start(command.stdin(fs::File::open(folder.path("rows.jsonl")).unwrap())).finish();
    assert_eq!(tried.stdout, ["{\"word\":\"high\"}", "{\"word\":\"tide\"}", "{\"word\":\"ebb\"}"]);
    assert!(tried.stderr().contains("standard input:2: "), "{}", tried.stderr());
    assert_eq!(tried.code, Some(1), "a row was refused");

    let unknown = folder.call(["test", file, "tokenise"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr().contains("it has: tokenize; did you mean `tokenize`?"), "{}", unknown.stderr());
}

/// Whichever command wanted to build a crate that does not build shows the compiler's words, and says whose crate it
/// is. It has failed if it was given the crate; a pipeline is refused for it, and nothing of it has run.
#[test]
fn a_crate_that_does_not_build() {
    let folder = Folder::with(
        r#"
name = "broken"
[plugins.broken]
crate = "crate"
[sources.lines]
type = "files"
path = "in"
[transforms.all]
inputs = ["lines"]
call = "broken.all"
[sinks.out]
inputs = ["all"]
type = "console"
"#,
    );
    folder.write(
        "crate/Cargo.toml",
        "[package]\nname = \"broken\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n[workspace]\n",
    );
    folder.write("crate/src/lib.rs", "pub fn all() -> u32 { \"all\" }\n");
    let commands: [(&[&str], i32); 5] = [
        (&["build", "crate"], 1),
        (&["inspect", "crate"], 1),
        (&["test", "crate", "all"], 1),
        (&["validate", "pipeline.toml"], 2),
        (&["run", "pipeline.toml"], 2),
    ];
    for (command, code) in commands {
        let failed = folder.call(command);
        assert_eq!((failed.code, failed.stdout.len()), (Some(code), 0), "{command:?}: {}", failed.stderr());
        assert!(failed.stderr().contains("error[E0308]: mismatched types"), "{command:?}: {}", failed.stderr());
        assert!(failed.stderr().contains("plugin crate `broken` in "), "{command:?}: {}", failed.stderr());
    }
    assert!(!folder.path(".tidemill").exists());
}

/// Two runs must not share a checkpoint: the second says so instead of waiting or doing harm.
#[test]
fn a_checkpoint_belongs_to_one_run_at_a_time() {
    let folder = Folder::with(RATE);
    let mut running = folder.start(["run", "pipeline.toml", "--progress", "json"]);
    running.stdout_line().unwrap();
    let second = folder.call(["run", "pipeline.toml"]);
    assert_eq!(second.code, Some(1));
    assert!(second.stderr().starts_with("error: checkpoint `.tidemill/rate/"), "{}", second.stderr());
    assert!(second.stderr().contains("is in use by another process"), "{}", second.stderr());
    running.interrupt();
    assert_eq!(running.finish().code, Some(0));
}

/// A component with one more custom section, which nobody reads: another module that does the same.
fn with_another_digest(module: &[u8]) -> Vec<u8> {
    let name = b"note";
    let length = u8::try_from(name.len()).expect("the name is short");
    [module, &[0, length + 1, length], name].concat()
}

/// A plugin changes under a running pipeline: a good one is swapped in between two epochs, one that is no plugin is
/// refused, a manifest that does not fit is refused, and meanwhile no row is lost or doubled.
#[test]
fn a_changed_plugin_is_swapped_between_two_epochs() {
    let folder = Folder::with(
        r#"
name = "swap"
trigger = { every = "50ms" }

[plugins.words]
path = "words.wasm"

[sources.numbers]
type = "rate"
rows_per_second = 1000

[transforms.lines]
inputs = ["numbers"]
select = ["cast(value as varchar) as value"]

[transforms.words]
inputs = ["lines"]
call = "words.tokenize"

[sinks.copies]
inputs = ["words"]
type = "files"
path = "out"
format = "text"
"#,
    );
    let source = repository().join("guest-examples/word-count");
    let built = folder.call(["build", source.to_str().unwrap()]);
    let old = fs::read(&built.stdout[0]).unwrap();
    // Moved into place, so that no half-written file is ever seen.
    let replace = |file: &str, content: &[u8]| {
        fs::write(folder.path("new"), content).unwrap();
        fs::rename(folder.path("new"), folder.path(file)).unwrap();
    };
    replace("words.wasm", &old);
    let mut running = folder.start(["run", "pipeline.toml", "--watch", "--progress", "json"]);
    let mut seen = Seen::default();
    seen.take(&running.stdout_line().unwrap());

    replace("words.wasm", &old[..old.len() / 2]);
    seen.until(&mut running, "refused, the pipeline runs on as it was:");
    seen.until(&mut running, "error: words.wasm is damaged or cut short");

    replace("words.wasm", &with_another_digest(&old));
    let swapped = seen.until(&mut running, "swapped before epoch ");
    let (epoch, change) = swapped["swapped before epoch ".len()..].split_once(": ").unwrap();
    let digests = change.strip_prefix("words (").and_then(|digests| digests.strip_suffix(')')).unwrap();
    let (before, after) = digests.split_once(" -> ").unwrap();

    let manifest = fs::read_to_string(folder.path("pipeline.toml")).unwrap();
    replace("pipeline.toml", manifest.replace("words.tokenize", "words.tokenise").as_bytes());
    seen.until(&mut running, "refused, the pipeline runs on as it was:");
    seen.until(&mut running, "error: plugin `words` has no function `tokenise`");

    seen.take(&running.stdout_line().unwrap());
    running.interrupt();
    let finished = running.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr());
    finished.stdout.iter().for_each(|line| seen.take(line));
    let swapped_at: usize = epoch.parse().unwrap();
    assert!((1..seen.modules.len()).contains(&swapped_at), "{swapped} of {} epochs", seen.modules.len());
    for (epoch, module) in seen.modules.iter().enumerate() {
        assert!(
            module.starts_with(if epoch < swapped_at { before } else { after }),
            "epoch {epoch}: {module}; {swapped}"
        );
    }
    let numbers: Vec<String> = (0..seen.offset).map(|number| number.to_string()).collect();
    assert!(folder.output("out") == numbers, "rows were lost, doubled or moved");
}

/// What the epochs of a run report. They must follow one another without a gap.
#[derive(Default)]
struct Seen {
    offset: u64,
    /// The module that each epoch ran with.
    modules: Vec<String>,
}

impl Seen {
    fn take(&mut self, line: &str) {
        let progress = progress(line);
        let expected = (Some(self.modules.len() as u64), self.offset);
        assert_eq!((progress["batchId"].as_u64(), offset(&progress, "startOffset")), expected);
        self.offset = offset(&progress, "endOffset");
        self.modules.push(progress["modules"]["words"].as_str().expect("the pipeline has this plugin").to_owned());
    }

    /// Takes what the run reports until standard error has a line that begins like this.
    fn until(&mut self, running: &mut Running, beginning: &str) -> String {
        loop {
            let line = running.stderr_line_beside(|line| self.take(line));
            let line = line.unwrap_or_else(|| panic!("it has ended without a line that begins with `{beginning}`"));
            if line.starts_with(beginning) {
                return line;
            }
        }
    }
}
