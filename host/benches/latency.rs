//! From a row sent to a socket to the row in a table that others read: 1,000 rows a second, each epoch as soon as there
//! is a row, checkpoint on. Every epoch waits for the disk, so what one durable write takes here is shown beside it.

mod support;

use std::{
    fs::File,
    io::Write,
    net::{TcpListener, TcpStream},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use arrow::array::AsArray;
use support::{
    empty_folder, now,
    pipeline::{Verbose, environment, loader, prepare, start},
    scaled,
};
use tidemill::{
    runtime::{Control, SystemClock, drive},
    sink::{MemoryTables, Snapshot},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Time between two rows.
const INTERVAL: Duration = Duration::from_millis(1);
/// Rows before the first that counts: connections, caches and files get warm.
const WARM_UP: usize = 1000;
/// How often the table is looked at. Each figure is up to so much too high; looking all the time would cost the
/// pipeline one of its cores.
const LOOK: Duration = Duration::from_micros(50);
/// No row for so long, and the pipeline has stopped.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let rows = WARM_UP + scaled(20_000);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let prepared = prepare(&loader(), "latency", &[format!("sources.lines.address={address}")]);
    let checkpoint = empty_folder();
    let environment = environment(Arc::new(SystemClock::start()), checkpoint.path());
    let (tables, control) = (Arc::clone(&environment.tables), Arc::clone(&environment.control));
    let mut pipeline = start(environment, prepared);

    let sent: Vec<OnceLock<Instant>> = (0..rows).map(|_| OnceLock::new()).collect();
    let (seen, epochs) = thread::scope(|scope| {
        scope.spawn(|| send(listener.accept().expect("the source connects").0, &sent));
        let seen = scope.spawn(|| watch(&tables, &control, rows));
        let epochs = drive(&mut pipeline, &mut Verbose).unwrap_or_else(|error| panic!("{error}"));
        (seen.join().expect("every row comes"), epochs)
    });

    let sent = sent.iter().map(|sent| *sent.get().expect("every row was sent"));
    let mut latencies: Vec<Duration> = seen.iter().zip(sent.clone()).map(|(&seen, sent)| seen - sent).collect();
    let mut latencies = latencies.split_off(WARM_UP);
    let took = sent.clone().last().expect("there are rows") - sent.clone().nth(WARM_UP).expect("some rows count");
    println!(
        "latency, {} rows at {:.0} rows/s, trigger continuous, {:.1} rows an epoch, checkpoint on",
        latencies.len(),
        latencies.len() as f64 / took.as_secs_f64(),
        rows as f64 / epochs as f64
    );
    print_quantiles("row sent to row visible", &mut latencies);
    print_quantiles("one durable write of 4 KiB", &mut durable_writes());
}

/// Sends rows on a grid. A row's time is taken before it is handed to the operating system.
fn send(mut connection: TcpStream, sent: &[OnceLock<Instant>]) {
    connection.set_nodelay(true).expect("it is a TCP connection");
    let began = now();
    for (row, sent) in sent.iter().enumerate() {
        let due = began + INTERVAL * u32::try_from(row).expect("fewer rows than a month of them");
        sleep(due.saturating_duration_since(now()));
        sent.set(now()).expect("each row is sent once");
        connection.write_all(format!("row {row}\n").as_bytes()).expect("the source reads");
    }
}

/// When each row became visible. Stops the pipeline after the last one, or when something is wrong.
fn watch(tables: &MemoryTables, control: &Control, rows: usize) -> Vec<Instant> {
    let _stop = StopOnDrop(control);
    let mut seen: Vec<Instant> = Vec::with_capacity(rows);
    let mut last_seen = now();
    while seen.len() < rows {
        let table = tables.get(&"out".into());
        let visible = table.map_or(0, |table| visible(&table.snapshot()));
        let at = now();
        if visible > seen.len() {
            seen.resize(visible, at);
            last_seen = at;
        }
        assert!(at - last_seen < PATIENCE, "no row after {visible} of {rows} for {PATIENCE:?}");
        sleep(LOOK);
    }
    seen
}

struct StopOnDrop<'a>(&'a Control);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// How many rows have come. They are in order, or the figures mean nothing.
fn visible(snapshot: &Snapshot) -> usize {
    let held: usize = snapshot.rows.iter().map(|batch| batch.num_rows()).sum();
    let visible = snapshot.dropped as usize + held;
    if let Some(batch) = snapshot.rows.last() {
        let lines = batch.column(0).as_string::<i32>();
        assert_eq!(lines.value(batch.num_rows() - 1), format!("row {}", visible - 1));
    }
    visible
}

fn durable_writes() -> Vec<Duration> {
    let folder = empty_folder();
    let mut file = File::create(folder.path().join("probe")).expect("the folder can be written");
    let write = |_| {
        let started = now();
        file.write_all(&[7; 4096]).and_then(|()| file.sync_data()).expect("there is room");
        started.elapsed()
    };
    (0..scaled(1000)).map(write).collect()
}

fn print_quantiles(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |quantile: f64| times[((times.len() - 1) as f64 * quantile) as usize].as_secs_f64() * 1000.0;
    println!("  {what:<28} p50 {:>7.3} ms   p99 {:>7.3} ms   most {:>7.3} ms", at(0.5), at(0.99), at(1.0));
}

#[expect(clippy::disallowed_methods, reason = "nothing is waited for but the time")]
fn sleep(time: Duration) {
    thread::sleep(time);
}
