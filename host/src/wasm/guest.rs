//! What a running guest can reach: log lines, the epoch's context, outlets, and the WASI that `wasi` makes for it.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
};

use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::{
    bindings::tidemill::plugin::{
        context, log,
        outlets::{self, Batch},
        types,
    },
    lift,
    wasi::{self, SplitMix},
};
use crate::ports::{CallScope, HandlerOutput, Outlet};

/// A guest may write a line of at most this length to the host's log; the rest of a longer one is cut. A guest in a
/// loop must not fill the host's memory.
pub(super) const MAX_LINE: usize = 4096;

/// And so many lines in one call, for the same reason: nobody reads more, and what others say would be buried.
const MAX_LINES: u32 = 1000;

/// How many lines of a guest's last words are kept: a panic has its place, its message, and often two values it
/// compared.
const LAST_WORDS: usize = 4;

/// The data of a guest's store.
pub(super) struct GuestState {
    wasi: WasiCtx,
    pub(super) table: ResourceTable,
    /// What its memory may still grow to.
    pub(super) memory: MemoryLimit,
    /// Time, randomness and the name of what runs, shared with the guest's WASI.
    pub(super) now: Arc<Now>,
    /// The outlets of the function that runs; none when it is not a batch handler.
    outlets: Option<Arc<[Outlet]>>,
    /// What it has written to them in this call.
    written: Vec<HandlerOutput>,
    /// How many bytes that is in the host's memory.
    written_bytes: u64,
    epoch: u64,
    random: SplitMix,
}

/// What clocks, streams and log lines of a guest read while it runs.
pub(super) struct Now {
    /// Who speaks, in the manifest's words: `plugin.function`, or the plugin alone when none of its functions runs.
    speaker: Mutex<String>,
    pub(super) batch_time: AtomicI64,
    pub(super) wasi_random: SplitMix,
    /// How many lines the call has logged.
    lines: AtomicU32,
    /// The last lines of the call that looked like the reason of a failure: what a panic said.
    complaints: Mutex<VecDeque<String>>,
}

impl GuestState {
    pub(super) fn new(plugin: &str, memory: u64) -> Self {
        let now = Arc::new(Now {
            speaker: Mutex::new(plugin.to_owned()),
            batch_time: AtomicI64::new(0),
            wasi_random: SplitMix::default(),
            lines: AtomicU32::new(0),
            complaints: Mutex::default(),
        });
        let wasi = wasi::context(&now);
        GuestState {
            wasi,
            table: ResourceTable::new(),
            memory: MemoryLimit::new(memory),
            now,
            outlets: None,
            written: Vec::new(),
            written_bytes: 0,
            epoch: 0,
            random: SplitMix::default(),
        }
    }

    /// Lets a batch handler write to these outlets.
    pub(super) fn open_outlets(&mut self, outlets: Arc<[Outlet]>) {
        self.outlets = Some(outlets);
        self.written.clear();
        self.written_bytes = 0;
    }

    /// What it has written to them; no more can be written.
    pub(super) fn close_outlets(&mut self) -> Vec<HandlerOutput> {
        self.outlets = None;
        std::mem::take(&mut self.written)
    }

    /// Sets what the guest may know.
    pub(super) fn enter(&mut self, scope: &CallScope) {
        self.epoch = scope.epoch.number();
        self.now.batch_time.store(scope.batch_time.micros(), Ordering::Relaxed);
        self.random.seed(scope.seed);
        self.now.wasi_random.seed(!scope.seed);
    }
}

impl Now {
    /// A call begins, of a function that messages name like this.
    pub(super) fn begin_call(&self, label: &str) {
        let mut speaker = self.speaker.lock().expect("no one panics while holding a name");
        speaker.clear();
        speaker.push_str(label);
        self.lines.store(0, Ordering::Relaxed);
        self.complaints().clear();
    }

    /// What the guest said last before it failed, if anything.
    pub(super) fn last_words(&self) -> Option<String> {
        let words: Vec<String> = self.complaints().drain(..).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }

    pub(super) fn log(&self, level: log::Level, message: &str) {
        let message = match message.char_indices().nth(MAX_LINE) {
            Some((end, _)) => &message[..end],
            None => message,
        };
        if level == log::Level::Error {
            self.keep(message);
        }
        let speaker = self.speaker.lock().expect("no one panics while holding a name");
        let (plugin, function) = speaker.split_once('.').unwrap_or((&speaker, ""));
        match (self.lines.fetch_add(1, Ordering::Relaxed), level) {
            (MAX_LINES, _) => {
                tracing::warn!(target: "plugin", plugin, function, "more than {MAX_LINES} lines in one call; the others are left out");
            }
            (lines, _) if lines > MAX_LINES => {}
            (_, log::Level::Trace) => tracing::trace!(target: "plugin", plugin, function, "{message}"),
            (_, log::Level::Debug) => tracing::debug!(target: "plugin", plugin, function, "{message}"),
            (_, log::Level::Info) => tracing::info!(target: "plugin", plugin, function, "{message}"),
            (_, log::Level::Warn) => tracing::warn!(target: "plugin", plugin, function, "{message}"),
            (_, log::Level::Error) => tracing::error!(target: "plugin", plugin, function, "{message}"),
        }
    }

