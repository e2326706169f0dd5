//! What the pipeline of these tests reads, and what it makes of it.
//!
//! Its input lies on the real disk, a file for each epoch, and nothing happens to it.

use std::{
    fmt::Write as _,
    fs::{self, File},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tempfile::TempDir;

use super::dice::mix;
use crate::{
    manifest,
    ports::{LoadError, Plugin, PluginLoader},
    runtime::{Prepared, Preparer},
};

/// Windows that the watermark closes, and sums over the last two epochs: every row shows in the output of both, and
/// state that was lost, doubled or from another epoch shows too. Some keys are long, so that the state of a bucket is
/// many pages, and is written anew from time to time.
const MANIFEST: &str = r#"
name = "counts"
trigger = "available-now"
workers = 1

[watermarks]
after_restart = "remember"

[sources.lines]
type = "files"
path = "in"
format = "json"
schema = { ts = "timestamp", word = "utf8", note = "utf8", value = "int64" }
watermark = { on = "ts", delay = "15s" }
max_files_per_trigger = 1

[transforms.windows]
inputs = ["lines"]
group_by = ["word", "note"]
window = { on = "ts", size = "20s" }
aggregates = { rows = "count(*)", sum = "sum(value)" }
select = ["window_start", "word", "rows", "sum"]

[transforms.recent]
inputs = ["lines"]
group_by = ["word"]
over = { batches = 2 }
aggregates = { rows = "count(*)", sum = "sum(value)" }

[sinks.windows_kept]
inputs = ["windows"]
type = "files"
path = "/data/windows"
format = "json"

[sinks.recent_kept]
inputs = ["recent"]
type = "files"
path = "/data/recent"
format = "json"
"#;

/// A folder with the input, and the pipeline that reads it.
pub(super) struct Input {
    /// It is there as long as this is.
    _folder: TempDir,
    wanted: Prepared,
}

impl Input {
    /// Of so many files. Some have no rows.
    pub(super) fn new(files: u64) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a temporary folder");
        let lines = folder.path().join("in");
        fs::create_dir(&lines).expect("the folder is new");
        for number in 0..files {
            let path = lines.join(format!("{number:03}.jsonl"));
            fs::write(&path, text(number)).expect("there is room for a few rows");
            let file = File::options().append(true).open(&path).expect("it has just been written");
            // Files are read in the order of their times.
            let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + number);
            file.set_modified(modified).expect("the file is ours");
        }
        let manifest = manifest::parse(MANIFEST, "counts.toml", folder.path()).expect("the manifest is right");
        let wanted = Preparer { loader: &NoPlugins, report: &mut |_| () }.prepare(manifest).expect("the pipeline fits");
        Input { _folder: folder, wanted }
    }

    /// The pipeline, ready for a start.
    pub(super) fn wanted(&self) -> Prepared {
        let Prepared { manifest, digest, plugins, plan } = &self.wanted;
        Prepared { manifest: manifest.clone(), digest: *digest, plugins: plugins.clone(), plan: plan.clone() }
    }
}

/// The rows of a file.
fn text(file: u64) -> String {
    let mut text = String::new();
    let rows = if file % 6 == 4 { 0 } else { 2 + mix(file) % 5 };
    for row in 0..rows {
        let number = file * 100 + row;
        let word = format!("word-{}", mix(number) % 12);
        let length = if word.ends_with('7') { 9000 } else { word.len() };
        let note: String = word.chars().cycle().take(length).collect();
        // A little disorder, which the watermark allows for.
        let ts = 1_800_000_000 + file * 10 + mix(number + 1) % 20;
        writeln!(text, r#"{{"ts":{ts},"word":"{word}","note":"{note}","value":{number}}}"#).expect("text grows");
    }
    text
}

/// The pipeline has none.
struct NoPlugins;

impl PluginLoader for NoPlugins {
    fn load(&self, origin: &str, _: &[u8]) -> Result<Arc<dyn Plugin>, LoadError> {
        Err(LoadError(format!("{origin} was not expected")))
    }
}
