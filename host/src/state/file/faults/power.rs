//! The power goes, or the process is killed, at every operation.

use std::sync::Mutex;

use super::{
    dice::{Dice, mix},
    disk::{Fault, SimDisk},
    each,
    pipeline::{Starts, Told, Undisturbed},
    times,
};

/// Enough for a snapshot of the state, an epoch without rows, and several of the others.
const EPOCHS: u64 = 8;

/// How many operations the first start takes, and a little more.
const START: usize = 100;

/// How many pipelines an ordinary run of the tests sees through. Each loses its power once or more, at its end at the latest.
const RUNS: usize = 3000;

/// A machine that loses its power keeps what was synced, and of the rest whatever it likes: some writes and not others,
/// halves of them, names without their files' contents, files without their names. Whatever that is, the next start must
/// find the last epoch that was acknowledged or the one in flight, with its whole state and output, and go on to the same
/// end. The next start may fare no better, and a kill may come before a power loss: then what a start has found and acted
/// upon was not durable when the process before was gone.
#[test]
fn power_loss_at_every_operation() {
    let undisturbed = Undisturbed::run(EPOCHS);
    let operations = undisturbed.operations as usize;
    let starts = Mutex::new(Starts::default());
    each(times(RUNS), |number| {
        let mut dice = Dice::new(number as u64);
        let mut disk = SimDisk::new();
        let mut told = Told::default();
        let mut story = format!("run {number}");
        // Every operation in turn, and those of a start as often as all others together: each of them happens only once.
        let mut at = (number / 2 % if number % 2 == 0 { operations } else { START }) as u64;
        loop {
            disk.fail(at, Fault::Killed);
            let ended = undisturbed.go_on(&disk, &mut told, &story);
            if !disk.heal() {
                ended.unwrap_or_else(|error| panic!("{story}: {error}"));
                break;
            }
            story += &format!(", killed at operation {at}");
            let power_lost = dice.coin();
            if power_lost {
                disk = disk.after_power_loss(dice.roll());
                story += " with a power loss";
            }
            at = match dice.below(4) {
                0 => dice.below(START) as u64,
                1 => dice.below(operations) as u64,
                // What a kill has left undone shows at the next power loss.
                _ if !power_lost => dice.below(operations) as u64,
                _ => u64::MAX / 2,
            };
        }
        undisturbed.check_end(&disk, mix(number as u64), &story);
        *starts.lock().expect("a run that fails has said why") += told.starts;
    });
    let starts = starts.into_inner().expect("no run has failed");
    let least = times(RUNS) / 20;
    assert!(starts.fresh > least && starts.rerun > least && starts.suppressed > least, "hardly ever: {starts:?}");
}