    fn keep(&self, message: &str) {
        let mut complaints = self.complaints();
        for line in message.lines().map(str::trim).filter(|line| !line.is_empty()) {
            complaints.push_back(line.to_owned());
            if complaints.len() > LAST_WORDS {
                complaints.pop_front();
            }
        }
    }

    fn complaints(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.complaints.lock().expect("no one panics while holding lines")
    }
}

/// Adds all a guest may import to a linker.
pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    wasi::link(linker)?;
    log::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    context::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    outlets::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    types::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for GuestState {}

impl log::Host for GuestState {
    fn write(&mut self, level: log::Level, message: String) {
        self.now.log(level, &message);
    }
}

impl context::Host for GuestState {
    fn epoch(&mut self) -> u64 {
        self.epoch
    }

    fn batch_time(&mut self) -> i64 {
        self.now.batch_time.load(Ordering::Relaxed)
    }

    fn random(&mut self) -> u64 {
        self.random.next()
    }
}

impl outlets::Host for GuestState {
    fn write(&mut self, outlet: String, rows: Batch) -> Result<(), String> {
        let outlets = self.outlets.as_ref().ok_or("only a batch handler may write to an outlet")?;
        let position = outlets.iter().position(|known| known.name == outlet).ok_or_else(|| {
            let names: Vec<&str> = outlets.iter().map(|known| known.name.as_str()).collect();
            format!("there is no outlet `{outlet}`; the function describes: {}", names.join(", "))
        })?;
        let rows = lift::batch(rows, &outlets[position].columns)
            .map_err(|error| format!("the batch for outlet `{outlet}` does not fit: {error}"))?;
        // In the host they are out of reach of the limit on the guest's memory, so that limit holds for them as well.
        self.written_bytes += rows.get_array_memory_size() as u64;
        if self.written_bytes > self.memory.limit {
            return Err(format!(
                "more rows were written to outlets in one call than limits.memory allows, {} MiB; raise it in the manifest, or \
                 bound the epoch with max_bytes_per_trigger",
                self.memory.limit >> 20,
            ));
        }
        self.written.push(HandlerOutput { outlet: position, rows });
        Ok(())
    }
}

/// Holds a guest to its limits, all its memories and all its tables together, and remembers what it refused.
///
/// Growth that is allowed counts, even if the system then has no room for it: a guest could otherwise have growth taken
/// back that did come about, by asking for some that cannot.
pub(super) struct MemoryLimit {
    limit: u64,
    /// What its memories have grown to.
    memory: u64,
    /// How many entries its tables have grown to.
    entries: usize,
    /// How much memory the guest asked for when it was refused.
    refused: Option<u64>,
}

impl MemoryLimit {
    fn new(limit: u64) -> Self {
        MemoryLimit { limit, memory: 0, entries: 0, refused: None }
    }

    /// What was refused before is forgotten: the guest has made do without it.
    pub(super) fn begin_call(&mut self) {
        self.refused = None;
    }

    /// What the guest asked for when it was refused, if it was, and what to do about it.
    pub(super) fn refusal(&self) -> Option<String> {
        let asked = self.refused?.div_ceil(1 << 20);
        let allowed = self.limit >> 20;
        Some(format!("{asked} MiB of memory where limits.memory allows {allowed} MiB; raise it in the manifest"))
    }
}

/// Entries of all tables together: far more than any compiler emits, far less than would hurt.
pub(super) const MAX_TABLE_ENTRIES: usize = 1 << 20;

/// What one plugin may have of each. A compiler's output has one memory and two tables; a component that others were
/// composed into has that for each of them.
pub(super) const MAX_MEMORIES: u32 = 16;
pub(super) const MAX_TABLES: u32 = 4 * MAX_MEMORIES;
pub(super) const MAX_CORE_INSTANCES: u32 = 16 * MAX_MEMORIES;

impl wasmtime::ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let wanted = self.memory.saturating_add(desired.saturating_sub(current) as u64);
        let fits = wanted <= self.limit;
        if fits {
            self.memory = wanted;
        } else {
            self.refused = Some(wanted);
        }
        Ok(fits)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let wanted = self.entries.saturating_add(desired.saturating_sub(current));
        let fits = wanted <= MAX_TABLE_ENTRIES;
        if fits {
            self.entries = wanted;
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }
}
