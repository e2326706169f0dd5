//! Running cargo and rustup: in a clean environment, with what they say taken line by line and within bounds.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
};

/// A longer line is cut: only a macro gone wild prints one.
const LINE_BYTES: u64 = 1 << 20;
/// So much of what a tool says is kept. The first error is the one to read; what comes after it is mostly its echo.
const KEPT_BYTES: usize = 128 << 10;

/// What cargo sets for a program it runs (`cargo run`, `cargo test`), and flags meant for native code: a name, or the
/// beginning of one. A plugin's build that saw them would start from scratch, or would lose its own flags to them.
const NOT_FOR_PLUGINS: [&str; 10] = [
    "CARGO_BIN_",
    "CARGO_CRATE_NAME",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_FEATURE_",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_TARGET_TMPDIR",
    "OUT_DIR",
    "RUSTFLAGS",
];

/// The programs that build a plugin.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) cargo: OsString,
    pub(super) rustup: OsString,
    /// The folder that rustup installs into.
    pub(super) rustup_home: PathBuf,
}

impl Tools {
    /// The cargo that runs us, or else the first on the path; the rustup on the path.
    pub(super) fn found() -> Self {
        let named = env::var_os("RUSTUP_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        Tools {
            cargo: env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            rustup: "rustup".into(),
            rustup_home: named.or_else(|| Some(env::home_dir()?.join(".rustup"))).unwrap_or_default(),
        }
    }

    pub(super) fn cargo(&self, dir: &Path) -> Command {
        command(&self.cargo, dir)
    }

    /// rustup in the crate's folder, because that is where a `rust-toolchain.toml` takes effect.
    pub(super) fn rustup(&self, dir: &Path) -> Command {
        command(&self.rustup, dir)
    }

    /// Waits until nobody else changes what rustup has installed, and keeps others waiting until it is dropped.
    ///
    /// The folder itself is locked, so that nothing of ours is left in it, and those who share it share the lock,
    /// whatever else their environments say. None where it cannot be locked, as on some network file systems: then two
    /// that come at the same moment may still get in each other's way.
    pub(super) fn lock_rustup(&self) -> Option<File> {
        let folder = File::open(&self.rustup_home).ok()?;
        folder.lock().ok()?;
        Some(folder)
    }
}

fn command(program: &OsStr, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_not_for_plugins) {
            command.env_remove(name);
        }
    }
    command
}

fn is_not_for_plugins(name: &str) -> bool {
    NOT_FOR_PLUGINS.iter().any(|unwanted| name == *unwanted || (unwanted.ends_with('_') && name.starts_with(unwanted)))
}

/// How a tool ended and what it had to say.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: ExitStatus,
    /// Standard error, without the lines that only tell of progress.
    pub(super) messages: String,
}

/// Runs a tool. Every line of standard output goes to `output`, every line that tells of progress to `progress`.
pub(super) fn run(
    mut command: Command,
    mut output: impl FnMut(&str) + Send,
    progress: &mut dyn FnMut(&str),
) -> io::Result<Outcome> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().expect("standard output is piped");
    let stderr = child.stderr.take().expect("standard error is piped");
    let mut messages = Kept::default();
    thread::scope(|scope| {
        // Both at once: a tool whose other pipe is full would wait for ever.
        let reader = scope.spawn(move || lines(stdout, &mut output));
        lines(stderr, &mut |line| if is_progress(line) { progress(line.trim()) } else { messages.add(line) })?;
        reader.join().expect("taking a line does not panic")
    })?;
    Ok(Outcome { status: child.wait()?, messages: messages.text() })
}

fn lines(source: impl Read, take: &mut dyn FnMut(&str)) -> io::Result<()> {
    let mut source = BufReader::new(source);
    let mut line = Vec::new();
    while source.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line)? > 0 {
        take(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(())
}

/// Whether this is one of cargo's status lines: `   Compiling serde v1.0.0`, the verb ending in the twelfth column.
fn is_progress(line: &str) -> bool {
    line.split_at_checked(12).is_some_and(|(verb, rest)| {
        let verb = verb.trim_start();
        rest.starts_with(' ') && verb.starts_with(char::is_uppercase) && verb.chars().all(char::is_alphabetic)
    })
}

/// The head of a text of any length.
#[derive(Debug, Default)]
struct Kept {
    text: String,
    left_out: usize,
}

impl Kept {
    fn add(&mut self, line: &str) {
        if self.text.len() + line.len() < KEPT_BYTES {
            self.text.push_str(line);
            self.text.push('\n');
        } else {
            self.left_out += 1;
        }
    }

    fn text(mut self) -> String {
        if self.left_out > 0 {
            self.text.push_str(&format!("({} more lines)\n", self.left_out));
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What cargo gives the programs it runs must not reach a plugin's build; what a person has set up for cargo must.
    #[test]
    fn the_environment_of_a_build() {
        for unwanted in
            ["CARGO_MANIFEST_DIR", "CARGO_PKG_VERSION_MAJOR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "OUT_DIR"]
        {
            assert!(is_not_for_plugins(unwanted), "{unwanted}");
        }
        for wanted in
            ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_OFFLINE", "CARGO_TERM_COLOR", "PATH", "RUSTC_WRAPPER"]
        {
            assert!(!is_not_for_plugins(wanted), "{wanted}");
        }
    }

    /// Progress is for a moving line on a terminal; the code in a compile error must not be taken for it.
    #[test]
    fn progress_and_messages_are_told_apart() {
        assert!(is_progress("   Compiling serde v1.0.229"));
        assert!(is_progress("    Blocking waiting for file lock on build directory"));
        assert!(is_progress("    Finished `release` profile [optimized] target(s) in 1.26s"));
        for message in
            ["error: could not compile `words`", "  |", "12 |     let x = 1;", "", "     = note: the target", "   ü"]
        {
            assert!(!is_progress(message), "{message}");
        }
    }

    /// However much a tool says, only the head of it is kept in memory, and the reader is told.
    #[test]
    fn what_is_kept_is_bounded() {
        let mut script = Command::new("sh");
        script.args(["-c", "yes 'error: again' | head -n 100000 >&2; yes | head -n 10; exit 3"]);
        let mut output = 0;
        let outcome = run(script, |line| output += usize::from(line == "y"), &mut |_| {}).unwrap();
        assert_eq!((output, outcome.status.code()), (10, Some(3)));
        assert!(outcome.messages.len() < KEPT_BYTES + 100 && outcome.messages.starts_with("error: again\n"));
        assert!(outcome.messages.ends_with(" more lines)\n"));
    }
}
