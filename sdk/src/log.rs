//! Lines for the host's log, which adds the plugin and the function: `log::info!("{} readings", rows.len())`.
//!
//! What a plugin prints arrives there too, but without a level.

pub use crate::bindings::tidemill::plugin::log::Level;
#[doc(inline)]
pub use crate::{__debug as debug, __error as error, __info as info, __trace as trace, __warn as warn};

/// Writes a line.
pub fn write(level: Level, message: &str) {
    crate::imports::write_log(level, message);
}

/// Writes a line for finding faults in detail.
#[doc(hidden)]
#[macro_export]
macro_rules! __trace {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Trace, &::std::format!($($message)+)) };
}

/// Writes a line for finding faults.
#[doc(hidden)]
#[macro_export]
macro_rules! __debug {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($message)+)) };
}

/// Writes a line worth knowing.
#[doc(hidden)]
#[macro_export]
macro_rules! __info {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($message)+)) };
}

/// Writes a line about something that is not as it should be.
#[doc(hidden)]
#[macro_export]
macro_rules! __warn {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Warn, &::std::format!($($message)+)) };
}

/// Writes a line about something that failed.
#[doc(hidden)]
#[macro_export]
macro_rules! __error {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($message)+)) };
}
