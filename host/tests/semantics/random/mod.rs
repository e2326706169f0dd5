//! Pipelines and inputs made at random, run by the host in two ways and compared with the model, epoch by epoch.
//!
//! The environment variable `TIDEMILL_RANDOM` says how many are tried, and `TIDEMILL_RANDOM_SEED` the first seed. What
//! fails is made smaller and printed as a file of `cases/`.

mod generate;
mod numbers;
mod script;
mod shrink;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use self::{
    numbers::Numbers,
    script::{Script, Setting},
};
use crate::{harness, plugins::Plugins, store::MemoryStore};

/// How many seeds are tried when nothing else is said: some seconds.
const USUAL: u64 = 1_000;

/// A script, and two ways to run it that must make no difference.
#[derive(Debug, Clone, PartialEq)]
struct Trial {
    script: Script,
    plain: Setting,
    other: Setting,
}

/// Tries seeds, on all cores. The first one that fails is shrunk and printed.
pub(crate) fn run_many() {
    let number = |name: &str, default: u64| {
        env::var(name)
            .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
    };
    let (first, count) = (number("TIDEMILL_RANDOM_SEED", 1), number("TIDEMILL_RANDOM", USUAL));
    let (next, failed, failure) = (AtomicU64::new(first), AtomicBool::new(false), Mutex::new(None));
    let work = || {
        let plugins = Plugins::new();
        while !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            let trial = trial(seed);
            if attempt(seed, &trial, &plugins).is_err() && !failed.swap(true, Ordering::Relaxed) {
                let smaller = shrink::shrink(trial, |trial| attempt(seed, trial, &plugins).is_err());
                let difference = attempt(seed, &smaller, &plugins).expect_err("what is shrunk still fails");
                *failure.lock().expect("nobody panics with it") = Some((seed, difference));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    if let Some((seed, difference)) = failure.into_inner().expect("nobody panicked with it") {
        panic!("seed {seed} (TIDEMILL_RANDOM_SEED={seed} TIDEMILL_RANDOM=1):\n{difference}");
    }
}

fn trial(seed: u64) -> Trial {
    let numbers = &mut Numbers::new(seed);
    let mut script = generate::script(numbers);
    script.mend();
    let plain = Setting { workers: vec![1], resident: None, on_disk: numbers.percent(3), restarts: Vec::new() };
    let restarts = if script.restarts_change_nothing() { numbers.pick(&[0, 30, 100]) } else { 0 };
    let other = Setting {
        workers: (0..5).map(|_| 1 + numbers.below(5)).collect(),
        resident: numbers.pick(&[None, Some(0), Some(0), Some(2_000), Some(16 << 20)]),
        on_disk: numbers.percent(6),
        restarts: (0..script.steps.len()).filter(|_| numbers.percent(restarts)).collect(),
    };
    Trial { script, plain, other }
}

/// Runs a script in both ways. The error says what came instead of what, and how to see it again.
fn attempt(seed: u64, trial: &Trial, plugins: &Plugins) -> Result<(), String> {
    let run = |setting: &Setting| {
        let case = trial.script.case(format!("seed {seed}"), setting);
        let store = (!setting.on_disk).then(MemoryStore::default);
        let ran = catch_unwind(AssertUnwindSafe(|| harness::run(&case, plugins, store)));
        let ran = ran.unwrap_or_else(|panic| Err(format!("it panicked: {}", message(panic.as_ref()))));
        ran.map_err(|difference| format!("{difference}\n{}", script::text(&case)))
    };
    let (plain, other) = (run(&trial.plain)?, run(&trial.other)?);
    match plain.iter().zip(&other).position(|(plain, other)| plain != other) {
        None => Ok(()),
        Some(epoch) => Err(format!(
            "the rows of the epoch at {epoch} come in another order:\n  {:?}\n  {:?}\nwith {:?}\nthan with {:?}\n{}",
            plain[epoch],
            other[epoch],
            trial.plain,
            trial.other,
            script::text(&trial.script.case(format!("seed {seed}"), &trial.other))
        )),
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}
