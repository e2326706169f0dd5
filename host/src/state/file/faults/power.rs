//! The power goes, or the process is killed, at every operation.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    dice::{Dice, mix},
    disk::{Fault, SimDisk},
    each,
    pipeline::Undisturbed,
    times,
    witness::{Starts, Witness},
};

/// Enough for state that is written anew, an epoch without rows, and several of the others.
const FILES: u64 = 8;

/// How many operations the first start takes, and a little more.
const START: usize = 150;

/// How many pipelines an ordinary run of the tests sees through. Each is killed once or more, most of them with the
/// power.
const RUNS: usize = 3000;

/// How many batches the sinks get in a run, or fewer.
const BATCHES: usize = 60;

/// A machine that loses its power keeps what was synced, and of the rest whatever it likes: some writes and not others,
/// halves of them, names without their files' contents, files without their names. Whatever that is, the next start
/// must find the last epoch that was acknowledged or the one in flight, with its whole state and the output of both
/// sinks, and go on to the same end. The next start may fare no better, and a kill may come before a power loss: then
/// what a start has found and acted upon was not durable when the process before was gone. An epoch may also be given
/// up because a sink refuses its rows: what it has written by then must not be there when the power goes after that.
#[test]
fn power_loss_at_every_operation() {
    let undisturbed = Undisturbed::run(FILES);
    let operations = undisturbed.operations as usize;
    let starts = Mutex::new(Starts::default());
    let images = AtomicUsize::new(0);
    each(times(RUNS), |number| {
        let mut dice = Dice::new(number as u64);
        let mut disk = SimDisk::new();
        let witness = Witness::default();
        let mut story = format!("run {number}");
        // Every operation in turn, and those of a start as often as all others together: each of them happens only
        // once.
        let mut at = (number / 2 % if number % 2 == 0 { operations } else { START }) as u64;
        loop {
            disk.fail(at, Fault::Killed);
            witness.told().refuse_after = (dice.below(5) == 0).then(|| dice.below(BATCHES) as u64);
            let ended = undisturbed.go_on(&disk, &witness, dice.coin(), &story);
            let refused = witness.told().refuse_after.take() == Some(0);
            match (disk.heal(), ended) {
                (true, _) => story += &format!(", killed at operation {at}"),
                (false, Err(_)) if refused => {
                    witness.told().starts.aborted += 1;
                    story += ", gave up an epoch";
                }
                (false, Ok(())) => break,
                (false, Err(error)) => panic!("{story}: {error}"),
            }
            let power_lost = dice.below(4) > 0;
            if power_lost {
                disk = disk.after_power_loss(dice.roll());
                images.fetch_add(1, Ordering::Relaxed);
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
        *starts.lock().expect("a run that fails has said why") += std::mem::take(&mut witness.told().starts);
    });
    let (starts, images) = (starts.into_inner().expect("no run has failed"), images.into_inner());
    println!("{images} images of a disk that lost its power, of {operations} operations; {starts:?}");
    assert!(images > times(RUNS), "only {images} power losses");
    let Starts { fresh, rerun, half, suppressed, ahead, aborted } = starts;
    let least = times(RUNS) / 20;
    for (often, what) in [
        (fresh, "with a new epoch"),
        (rerun, "with an epoch that no sink had"),
        (half, "with an epoch that one sink had"),
        (suppressed, "with an epoch that both sinks had"),
        (ahead, "with an epoch planned with a commit"),
        (aborted, "after an epoch that was given up"),
    ] {
        assert!(often > least, "hardly ever {what}: {often} starts");
    }
}
