//! What the host offers a plugin while it runs. In a native build, which is a test, `testing` stands in for the host.

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::tidemill::plugin::{
    context::{batch_time, epoch, random},
    log::write as write_log,
    outlets::write as write_outlet,
};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::world::{batch_time, epoch, random, write_log, write_outlet};
