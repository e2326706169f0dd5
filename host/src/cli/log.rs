//! The log: lines on standard error, `WARN words.tokenize: what it said`. No time stamps: whoever keeps a log
//! (journald, docker, a shell's pipe) adds them.

use std::{
    env,
    fmt::{self, Write as _},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::{failure::Failure, screen};

const VARIABLE: &str = "TIDEMILL_LOG";

/// The engine is a library that happens to log; asked for by name, it still does.
const QUIET: &str = "wasmtime=off,cranelift=off";

/// Starts logging as the environment says.
pub(super) fn start() -> Result<(), Failure> {
    let wanted = match env::var(VARIABLE) {
        Ok(wanted) if !wanted.trim().is_empty() => wanted,
        _ => "info".to_owned(),
    };
    let filter = EnvFilter::builder().parse(format!("{QUIET},{wanted}")).map_err(|error| {
        Failure::refused(format!(
            "{VARIABLE} is `{wanted}`, which is no filter ({error}); give it a level like `debug`, or `info,plugin=debug`"
        ))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(screen::coloured())
        .with_writer(|| screen::Log)
        .event_format(Lines)
        .init();
    Ok(())
}

struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        if out.has_ansi_escapes() {
            let colour = match level {
                Level::ERROR => 31,
                Level::WARN => 33,
                Level::INFO => 32,
                _ => 2,
            };
            write!(out, "\x1b[{colour}m{level}\x1b[0m ")?;
        } else {
            write!(out, "{level} ")?;
        }
        let mut parts = Parts::default();
        event.record(&mut parts);
        writeln!(out, "{}", parts.text())
    }
}

/// What an event says, and which function of which plugin said it.
#[derive(Default)]
struct Parts {
    plugin: String,
    function: String,
    message: String,
    others: String,
}

impl Parts {
    fn text(&self) -> String {
        let mut text = String::new();
        if !self.plugin.is_empty() {
            let dot = if self.function.is_empty() { "" } else { "." };
            text = screen::printable(&format!("{}{dot}{}: ", self.plugin, self.function));
        }
        // Further lines are set in, so that none passes for one of the host's.
        text + &screen::printable(&self.message).replace('\n', "\n    ") + &screen::printable(&self.others)
    }
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "plugin" => value.clone_into(&mut self.plugin),
            "function" => value.clone_into(&mut self.function),
            _ => self.record_debug(field, &format_args!("{value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line names who said it, and whatever it quotes stays within its line.
    #[test]
    fn lines_read_well_and_cannot_be_forged() {
        let parts = |plugin: &str, function: &str, message: &str| Parts {
            plugin: plugin.into(),
            function: function.into(),
            message: message.into(),
            others: String::new(),
        };
        assert_eq!(parts("words", "tokenize", "slow line").text(), "words.tokenize: slow line");
        assert_eq!(parts("words", "", "at load").text(), "words: at load");
        assert_eq!(parts("", "", "connected").text(), "connected");
        assert_eq!(parts("", "", "a\x1b[2Jb\r\nERROR c").text(), "a\\u{1b}[2Jb\\r\n    ERROR c");
    }
}
