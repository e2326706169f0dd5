//! Where a process is killed, and the process that is.

use std::{
    fmt,
    io::Read,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Longer than a run takes on a slow machine; one that hangs fails its test.
const PATIENCE: Duration = Duration::from_secs(120);

/// SIGKILL.
const KILL: i32 = 9;

/// What makes the process kill itself: see `crash_point` in the host.
const VARIABLE: &str = "TIDEMILL_CRASH_AT";

/// A named point of an epoch, in the order in which an epoch comes to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    RecoveredSinks,
    RerunPlanned,
    EpochPlanned,
    RowsRead,
    BeforeSinkCommit,
    BetweenSinkCommits,
    SinkCommitted,
    StateCommitted,
    Acknowledged,
}

impl Point {
    pub(crate) const ALL: [Point; 9] = [
        Point::RecoveredSinks,
        Point::RerunPlanned,
        Point::EpochPlanned,
        Point::RowsRead,
        Point::BeforeSinkCommit,
        Point::BetweenSinkCommits,
        Point::SinkCommitted,
        Point::StateCommitted,
        Point::Acknowledged,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Point::RecoveredSinks => "recovered-sinks",
            Point::RerunPlanned => "rerun-planned",
            Point::EpochPlanned => "epoch-planned",
            Point::RowsRead => "rows-read",
            Point::BeforeSinkCommit => "before-sink-commit",
            Point::BetweenSinkCommits => "between-sink-commits",
            Point::SinkCommitted => "sink-committed",
            Point::StateCommitted => "state-committed",
            Point::Acknowledged => "acknowledged",
        }
    }
}

/// Where a process is killed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kill {
    /// When this epoch comes to this point.
    At(Point, u64),
    /// So long after its start, wherever it is then.
    After(Duration),
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kill::At(point, epoch) => write!(f, "{}:{epoch}", point.name()),
            Kill::After(instant) => write!(f, "{instant:?}"),
        }
    }
}

/// How a process has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It had nothing left to do.
    Finished,
    /// By SIGKILL.
    Killed,
}

/// Runs a process to its end or until it is killed. Returns how it ended and what it wrote to standard output; an error
/// is what it said if it ended in another way.
pub(crate) fn run(command: &mut Command, kill: Option<Kill>) -> Result<(End, String), String> {
    command.env_remove(VARIABLE).stdout(Stdio::piped()).stderr(Stdio::piped());
    let instant = match kill {
        Some(Kill::After(instant)) => Some(instant),
        Some(at) => {
            command.env(VARIABLE, at.to_string());
            None
        }
        None => None,
    };
    let mut child = command.spawn().map_err(|error| format!("{command:?} does not start: {error}"))?;
    let (out, err) = (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
    let stdout = thread::spawn(move || text(out));
    let (ended, end) = mpsc::channel();
    // Standard error is open as long as the process is there.
    thread::spawn(move || ended.send(text(err)));
    let mut stderr = end.recv_timeout(instant.unwrap_or(PATIENCE));
    let hangs = stderr.is_err() && instant.is_none();
    if stderr.is_err() {
        child.kill().expect("it was started here");
        stderr = end.recv_timeout(PATIENCE);
    }
    let status = child.wait().expect("it was started here");
    let (stdout, stderr) = (stdout.join().expect("reading does not panic"), stderr.unwrap_or_default());
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok((End::Finished, stdout)),
        (_, Some(KILL)) if !hangs => Ok((End::Killed, stdout)),
        (_, Some(KILL)) => Err(format!("it has not ended within {PATIENCE:?}, and has said: {stderr}")),
        _ => Err(format!("it ended with {status}, and said: {stderr}")),
    }
}

fn text(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    // A pipe whose other end is killed may end with an error; what came before it counts.
    let _ = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
