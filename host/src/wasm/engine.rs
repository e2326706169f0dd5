//! The engine: how code is compiled, and where instances get their memory from.

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolConcurrencyLimitError, PoolingAllocationConfig,
};

use super::guest::{MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_TABLE_ENTRIES, MAX_TABLES};

/// So many memories of instances may be in use at a time. Each costs 4 GiB of address space, of which there are 128
/// TiB, and no memory before it is used. Enough for the 1,024 workers that a manifest may ask for, each with two
/// plugins, or for 64 with 32.
const MEMORIES: u32 = 2048;

/// And so many tables of functions, and modules that components are made of. What Rust builds has two tables at most,
/// in a few modules.
const TABLES: u32 = 2 * MEMORIES;
const CORE_INSTANCES: u32 = 8 * MEMORIES;

/// What a module may define of its own. A compiler's output has one of each.
const MAX_PER_MODULE: u32 = 8;

/// How large what the engine keeps of an instance may be, apart from its memory: some bytes for each global, import and
/// exported function.
const MAX_METADATA: usize = 16 << 20;

/// So much of an instance's memory stays for the next one. What a call with a batch of some thousands of rows uses
/// fits.
const KEPT_MEMORY: usize = 16 << 20;

/// And so much of a table: all of it, for most.
const KEPT_TABLE: usize = 64 << 10;

/// Starts the engine.
pub(super) fn start() -> wasmtime::Result<Engine> {
    let mut pooled = config();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    // A limit on address space, or a processor with little of it, leaves no room for a pool.
    Engine::new(&pooled).or_else(|error| {
        tracing::warn!("instances of plugins get new memory for each task, which is slower: {error:#}");
        Engine::new(&config())
    })
}

/// Whether there were too many instances for the pool, and how to say so.
pub(super) fn too_many(error: &wasmtime::Error) -> Option<String> {
    error.is::<PoolConcurrencyLimitError>().then(|| {
        format!("there are too many instances, about {MEMORIES} at a time; use fewer `workers` or fewer plugins")
    })
}

/// Whether it is a component that has more of something than one may have, and how to say so. There is no type for it.
pub(super) fn too_large(words: &str) -> Option<String> {
    words.contains(" exceeds the ").then(|| format!("is larger than a plugin may be: {words}"))
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .epoch_interruption(true)
        .wasm_component_model(true);
    config
}

/// Memory is taken from a pool, because each task has a fresh instance: one whose memory was mapped anew would take a
/// page fault for every page a task touches, which cost a task of 16,000 rows more than half of its time again. From
/// the pool it gets pages that are there already, wiped.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(MEMORIES)
        .total_component_instances(MEMORIES)
        .total_core_instances(CORE_INSTANCES)
        .total_tables(TABLES)
        // For guests that run as coroutines: none does.
        .total_stacks(0)
        .max_memories_per_module(MAX_PER_MODULE)
        .max_tables_per_module(MAX_PER_MODULE)
        // Of the component as a whole. The store would find that too, but only when it starts.
        .max_memories_per_component(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_component_instance_size(MAX_METADATA)
        .max_core_instance_size(MAX_METADATA)
        .table_elements(MAX_TABLE_ENTRIES)
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE)
        // The kernel says which pages were touched, where it can: only those are wiped.
        .pagemap_scan(Enabled::Auto)
        // Memory of a plugin that is gone goes to another plugin, rather than being kept beside new memory.
        .max_unused_warm_slots(0);
    pool
}
