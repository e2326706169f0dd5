//! Exactly once, through SIGKILL at every point of an epoch and at random instants, during recovery too.
//!
//! A case is a folder in `cases`: a pipeline, and what is said of its input. Files come one an epoch, so epochs are the
//! same in every run, and nothing in the output depends on the clock. A run that nothing disturbs is the reference;
//! others are killed, started and killed again until they have come to the end, with another number of workers each
//! time; on the way they may move to a checkpoint that begins with a savepoint, or get parts with other names. Then
//! everything in the folders of the sinks must be the same, byte for byte, and the state row by row; and so it must be
//! after one more file, with which all that is open is closed.
//!
//! `TIDEMILL_CRASHES=1000` makes it 1,000 kills, `TIDEMILL_CRASH_SEED` other ones.

mod case;
mod dice;
mod history;
mod input;
mod kill;
mod output;

use std::{env, sync::Mutex, thread};

use case::{Case, cases};
use dice::Dice;
use history::{Killer, Tally};
use kill::Point;

/// How often a run of all tests kills.
const KILLS: u64 = 50;

/// From so many on, each case sees each point.
const MANY: u64 = 1_000;

/// A pipeline that is killed, wherever and however often, comes out as one that never was.
#[test]
fn killed_pipelines_come_out_as_undisturbed_ones() {
    let wanted = number("TIDEMILL_CRASHES").unwrap_or(KILLS);
    let seed = number("TIDEMILL_CRASH_SEED").unwrap_or(1);
    println!("{wanted} kills, TIDEMILL_CRASH_SEED={seed}");
    let cases = cases();
    let mut total = Tally::default();
    let mut faults = Vec::new();
    for (case, result) in kill_all(&cases, wanted, seed) {
        match result {
            Ok(tally) => {
                let missed = |point: &Point| tally.at[*point as usize] == 0 && case.comes_to(*point);
                if let Some(point) = Point::ALL.into_iter().find(missed).filter(|_| wanted >= MANY) {
                    faults.push(format!("{} was never killed at `{}`", case.name, point.name()));
                }
                total.add(&tally);
            }
            Err(error) => faults.push(format!("{}, TIDEMILL_CRASH_SEED={seed}: {error}", case.name)),
        }
    }
    println!("{total}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(total.kills, wanted);
    assert_eq!(total.at.iter().sum::<u64>() + total.anywhere, wanted);
    let ordinary = total.at.iter().chain([&total.restored, &total.renamed]);
    assert!(
        wanted < KILLS || ordinary.into_iter().all(|&kills| kills > 0),
        "a point, or a kind of start, was never hit"
    );
    // What a sink does to commit has no named points: random instants must meet it.
    let met = [total.again, total.temporary, total.uncommitted, total.apart];
    assert!(wanted < MANY || met.iter().all(|&kills| kills > 0), "not everything was met");
}

/// Kills each case its share, several at a time.
fn kill_all(cases: &[Case], wanted: u64, seed: u64) -> Vec<(&Case, Result<Tally, String>)> {
    let (each, rest) = (wanted / cases.len() as u64, wanted % cases.len() as u64);
    let queue = Mutex::new((0..).zip(cases));
    let work = || {
        let mut done = Vec::new();
        loop {
            let job = queue.lock().expect("nobody panics with it").next();
            let Some((at, case)) = job else { return done };
            done.push((case, kill_often(case, each + u64::from(at < rest), seed, at.wrapping_add(seed))));
        }
    };
    // Most of the time a run waits for the disk.
    let workers = 2 * thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("it says what is wrong and does not panic"))
            .collect()
    })
}

/// Kills a case so often, in as many histories as it takes.
fn kill_often(case: &Case, kills: u64, seed: u64, first: u64) -> Result<Tally, String> {
    let reference = case.reference().map_err(|error| format!("undisturbed, {error}"))?;
    let dice = Dice::new(seed, &case.name);
    let first = (first % Point::ALL.len() as u64) as usize;
    let mut killer = Killer { case, reference: &reference, dice, wanted: kills, first, tally: Tally::default() };
    while killer.tally.kills < kills {
        killer.go_through()?;
    }
    Ok(killer.tally)
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is `{value}`, which is no number")))
}
