//! The thread that connects, reads, and connects again.

use std::{
    io::{self, Read},
    net::{TcpStream, ToSocketAddrs},
    sync::Arc,
    thread,
    time::Duration,
};

use crate::manifest::SocketSource;

use super::{
    buffer::{Line, Shared},
    line,
    splitter::Splitter,
};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A server that comes back is noticed this soon; one that does not is asked no more often.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A host that is there answers sooner; and a source that is dropped meanwhile keeps its thread so long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// One system call's worth: what a socket buffer commonly holds.
const READ_BYTES: usize = 64 << 10;

/// Starts the thread. It ends when the source stops `shared`, and is not joined: a name lookup under way cannot be
/// cut short, and nobody should wait for it.
pub(super) fn spawn(settings: &SocketSource, shared: Arc<Shared>) -> io::Result<()> {
    let address = settings.address.clone();
    let splitter = Splitter::new(address.clone(), settings.max_line_bytes.min(line::LONGEST_LINE));
    let reader = Reader { address, splitter, shared, pause: Pause::SHORTEST };
    thread::Builder::new().name("socket".to_owned()).spawn(move || reader.run()).map(drop)
}

struct Reader {
    address: String,
    splitter: Splitter,
    shared: Arc<Shared>,
    /// Before connecting the next time; back to the shortest as soon as bytes arrive.
    pause: Pause,
}

/// How long to wait between two attempts: twice as long each time, up to a bound.
#[derive(Debug, Clone, Copy)]
struct Pause(Duration);

impl Pause {
    const SHORTEST: Pause = Pause(FIRST_PAUSE);

    fn next(self) -> Self {
        Pause((self.0 * 2).min(LONGEST_PAUSE))
    }
}

impl Reader {
    fn run(mut self) {
        let mut warned = false;
        loop {
            match self.connect() {
                Ok(connection) => {
                    warned = false;
                    tracing::info!("connected to {}", self.address);
                    if !self.read(connection) {
                        return;
                    }
                }
                Err(error) if !warned => {
                    warned = true;
                    tracing::warn!(
                        "cannot connect to {}: {error}; trying again until there is a server; start one with: ncat -lk {}",
                        self.address,
                        self.address.rsplit(':').next().unwrap_or_default()
                    );
                }
                Err(error) => tracing::debug!("cannot connect to {}: {error}", self.address),
            }
            if !self.shared.pause(self.pause.0) {
                return;
            }
            self.pause = self.pause.next();
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut result = Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        for address in self.address.to_socket_addrs()? {
            result = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Reads until the connection ends; false once the source is gone.
    fn read(&mut self, mut connection: TcpStream) -> bool {
        match connection.try_clone() {
            Ok(handle) => {
                if !self.shared.connected(handle) {
                    return false;
                }
            }
            Err(error) => {
                tracing::warn!("cannot keep the connection to {}: {error}; connecting again", self.address);
                return true;
            }
        }
        let mut piece = vec![0; READ_BYTES];
        loop {
            match connection.read(&mut piece) {
                Ok(0) => {
                    tracing::info!("{} closed the connection; connecting again", self.address);
                    return self.hand_over(|splitter, push| splitter.finish(push));
                }
                Ok(read) => {
                    self.pause = Pause::SHORTEST;
                    if !self.hand_over(|splitter, push| splitter.feed(&piece[..read], push)) {
                        return false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!("the connection to {} broke: {error}; connecting again", self.address);
                    self.splitter.discard();
                    return true;
                }
            }
        }
    }

    /// Moves lines into the buffer; false once the source is gone.
    fn hand_over(&mut self, work: impl FnOnce(&mut Splitter, &mut dyn FnMut(Line) -> bool) -> bool) -> bool {
        let Reader { splitter, shared, .. } = self;
        let alive = work(splitter, &mut |line| shared.push(line));
        shared.wake();
        alive
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    /// A server that restarts is found again at once, and one that is gone for the night is not asked ten times a
    /// second.
    #[test]
    fn pauses_double_up_to_a_bound() {
        let pauses = iter::successors(Some(Pause::SHORTEST), |pause| Some(pause.next()));
        let millis: Vec<u128> = pauses.map(|pause| pause.0.as_millis()).take(10).collect();
        assert_eq!(millis, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
    }
}
