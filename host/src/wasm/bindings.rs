//! The WIT package as Rust types. Lists of a batch are borrowed on the way in, so that they are copied once, from
//! Arrow's buffers into the guest's memory.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "plugin",
    ownership: Borrowing { duplicate_if_necessary: true },
});
