//! The SDK's text helpers compared with the standard library, here where they use the vector instructions of
//! WebAssembly.

use tidemill_sdk::text::{find, lower_ascii, parse_i64, split, words};

#[path = "../../../../sdk/src/text/promises.rs"]
pub(crate) mod promises;
