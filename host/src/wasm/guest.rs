//! What a running guest can reach: log lines, the epoch's context, outlets, and a WASI without files, network or
//! environment, whose clocks stand at the batch time and whose random numbers come from the epoch's seed.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
    task::{self, Poll},
    time::Duration,
};

use bytes::Bytes;
use rand::TryRng;
use tokio::io::AsyncWrite;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult, subscribe},
};

use super::{
    bindings::tidemill::plugin::{
        context, log,
        outlets::{self, Batch},
        types,
    },
    lift,
};
use crate::ports::{CallScope, HandlerOutput, Outlet};

/// A guest may write a line of at most this length to the host's log; the rest of a longer one is cut. A guest in a
/// loop must not fill the host's memory.
const MAX_LINE: usize = 4096;

/// And so many lines in one call, for the same reason: nobody reads more, and what others say would be buried.
const MAX_LINES: u32 = 1000;

/// How many lines of a guest's last words are kept: a panic has its place, its message, and often two values it compared.
const LAST_WORDS: usize = 4;

/// The data of a guest's store.
pub(super) struct GuestState {
    wasi: WasiCtx,
    table: ResourceTable,
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
    batch_time: AtomicI64,
    wasi_random: SplitMix,
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
        let wasi = WasiCtxBuilder::new()
            .wall_clock(BatchClock(Arc::clone(&now)))
            .monotonic_clock(BatchClock(Arc::clone(&now)))
            .secure_random(SeededRandom(Arc::clone(&now)))
            .insecure_random(SeededRandom(Arc::clone(&now)))
            .insecure_random_seed(0)
            .stdout(LogStream::new(&now, log::Level::Info))
            .stderr(LogStream::new(&now, log::Level::Error))
            .build();
        GuestState {
            wasi,
            table: ResourceTable::new(),
            memory: MemoryLimit { limit: memory, refused: None },
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

    fn log(&self, level: log::Level, message: &str) {
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
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    sleep_takes_no_time(linker)?;
    log::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    context::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    outlets::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    types::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

/// A guest's clock stands still, so waiting for it would never end; and waiting on the host's clock would hold up the
/// epoch where no deadline can reach. A sleep is therefore over at once.
fn sleep_takes_no_time(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    // The versions of WASI p2 that toolchains emit; the linker matches later patch versions to them.
    let mut clock = linker.instance("wasi:clocks/monotonic-clock@0.2.12")?;
    for wait in ["subscribe-instant", "subscribe-duration"] {
        clock.func_wrap(wait, |mut store: wasmtime::StoreContextMut<'_, GuestState>, (_until,): (u64,)| {
            let table = &mut store.data_mut().table;
            let ready = table.push(Ready)?;
            Ok((subscribe(table, ready)?,))
        })?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

struct Ready;

#[async_trait]
impl Pollable for Ready {
    async fn ready(&mut self) {}
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

/// Holds a guest's memory to its limit, and remembers what it refused.
pub(super) struct MemoryLimit {
    limit: u64,
    /// How much memory the guest asked for when it was refused.
    pub(super) refused: Option<u64>,
}

impl MemoryLimit {
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }
}

/// Entries of all tables together: far more than any compiler emits, far less than would hurt.
const MAX_TABLE_ENTRIES: usize = 1 << 20;

impl wasmtime::ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired as u64 <= self.limit;
        if !fits {
            self.refused = Some(desired as u64);
        }
        Ok(fits)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ENTRIES)
    }
}

/// A clock that stands at the batch time.
struct BatchClock(Arc<Now>);

impl BatchClock {
    fn since_1970(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.batch_time.load(Ordering::Relaxed)).unwrap_or(0))
    }
}

impl HostWallClock for BatchClock {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        self.since_1970()
    }
}

impl HostMonotonicClock for BatchClock {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        self.since_1970().as_nanos() as u64
    }
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Default)]
struct SplitMix(AtomicU64);

impl SplitMix {
    fn seed(&self, seed: u64) {
        self.0.store(seed, Ordering::Relaxed);
    }

    fn next(&self) -> u64 {
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// WASI's random numbers, from the seed.
struct SeededRandom(Arc<Now>);

impl TryRng for SeededRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.wasi_random.next() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.wasi_random.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.0.wasi_random.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// Standard output or error of a guest: each line becomes a line in the host's log.
#[derive(Clone)]
struct LogStream {
    now: Arc<Now>,
    level: log::Level,
    line: Arc<Mutex<Vec<u8>>>,
}

impl LogStream {
    fn new(now: &Arc<Now>, level: log::Level) -> Self {
        LogStream { now: Arc::clone(now), level, line: Arc::default() }
    }

    fn take(&self, bytes: &[u8]) {
        let mut line = self.line.lock().expect("no one panics while holding a line");
        for &byte in bytes {
            match byte {
                b'\n' => {
                    self.now.log(self.level, &String::from_utf8_lossy(&line));
                    line.clear();
                }
                _ if line.len() < MAX_LINE => line.push(byte),
                _ => {}
            }
        }
    }
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for LogStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut task::Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}
