//! The socket source against real servers on the loopback interface.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::*;
use crate::{
    ports::BadRow,
    source::testing::{Bell, Collected, PATIENCE, read},
};

const NOW: ProcessingTime = ProcessingTime::from_micros(0);

struct Setup {
    source: Socket,
    bell: Arc<Bell>,
}

fn open(address: &str, max_line_bytes: usize, buffer_bytes: usize) -> Setup {
    let bell = Arc::new(Bell::default());
    let settings = SocketSource { address: address.to_owned(), max_line_bytes, buffer_bytes };
    Setup { source: Socket::open(&settings, bell.clone()).unwrap(), bell }
}

fn server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// Accepts, or fails instead of hanging.
fn accept(listener: &TcpListener) -> TcpStream {
    let (sender, receiver) = mpsc::channel();
    let listener = listener.try_clone().unwrap();
    thread::spawn(move || sender.send(listener.accept().unwrap().0));
    receiver.recv_timeout(PATIENCE).expect("the source connects")
}

impl Setup {
    fn next_range(&mut self) -> Range {
        loop {
            if let Some(range) = self.source.next_range(NOW).unwrap() {
                return range;
            }
            self.bell.wait();
        }
    }

    /// Runs epochs until so many lines have come.
    fn take(&mut self, lines: usize) -> (Vec<String>, Vec<BadRow>) {
        let mut all = Collected::default();
        while all.texts().len() + all.bad.len() < lines {
            let range = self.next_range();
            let epoch = read(&mut self.source, &range).unwrap();
            all.batches.extend(epoch.batches);
            all.bad.extend(epoch.bad);
            self.source.acknowledge(&range).unwrap();
        }
        (all.texts(), all.bad)
    }
}

/// What people type into `ncat`, with everything that can be wrong with it: bad lines are set aside, each with its
/// place, and the lines around them arrive.
#[test]
fn lines_arrive_and_bad_ones_are_told_apart() {
    let (listener, address) = server();
    let mut setup = open(&address, 10, 1 << 20);
    let mut peer = accept(&listener);
    peer.write_all(b"one\r\ntwo\n\n\xffthree\nfar too long for this\nend").unwrap();
    drop(peer);
    let (rows, bad) = setup.take(6);
    assert_eq!(rows, ["one", "two", "", "end"]);
    let places: Vec<_> = bad.iter().map(|bad| (bad.place.as_str(), bad.row.as_str())).collect();
    let at = |line| format!("{address} line {line}");
    assert_eq!(places, [(at(4).as_str(), "\u{fffd}three"), (at(5).as_str(), "far too long for this")]);
    assert!(bad[0].error.contains("byte 0 of the line is 0xff"), "{}", bad[0].error);
    assert!(bad[1].error.contains("max_line_bytes = 10"), "{}", bad[1].error);
}

/// A server may start after the pipeline, and come and go: the source connects again.
#[test]
fn it_connects_again() {
    let (listener, address) = server();
    drop(listener);
    let mut setup = open(&address, 100, 1 << 20);
    let listener = TcpListener::bind(&address).unwrap();
    for round in ["first", "second", "third"] {
        let mut peer = accept(&listener);
        peer.write_all(round.as_bytes()).unwrap();
        drop(peer);
        assert_eq!(setup.take(1).0, [round]);
    }
}

/// An epoch that fails is read again in the same process, so its lines must stay until it is committed.
#[test]
fn a_range_can_be_read_again_until_it_is_acknowledged() {
    let (listener, address) = server();
    let mut setup = open(&address, 100, 1 << 20);
    let mut peer = accept(&listener);
    peer.write_all(b"a\nb\n").unwrap();
    let first = setup.next_range();
    let once = read(&mut setup.source, &first).unwrap().texts();
    peer.write_all(b"c\nd\n").unwrap();
    let second = setup.next_range();
    assert_eq!(first.end, second.start);
    assert_eq!(read(&mut setup.source, &first).unwrap().texts(), once, "later lines do not get into an earlier range");
    setup.source.acknowledge(&first).unwrap();
    assert!(read(&mut setup.source, &first).unwrap().texts().is_empty(), "what is committed is given up");
    let again = read(&mut setup.source, &second).unwrap().texts();
    assert!(!again.is_empty());
    assert_eq!(read(&mut setup.source, &second).unwrap().texts(), again);
}

