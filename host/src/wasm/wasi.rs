//! The WASI of a guest: no files, no network, no environment; clocks that stand at the batch time, random numbers from
//! the epoch's seed, and standard streams that end in the host's log.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{self, Poll},
    time::Duration,
};

use bytes::Bytes;
use rand::TryRng;
use tokio::io::AsyncWrite;
use wasmtime::component::Linker;
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult, subscribe},
};

use super::{
    bindings::tidemill::plugin::log,
    guest::{GuestState, MAX_LINE, Now},
};

/// A guest's WASI.
pub(super) fn context(now: &Arc<Now>) -> WasiCtx {
    WasiCtxBuilder::new()
        .wall_clock(BatchClock(Arc::clone(now)))
        .monotonic_clock(BatchClock(Arc::clone(now)))
        .secure_random(SeededRandom(Arc::clone(now)))
        .insecure_random(SeededRandom(Arc::clone(now)))
        .insecure_random_seed(0)
        .stdout(LogStream::new(now, log::Level::Info))
        .stderr(LogStream::new(now, log::Level::Error))
        .build()
}

/// Adds WASI to a linker.
pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    sleep_takes_no_time(linker)
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
pub(super) struct SplitMix(AtomicU64);

impl SplitMix {
    pub(super) fn seed(&self, seed: u64) {
        self.0.store(seed, Ordering::Relaxed);
    }

    pub(super) fn next(&self) -> u64 {
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
