//! A process under test. No wait for it is longer than [`PATIENCE`], and it does not outlive its test.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything here takes on a slow machine; a process that hangs fails its test.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that was started and not yet waited for.
pub struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

/// How a process has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; none when a signal has ended it.
    pub code: Option<i32>,
    /// The lines of standard output that were not taken before.
    pub stdout: Vec<String>,
    /// The lines of standard error that were not taken before.
    pub stderr: Vec<String>,
}

impl Running {
    /// Starts a process.
    ///
    /// Its standard output is read only as far as the test takes lines, so that a test can hold up a process that
    /// writes more than a pipe takes.
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let (to_stdout, stdout) = mpsc::sync_channel(0);
        let (to_stderr, stderr) = mpsc::channel();
        let out = child.stdout.take().expect("standard output is piped");
        let err = child.stderr.take().expect("standard error is piped");
        thread::spawn(move || each_line(out, |line| to_stdout.send(line).is_ok()));
        thread::spawn(move || each_line(err, |line| to_stderr.send(line).is_ok()));
        Running { child, stdout, stderr }
    }

    /// The next line of standard output; none when it has ended.
    pub fn stdout_line(&mut self) -> Option<String> {
        next(&self.stdout, &mut self.child)
    }

    /// The next line of standard error; none when it has ended.
    pub fn stderr_line(&mut self) -> Option<String> {
        next(&self.stderr, &mut self.child)
    }

    /// The next line of standard error; none when it has ended. Until it comes, lines of standard output are taken, so
    /// that the process is not held up.
    pub fn stderr_line_beside(&mut self, mut stdout_line: impl FnMut(&str)) -> Option<String> {
        const GLANCE: Duration = Duration::from_millis(10);
        for _ in 0..PATIENCE.as_millis() / GLANCE.as_millis() {
            self.stdout.try_iter().for_each(|line| stdout_line(&line));
            match self.stderr.recv_timeout(GLANCE) {
                Err(RecvTimeoutError::Timeout) => {}
                line => return line.ok(),
            }
        }
        panic!("the process has said nothing on standard error for {PATIENCE:?}");
    }

    /// Reads standard error until a line holds this.
    pub fn wait_for_message(&mut self, text: &str) {
        while let Some(line) = self.stderr_line() {
            if line.contains(text) {
                return;
            }
        }
        panic!("it has ended and never said {text:?}");
    }

    /// Closes the reading end of standard output, as `head` does when it has seen enough.
    pub fn close_stdout(&mut self) {
        self.stdout = mpsc::sync_channel(0).1;
    }

    /// Sends what Ctrl-C sends.
    pub fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it has not been waited for, so it is there");
    }

    /// The most memory it has had so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux has /proc");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a process has a peak");
        peak.trim().trim_end_matches(" kB").parse::<u64>().expect("it is a number of kilobytes") << 10
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Finished {
        let stdout = std::iter::from_fn(|| self.stdout_line()).collect();
        let stderr = std::iter::from_fn(|| self.stderr_line()).collect();
        let status = self.child.wait().expect("it was started here");
        Finished { code: status.code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended in most cases, and then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// The same, which has gone well.
    #[track_caller]
    pub fn fine(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr());
        self
    }

    /// It has ended with this code and said all of this.
    #[track_caller]
    pub fn refused(&self, code: i32, words: &[&str]) {
        let error = self.stderr();
        assert_eq!(self.code, Some(code), "{error}");
        words.iter().for_each(|word| assert!(error.contains(word), "`{word}` is not in: {error}"));
    }

    /// All of standard output.
    pub fn stdout(&self) -> String {
        self.stdout.join("\n")
    }

    /// All of standard error.
    pub fn stderr(&self) -> String {
        self.stderr.join("\n")
    }
}

fn each_line(source: impl Read, mut take: impl FnMut(String) -> bool) {
    for line in BufReader::new(source).split(b'\n') {
        // A pipe whose other end is killed may end with an error.
        let Ok(line) = line else { return };
        if !take(String::from_utf8_lossy(&line).into_owned()) {
            return;
        }
    }
}

fn next(lines: &Receiver<String>, child: &mut Child) -> Option<String> {
    match lines.recv_timeout(PATIENCE) {
        Ok(line) => Some(line),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => {
            let _ = child.kill();
            panic!("the process has said nothing for {PATIENCE:?}, and has not ended");
        }
    }
}