/// A sender that is faster than the pipeline must be slowed down, not buffered without bound; and the epoch loop must
/// hear of a full buffer, or nobody would ever empty it.
#[test]
fn the_buffer_is_bounded_and_nothing_is_lost() {
    const LINES: usize = 200_000;
    const BUFFER: usize = 100_000;
    let (listener, address) = server();
    let mut setup = open(&address, 100, BUFFER);
    let peer = accept(&listener);
    let sender = thread::spawn(move || {
        let mut peer = std::io::BufWriter::new(peer);
        (0..LINES).try_for_each(|line| writeln!(peer, "line {line}")).unwrap();
    });
    let mut received = 0;
    while received < LINES {
        let range = setup.next_range();
        assert!(setup.source.shared.lock().cost() <= BUFFER);
        let rows = read(&mut setup.source, &range).unwrap().texts();
        assert!(rows.iter().enumerate().all(|(at, row)| *row == format!("line {}", received + at)));
        received += rows.len();
        setup.source.acknowledge(&range).unwrap();
    }
    sender.join().unwrap();
}

/// A line larger than the whole buffer must not stand in front of it for ever.
#[test]
fn a_line_larger_than_the_buffer_goes_through_alone() {
    let (listener, address) = server();
    let mut setup = open(&address, 1000, 50);
    let mut peer = accept(&listener);
    let long = "x".repeat(900);
    peer.write_all(format!("a\n{long}\nb\n").as_bytes()).unwrap();
    assert_eq!(setup.take(3).0, ["a", long.as_str(), "b"]);
}

/// After a restart the lines of a planned epoch are gone. It must run as an empty one, and the lines that come then get
/// the numbers after it.
#[test]
fn lines_of_an_earlier_process_are_gone() {
    let (listener, address) = server();
    let mut setup = open(&address, 100, 1 << 20);
    let mut peer = accept(&listener);
    peer.write_all(b"new\n").unwrap();
    setup.bell.wait();
    let range = |start, end| Range {
        start: count::to_offset(start),
        end: count::to_offset(end),
        cumulative: true,
        detail: Vec::new(),
    };
    setup.source.restore(&[range(0, 2), range(2, 5)]).unwrap();
    let planned = range(5, 8);
    assert!(read(&mut setup.source, &planned).unwrap().texts().is_empty());
    setup.source.acknowledge(&planned).unwrap();
    let next = setup.next_range();
    assert_eq!(next, range(8, 9));
    assert_eq!(read(&mut setup.source, &next).unwrap().texts(), ["new"]);
}

/// Available-now takes what is there at the start, however much comes later.
#[test]
fn frozen_it_offers_only_what_is_there() {
    let (listener, address) = server();
    let mut setup = open(&address, 100, 1 << 20);
    let mut peer = accept(&listener);
    peer.write_all(b"a\n").unwrap();
    setup.bell.wait();
    setup.source.freeze(NOW).unwrap();
    peer.write_all(b"b\n").unwrap();
    setup.bell.wait();
    let range = setup.next_range();
    assert_eq!(read(&mut setup.source, &range).unwrap().texts(), ["a"]);
    assert_eq!(setup.source.next_range(NOW).unwrap(), None);
}

/// A source that is dropped lets go of its connection at once, also in the middle of a read.
#[test]
fn dropping_it_ends_the_thread() {
    let (listener, address) = server();
    let mut setup = open(&address, 100, 1 << 20);
    let mut peer = accept(&listener);
    peer.write_all(b"a\n").unwrap();
    assert_eq!(setup.take(1).0, ["a"]);
    let shared = Arc::downgrade(&setup.source.shared);
    drop(setup);
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let end = peer.read(&mut [0; 1]);
    assert!(matches!(end, Ok(0)) || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    // The thread closes its end of the connection when it returns, and then drops what it shares.
    let ended = (0..PATIENCE.as_millis()).any(|_| {
        thread::park_timeout(Duration::from_millis(1));
        shared.strong_count() == 0
    });
    assert!(ended, "the thread is still there");
}
