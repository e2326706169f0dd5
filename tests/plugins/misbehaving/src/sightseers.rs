//! Transforms that look for a way out of the sandbox. They return what they found.
#![expect(clippy::disallowed_methods, reason = "clocks, sleep and randomness of the guest are what is looked at")]

use std::{
    collections::HashMap,
    env, fs,
    io::{self, Read},
    net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::bindings::tidemill::plugin::{
    context,
    log::{self, Level},
};

/// Goes, and tells about it for every line.
pub(crate) fn visit(name: &str, lines: &[&str]) -> Vec<String> {
    match name {
        "sleeps" => {
            thread::sleep(Duration::from_secs(3600));
            lines.iter().map(|line| (*line).to_owned()).collect()
        }
        "looks_around" => lines.iter().map(|_| look_around()).collect(),
        "rolls_dice" => lines.iter().map(|line| roll(line)).collect(),
        "speaks" => {
            println!("said on standard output");
            eprintln!("said on standard error");
            lines.iter().map(|line| (*line).to_owned()).collect()
        }
        _ => {
            shout();
            lines.iter().map(|line| (*line).to_owned()).collect()
        }
    }
}

fn look_around() -> String {
    let mut stdin = Vec::new();
    let began = Instant::now();
    let found = [
        ("variables", env::vars_os().count()),
        ("arguments", env::args_os().count()),
        ("bytes of input", io::stdin().take(100).read_to_end(&mut stdin).unwrap_or(0)),
        ("folder", fs::read_dir("/").map_or(0, Iterator::count)),
        ("file", usize::from(fs::File::open("/etc/passwd").is_ok())),
        ("new file", usize::from(fs::File::create("found").is_ok())),
        ("connection", usize::from(TcpStream::connect("127.0.0.1:1").is_ok())),
        ("listener", usize::from(TcpListener::bind("127.0.0.1:0").is_ok())),
        ("datagrams", usize::from(UdpSocket::bind("127.0.0.1:0").is_ok())),
        ("address", ("localhost", 80).to_socket_addrs().map_or(0, Iterator::count)),
        ("nanoseconds", began.elapsed().as_nanos() as usize),
    ];
    let found: Vec<String> =
        found.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}")).collect();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros());
    format!("found {found:?} at {now}, told {}", context::batch_time())
}

/// What depends on the seeds: of the host's random numbers, and of std's hash tables.
fn roll(line: &str) -> String {
    let table: HashMap<char, ()> = ('a'..='p').map(|letter| (letter, ())).collect();
    let order: String = table.keys().collect();
    let rolled = format!("{line} {order} {:016x}", context::random());
    println!("rolled {rolled}");
    rolled
}

/// Far more than anybody would read.
fn shout() {
    log::write(Level::Info, &"a".repeat(8 << 20));
    println!("{}", "b".repeat(8 << 20));
    for _ in 0..100_000 {
        println!("c");
    }
}
