//! A network between a process and a server that fails on command.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// A port that stands for another on this machine.
pub struct Proxy {
    port: u16,
    network: Arc<Network>,
}

/// Bytes that a half-open connection swallows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swallowed {
    Requests,
    Answers,
    Both,
}

struct Network {
    server: u16,
    ended: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    delay: Duration,
    /// Also for connections that are made meanwhile.
    half_open: Option<Swallowed>,
    connections: BTreeMap<u64, Connection>,
    made: u64,
}

/// Both sockets, one to the client and one to the server.
struct Connection {
    sockets: [TcpStream; 2],
    swallows_requests: Arc<AtomicBool>,
    swallows_answers: Arc<AtomicBool>,
}

/// One direction of a connection.
struct Pipe {
    id: u64,
    from: TcpStream,
    to: TcpStream,
    swallows: Arc<AtomicBool>,
    network: Arc<Network>,
}

impl Proxy {
    /// Starts to forward connections to a port of this machine, which may come and go.
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ended = AtomicBool::new(false);
        let network = Arc::new(Network { server, ended, state: Mutex::default() });
        let shared = Arc::clone(&network);
        thread::spawn(move || {
            for client in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(client) = client {
                    shared.connect(client);
                }
            }
        });
        Self { port, network }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts all connections. New ones can be made at once.
    pub fn cut(&self) {
        for (_, connection) in std::mem::take(&mut self.network.lock().connections) {
            connection.shut();
        }
    }

    /// Delays every byte from now on.
    pub fn delay(&self, by: Duration) {
        self.network.lock().delay = by;
    }

    /// Leaves all connections open but forwards nothing any more.
    pub fn half_open(&self, swallowed: Swallowed) {
        let mut state = self.network.lock();
        state.half_open = Some(swallowed);
        state.connections.values().for_each(|connection| connection.swallow(swallowed));
    }

    /// Ends the delay, and serves new connections. Those that are half-open remain so: bytes of
    /// theirs are missing.
    pub fn heal(&self) {
        let mut state = self.network.lock();
        (state.delay, state.half_open) = (Duration::ZERO, None);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port)); // wakes the thread that accepts
        self.cut();
    }
}

impl Connection {
    fn swallow(&self, swallowed: Swallowed) {
        if swallowed != Swallowed::Answers {
            self.swallows_requests.store(true, Ordering::SeqCst);
        }
        if swallowed != Swallowed::Requests {
            self.swallows_answers.store(true, Ordering::SeqCst);
        }
    }

    fn is_whole(&self) -> bool {
        let swallows = [&self.swallows_requests, &self.swallows_answers];
        !swallows.iter().any(|flag| flag.load(Ordering::SeqCst))
    }

    fn shut(&self) {
        for socket in &self.sockets {
            let _ = socket.shutdown(Shutdown::Both); // the other end may have gone
        }
    }
}

impl Network {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Connects a client to the server, or turns it away if there is none.
    fn connect(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)) else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let copies = || [client.try_clone().unwrap(), server.try_clone().unwrap()];
        let connection = Connection {
            sockets: copies(),
            swallows_requests: Arc::default(),
            swallows_answers: Arc::default(),
        };

        let mut state = self.lock();
        state.made += 1;
        let id = state.made;
        let pipe = |[from, to]: [TcpStream; 2], swallows: &Arc<AtomicBool>| {
            let (swallows, network) = (Arc::clone(swallows), Arc::clone(self));
            Pipe { id, from, to, swallows, network }
        };
        let requests = pipe(copies(), &connection.swallows_requests);
        let [to_client, from_server] = copies();
        let answers = pipe([from_server, to_client], &connection.swallows_answers);
        if let Some(swallowed) = state.half_open {
            connection.swallow(swallowed);
        }
        state.connections.insert(id, connection);
        for pipe in [requests, answers] {
            thread::spawn(move || pipe.forward());
        }
    }

    /// Closes a connection one end of which has gone. The other end of one that is half-open must
    /// not notice.
    fn close(&self, id: u64) {
        let mut state = self.lock();
        if state.connections.get(&id).is_some_and(Connection::is_whole)
            && let Some(connection) = state.connections.remove(&id)
        {
            connection.shut();
        }
    }
}

impl Pipe {
    /// Reads until the connection ends.
    fn forward(self) {
        let Self { id, mut from, to, swallows, network } = self;
        let (chunks, due) = channel();
        let delivery = thread::spawn(move || deliver(&due, to));
        let mut buffer = vec![0; 64 << 10];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            let at = Instant::now() + network.lock().delay;
            let swallowed = swallows.load(Ordering::SeqCst);
            if !swallowed && chunks.send((at, buffer[..len].to_vec())).is_err() {
                break;
            }
        }
        drop(chunks);
        // What is on its way arrives before the end does.
        let _ = delivery.join();
        network.close(id);
    }
}

/// Writes chunks, each at its time.
fn deliver(due: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    for (at, chunk) in due {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if to.write_all(&chunk).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers every byte with the same byte.
    fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut back = client.try_clone().unwrap();
                thread::spawn(move || std::io::copy(&mut &client, &mut back));
            }
        });
        port
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let client = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        client
    }

    /// Sends a byte; returns the answer, or `None` if there is none in time. Fails if cut off.
    fn ask(client: &mut TcpStream) -> std::io::Result<Option<u8>> {
        client.write_all(&[7])?;
        let mut byte = [0];
        match client.read(&mut byte) {
            Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(Some(byte[0])),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    #[test]
    fn a_proxy_forwards_delays_swallows_and_cuts() {
        let proxy = Proxy::to(echo());
        let mut client = connect(&proxy);
        assert_eq!(ask(&mut client).unwrap(), Some(7));

        proxy.delay(Duration::from_millis(50));
        let since = Instant::now();
        assert_eq!(ask(&mut client).unwrap(), Some(7));
        assert!(since.elapsed() >= Duration::from_millis(100));

        proxy.half_open(Swallowed::Answers);
        assert_eq!(ask(&mut client).unwrap(), None);
        assert_eq!(ask(&mut connect(&proxy)).unwrap(), None);
        proxy.heal();
        assert_eq!(ask(&mut client).unwrap(), None, "its bytes are missing");
        let mut client = connect(&proxy);
        assert_eq!(ask(&mut client).unwrap(), Some(7));

        proxy.cut();
        assert!(ask(&mut client).is_err());
        assert_eq!(ask(&mut connect(&proxy)).unwrap(), Some(7));
    }
}
