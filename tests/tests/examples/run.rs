//! Running an example with the binary, and reading what it shows and writes.

use std::{
    collections::BTreeMap,
    fmt::Display,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

/// How long a pipeline may show nothing. The first of them builds its plugin with all that it depends on, which takes
/// minutes on a small machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// A pipeline of `guest-examples`, run as it is, with its checkpoint and its outputs in a folder of their own.
pub(crate) struct Example {
    manifest: PathBuf,
    settings: Vec<String>,
    folder: TempDir,
}

impl Example {
    /// The pipeline in this file.
    pub(crate) fn new(manifest: &str) -> Self {
        let folder = TempDir::new().expect("a folder can be made");
        Example { manifest: examples().join(manifest), settings: Vec::new(), folder }
    }

    /// Sets a value of the manifest.
    pub(crate) fn set(mut self, key: &str, value: impl Display) -> Self {
        self.settings.push(format!("{key}={value}"));
        self
    }

    /// Sets a path of the manifest to one in the example's own folder.
    pub(crate) fn set_path(self, key: &str, name: &str) -> Self {
        let path = self.path(name);
        self.set(key, path.display())
    }

    /// A path in the example's own folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs it until it ends by itself: the tables it has shown.
    pub(crate) fn run(&self) -> Vec<Table> {
        self.start().finish()
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Running {
        let errors = self.path("stderr");
        let mut command = Command::new(tidemill_tests::binary());
        command.arg("run").arg(&self.manifest).arg("--checkpoint").arg(self.path("checkpoint"));
        command.args(self.settings.iter().flat_map(|setting| ["--set", setting]));
        command.stdout(Stdio::piped()).stderr(File::create(&errors).expect("a file can be made"));
        let mut process = command.spawn().expect("the binary is there");
        let stdout = BufReader::new(process.stdout.take().expect("standard output is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            // Whoever no longer listens has failed for another reason.
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Running { process, lines, errors }
    }
}

/// A pipeline under way. Dropping it ends it.
pub(crate) struct Running {
    process: Child,
    lines: Receiver<String>,
    errors: PathBuf,
}

impl Running {
    /// The next table it shows; none once it has ended.
    pub(crate) fn next_table(&self) -> Option<Table> {
        let line = || match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("nothing came for {PATIENCE:?}:\n{}", self.errors()),
        };
        let lines: Vec<String> = std::iter::from_fn(line).take_while(|line| !line.is_empty()).collect();
        (!lines.is_empty()).then(|| Table::of(&lines))
    }

    /// Presses Ctrl-C: the tables it still shows.
    pub(crate) fn interrupt(self) -> Vec<Table> {
        let status = Command::new("kill").arg("-INT").arg(self.process.id().to_string()).status();
        assert!(status.expect("kill is there").success());
        self.finish()
    }

    /// Waits for the end, which must be a good one: the tables it still shows.
    fn finish(mut self) -> Vec<Table> {
        let tables = std::iter::from_fn(|| self.next_table()).collect();
        let status = self.process.wait().expect("the process is ours");
        assert!(status.success(), "{status}:\n{}", self.errors());
        tables
    }

    fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a console sink shows of one epoch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) batch: u64,
    /// Column name to value.
    pub(crate) rows: Vec<BTreeMap<String, String>>,
}

impl Table {
    fn of(lines: &[String]) -> Self {
        let batch = lines.iter().find_map(|line| line.strip_prefix("Batch: "));
        let mut rows = lines.iter().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
        let cells = |row: &str| row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let names = cells(rows.next().expect("a table has a head"));
        Table {
            batch: batch.expect("a table has a number").parse().expect("it is a number"),
            rows: rows.map(|row| names.iter().cloned().zip(cells(row)).collect()).collect(),
        }
    }

    /// The numbers of one column by the text of another.
    pub(crate) fn by(&self, key: &str, value: &str) -> BTreeMap<String, u64> {
        let pair = |row: &BTreeMap<String, String>| (row[key].clone(), row[value].parse().expect("a whole number"));
        let pairs: BTreeMap<_, _> = self.rows.iter().map(pair).collect();
        assert_eq!(pairs.len(), self.rows.len(), "{key} stands in one row each: {self:?}");
        pairs
    }
}

/// The rows that a files sink has written as JSON lines, file by file.
pub(crate) fn written(folder: &Path) -> Vec<Vec<Value>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the sink has made its folder")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    files.iter().map(|file| json_lines(file)).collect()
}

/// The rows of a file of JSON lines.
pub(crate) fn json_lines(file: &Path) -> Vec<Value> {
    text(file).lines().map(|line| serde_json::from_str(line).expect("a JSON value a line")).collect()
}

/// What is in a file.
pub(crate) fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The folder of the examples.
pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-examples").canonicalize().expect("the examples are there")
}
