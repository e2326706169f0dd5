//! A disk that is full, or fails, at every operation.

use super::{
    dice::mix,
    disk::{Fault, SimDisk},
    each,
    pipeline::Undisturbed,
    times,
    witness::Witness,
};

/// With an epoch for each of them there are 20, and some more that close what is open.
const FILES: u64 = 20;

const FAULTS: [Fault; 4] = [Fault::Full, Fault::Broken, Fault::Error, Fault::Short];

/// Storage that fails must not cost a row. Whichever operation it is, the pipeline goes on as if nothing had happened,
/// or stops with an error that names the file and says what to do; and once that is done, it ends as it would have. The
/// epoch loop aborts its sinks on the way out, with the same disk.
#[test]
fn failing_storage_at_every_operation() {
    let undisturbed = Undisturbed::run(FILES);
    let runs = undisturbed.operations as usize * FAULTS.len();
    println!("{} epochs, {} operations on the disk", undisturbed.epochs(), undisturbed.operations);
    assert!(undisturbed.epochs() >= 20);
    each(times(1) * runs, |number| {
        let (at, fault) =
            ((number / FAULTS.len() % undisturbed.operations as usize) as u64, FAULTS[number % FAULTS.len()]);
        let mut disk = SimDisk::new();
        let witness = Witness::default();
        let mut story = format!("{fault:?} at operation {at}");
        disk.fail(at, fault);
        let ended = undisturbed.go_on(&disk, &witness, true, &story);
        assert!(disk.heal() || fault == Fault::Full, "{story}: it never came to that");
        if let Err(error) = ended {
            check_words(&error, &story);
            // A start comes later; the power may have gone in the meantime.
            if mix(number as u64).is_multiple_of(2) {
                disk = disk.after_power_loss(number as u64);
                story += " with a power loss";
            }
            let ended = undisturbed.go_on(&disk, &witness, number % 3 > 0, &story);
            ended.unwrap_or_else(|error| panic!("{story}: {error}"));
        }
        undisturbed.check_end(&disk, number as u64, &story);
    });
}

/// The error names the file or folder, what is wrong with it, and what to do; and does not send anybody to a savepoint
/// for want of some room.
fn check_words(error: &str, story: &str) {
    let named = ["`/pipelines/counts/checkpoint.redb`", "`/data/windows", "`/data/recent"];
    assert!(named.iter().any(|name| error.contains(name)), "{story}: the file is not named: {error}");
    assert!(
        error.contains("start again") || error.contains("start the pipeline again"),
        "{story}: no next step: {error}"
    );
    for wrong in ["damaged", "another pipeline", "another writer", "in use", "savepoint"] {
        assert!(!error.contains(wrong), "{story}: misleading: {error}");
    }
}
