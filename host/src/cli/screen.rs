//! Standard error: log lines, notices and one live line share it without running into each other.
//!
//! What cannot be written there is given up: there is nowhere left to say so.

use std::{
    env,
    io::{self, IsTerminal, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Back to the first column, and away with what stands there.
const ERASE: &str = "\r\x1b[2K";

/// The live line on the screen; empty when there is none. Like standard error itself there is one for the process.
static LIVE: Mutex<String> = Mutex::new(String::new());

/// Writes lines above the live one.
pub(super) fn line(text: &str) {
    write(format!("{text}\n").as_bytes());
}

/// Puts a line in the place of the last live one, cut to the width of the terminal. Only for a terminal.
pub(super) fn live(text: &str) {
    let width = rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
    let width = if width == 0 { 80 } else { width };
    let mut live = lock();
    // One column stays free: a full line would wrap on some terminals, and could not be erased any more.
    *live = text.chars().take(width - 1).collect();
    let _ = io::stderr().write_all(format!("{ERASE}{live}").as_bytes());
}

/// Lets the live line stand as it is: what follows comes below it.
pub(super) fn keep_live() {
    let mut live = lock();
    if !live.is_empty() {
        live.clear();
        let _ = io::stderr().write_all(b"\n");
    }
}

fn write(bytes: &[u8]) {
    let live = lock();
    let mut all = Vec::with_capacity(bytes.len() + live.len() + 8);
    if !live.is_empty() {
        all.extend_from_slice(ERASE.as_bytes());
    }
    all.extend_from_slice(bytes);
    all.extend_from_slice(live.as_bytes());
    // In one piece, so that lines of several processes do not mix.
    let _ = io::stderr().write_all(&all);
}

/// A line is whole at every instant, so a panic elsewhere does not spoil it.
fn lock() -> MutexGuard<'static, String> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text without control characters but line ends and tabs: what quotes a row, or repeats what a plugin says, must
/// not command the terminal.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => printable.push(character),
            control if control.is_control() => printable.extend(control.escape_default()),
            other => printable.push(other),
        }
    }
    printable
}

/// Whether a person may be looking.
pub(super) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether colours are wanted (https://no-color.org).
pub(super) fn coloured() -> bool {
    is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The text as errors are headed, where colours are wanted.
pub(super) fn bold_red(text: &str) -> String {
    if coloured() { format!("\x1b[1;31m{text}\x1b[0m") } else { text.to_owned() }
}

/// Where the log is written. Every write is whole lines.
pub(super) struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
