//! Plugins on the command line: built, looked at, tried, and changed under a running pipeline.

use std::fs;

use serde_json::Value;
use tidemill_tests::{Folder, Running, repository, tidemill};

use crate::{RATE, offset, progress};

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
