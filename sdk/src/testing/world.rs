//! The host that functions see in a native build: one for each thread, so that tests do not meet.

use std::cell::RefCell;

use crate::{log::Level, wire::Batch};

/// What the functions of this thread see of a host, and what they have done to it.
pub(crate) struct World {
    pub(crate) epoch: u64,
    pub(crate) batch_time: i64,
    pub(crate) random: u64,
    pub(crate) log: Vec<(Level, String)>,
    pub(crate) written: Vec<(String, Batch)>,
}

thread_local! {
    static WORLD: RefCell<World> = const {
        RefCell::new(World { epoch: 0, batch_time: 0, random: 0, log: Vec::new(), written: Vec::new() })
    };
}

/// Looks at the world of this thread, or changes it.
pub(crate) fn with<T>(look: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(look)
}

pub(crate) fn epoch() -> u64 {
    with(|world| world.epoch)
}

pub(crate) fn batch_time() -> i64 {
    with(|world| world.batch_time)
}

/// SplitMix64: any generator would do that gives the same numbers for the same seed.
pub(crate) fn random() -> u64 {
    let state = with(|world| {
        world.random = world.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        world.random
    });
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Lines are kept for [`logged`](super::logged), and shown by a test that fails.
pub(crate) fn write_log(level: Level, message: &str) {
    println!("{level:?} {message}");
    with(|world| world.log.push((level, message.to_owned())));
}

pub(crate) fn write_outlet(outlet: &str, rows: &Batch) -> Result<(), String> {
    with(|world| world.written.push((outlet.to_owned(), rows.clone())));
    Ok(())
}
