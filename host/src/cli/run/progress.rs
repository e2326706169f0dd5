//! What a run tells about itself: a live line for people, a JSON object per epoch for programs, and every swap.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    sync::Arc,
    time::Duration,
};

use clap::ValueEnum;

use crate::{
    cli::{
        failure::{Failure, Reason, print},
        screen,
    },
    model::{Digest, Epoch},
    ports::Clock,
    runtime::{Control, Observer, Prepared, Progress, RunError, SystemClock},
};

/// The live line is drawn this often at most: nobody reads faster, and small epochs would spend their time on it.
const REDRAW: Duration = Duration::from_millis(100);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Show {
    /// `line` on a terminal that shows no console sink, otherwise `none`
    Auto,
    /// On standard error: one line that is rewritten on a terminal, or else a line for each epoch
    Line,
    /// On standard output: a JSON object a line for each epoch; a console sink prints there as well
    Json,
    /// Not at all
    None,
}

impl Show {
    /// What `auto` stands for here. The tables of a console sink are progress enough, and a line would get between
    /// them.
    pub(super) fn settle(self, prints: bool) -> Self {
        match self {
            Show::Auto if screen::is_terminal() && !(prints && io::stdout().is_terminal()) => Show::Line,
            Show::Auto => Show::None,
            other => other,
        }
    }
}

/// Tells what a pipeline does.
pub(super) struct Reporter {
    show: Show,
    clock: Arc<SystemClock>,
    control: Arc<Control>,
    /// The manifest and each plugin as they run.
    running: Modules,
    /// The newest line, and when a line was last drawn.
    newest: String,
    drawn: Option<Duration>,
    failed: Option<Failure>,
}

/// What a pipeline is made of, by name.
type Modules = BTreeMap<String, Digest>;

impl Reporter {
    pub(super) fn new(show: Show, prepared: &Prepared, clock: Arc<SystemClock>, control: Arc<Control>) -> Self {
        let running = modules(prepared);
        Reporter { show, clock, control, running, newest: String::new(), drawn: None, failed: None }
    }

    /// Leaves the newest line on the screen. An error is one of writing progress.
    pub(super) fn finish(self) -> Result<(), Failure> {
        if self.show == Show::Line && screen::is_terminal() && !self.newest.is_empty() {
            screen::live(&self.newest);
        }
        screen::keep_live();
        self.failed.map_or(Ok(()), Err)
    }

    fn draw(&mut self, progress: &Progress) {
        self.newest = line(progress);
        if !screen::is_terminal() {
            return screen::line(&self.newest);
        }
        let now = self.clock.elapsed();
        if self.drawn.is_none_or(|last| now - last >= REDRAW) {
            self.drawn = Some(now);
            screen::live(&self.newest);
        }
    }
}

impl Observer for Reporter {
    fn progress(&mut self, progress: &Progress) {
        match self.show {
            Show::Line => self.draw(progress),
            Show::Json => {
                let json = serde_json::to_string(progress).expect("text and numbers can be written as JSON");
                if let Err(failure) = print(json + "\n") {
                    // Without a reader of what it was to report, the pipeline has no one to run for.
                    self.failed = Some(failure);
                    self.control.stop();
                }
            }
            Show::Auto | Show::None => {}
        }
    }

    fn swapped(&mut self, prepared: &Prepared, from: Epoch) {
        let before = std::mem::replace(&mut self.running, modules(prepared));
        screen::line(&match changes(&before, &self.running) {
            changes if changes.is_empty() => "nothing has changed".to_owned(),
            changes => format!("swapped before epoch {from}: {}", changes.join(", ")),
        });
    }

    fn refused(&mut self, error: &RunError, next: Epoch) {
        let reason = Reason::Text(error.to_string()).shown();
        screen::line(&format!("refused, epoch {next} runs with what ran before:\n{reason}"));
    }
}

fn modules(prepared: &Prepared) -> Modules {
    let plugins = prepared.manifest.plugins.iter().map(|spec| spec.name.value.clone());
    let plugins = plugins.zip(prepared.plugins.iter().map(|plugin| plugin.digest()));
    plugins.chain([("the manifest".to_owned(), prepared.digest)]).collect()
}

fn changes(before: &Modules, after: &Modules) -> Vec<String> {
    let change = |(name, new): (&String, &Digest)| match before.get(name) {
        Some(old) if old == new => None,
        Some(old) => Some(format!("{name} ({} -> {})", old.short(), new.short())),
        None => Some(format!("{name} (new, {})", new.short())),
    };
    after.iter().filter_map(change).collect()
}

fn line(progress: &Progress) -> String {
    let keys: u64 = progress.state_operators.iter().map(|state| state.num_rows_total).sum();
    let mut line = format!(
        "epoch {}: {} rows, {} rows/s",
        progress.batch_id,
        grouped(progress.num_input_rows),
        grouped(progress.processed_rows_per_second as u64)
    );
    if !progress.state_operators.is_empty() {
        line += &format!(", {} keys", grouped(keys));
    }
    if progress.num_dead_letters > 0 {
        line += &format!(", {} set aside", grouped(progress.num_dead_letters));
    }
    line + &format!(", {:.0} ms", progress.duration_ms.trigger_execution)
}

/// `1,234,567`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seven digits in a row are not read but counted.
    #[test]
    fn thousands_are_set_apart() {
        let shown = [0, 999, 1_000, 12_345, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    /// A swap names what is different, and nothing that is not.
    #[test]
    fn a_swap_names_what_changed() {
        let module = |name: &str, bytes: &str| (name.to_owned(), Digest::of(bytes.as_bytes()));
        let before = Modules::from([module("words", "one"), module("stop", "same")]);
        let after = Modules::from([module("words", "two"), module("stop", "same"), module("new", "three")]);
        let short = |bytes: &str| Digest::of(bytes.as_bytes()).short();
        let expected =
            [format!("new (new, {})", short("three")), format!("words ({} -> {})", short("one"), short("two"))];
        assert_eq!(changes(&before, &after), expected);
        assert!(changes(&after, &after).is_empty());
    }
}
