//! A cluster served over TCP on this machine: one listener a node, a thread a connection, and a second one for answers
//! that leave later.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{Cluster, ConnectionId, Options, Reply};

/// `socket.request.max.bytes`: a longer request closes its connection.
const MAX_REQUEST_BYTES: usize = 100 * 1024 * 1024;

/// What the server keeps in its logs unless told otherwise.
const DEFAULT_RETENTION_BYTES: usize = 256 * 1024 * 1024;

/// How long a sleeping thread may take to see that the server stops.
const STOP_CHECK: Duration = Duration::from_millis(20);

/// A [`Cluster`] that listens on 127.0.0.1, one port a node. Dropping it closes everything and ends its threads.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    listeners: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    cluster: Mutex<Cluster>,
    sockets: Mutex<BTreeMap<ConnectionId, TcpStream>>,
    connections: Mutex<Vec<JoinHandle<()>>>,
    stop: AtomicBool,
    /// The wall clock when the server began, and what has passed since on a clock that does not go back.
    began_ms: u64,
    began: Instant,
}

impl Server {
    /// Binds one port a node, as `options.ports` says, any free one where it says 0 or nothing, and serves. The cluster
    /// advertises the ports that were bound. Without `retention_bytes` it keeps 256 MiB.
    ///
    /// # Errors
    /// A port that cannot be bound.
    pub fn start(mut options: Options) -> io::Result<Server> {
        let mut sockets = Vec::new();
        for index in 0..options.nodes.max(1) {
            let port = options.ports.get(index).copied().unwrap_or(0);
            sockets.push(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?);
        }
        let addresses = sockets.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        options.ports = addresses.iter().map(SocketAddr::port).collect();
        options.retention_bytes.get_or_insert(DEFAULT_RETENTION_BYTES);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let shared = Arc::new(Shared {
            cluster: Mutex::new(Cluster::new(options)),
            sockets: Mutex::default(),
            connections: Mutex::default(),
            stop: AtomicBool::new(false),
            began_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(0),
            began: Instant::now(),
        });
        let listeners = (1..)
            .zip(sockets)
            .map(|(node, socket)| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || listen(&shared, node, &socket))
            })
            .collect();
        Ok(Server { shared, addresses, listeners })
    }

    /// Where each node listens, node 1 first.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses as a client's `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.addresses.iter().map(SocketAddr::to_string).collect();
        addresses.join(",")
    }

    /// The time that the cluster is given: milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.shared.now_ms()
    }

    /// Looks into the cluster or changes it, while no request is handled. Connections that it closes, as
    /// [`Cluster::node_down`] does, are closed when it returns. A downed node still accepts connections, since its port
    /// stays bound, and closes them at once.
    pub fn with<T>(&self, look: impl FnOnce(&mut Cluster) -> T) -> T {
        let mut cluster = lock(&self.shared.cluster);
        let seen = look(&mut cluster);
        let sockets = lock(&self.shared.sockets);
        for (id, socket) in sockets.iter() {
            if !cluster.is_connected(*id) {
                // The thread of the connection sees the end and does the rest.
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
        seen
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for address in &self.addresses {
            // Wakes the listener, which then sees that it is to stop.
            let _ = TcpStream::connect_timeout(address, Duration::from_secs(1));
        }
        for listener in self.listeners.drain(..) {
            let _ = listener.join();
        }
        for socket in lock(&self.shared.sockets).values() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        let connections = std::mem::take(&mut *lock(&self.shared.connections));
        for connection in connections {
            let _ = connection.join();
        }
    }
}

impl Shared {
    fn now_ms(&self) -> u64 {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.began_ms.saturating_add(passed)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// A panic in a caller's closure should not take the server with it: the cluster is sound between its methods.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn listen(shared: &Arc<Shared>, node: i32, listener: &TcpListener) {
    for socket in listener.incoming() {
        if shared.stopped() {
            return;
        }
        let Ok(socket) = socket else {
            // Out of file descriptors, most likely: better to wait than to spin.
            thread::sleep(STOP_CHECK);
            continue;
        };
        let of_connection = Arc::clone(shared);
        let thread = thread::spawn(move || {
            // An end of the connection, whoever brought it about, is nothing to report.
            let _ = serve(&of_connection, node, socket);
        });
        let mut connections = lock(&shared.connections);
        connections.retain(|thread| !thread.is_finished());
        connections.push(thread);
    }
}

fn serve(shared: &Arc<Shared>, node: i32, socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let id = {
        // Both under one lock, so that a node that goes down now finds the socket.
        let mut cluster = lock(&shared.cluster);
        let Some(id) = cluster.connect(node) else {
            return Ok(());
        };
        lock(&shared.sockets).insert(id, socket.try_clone()?);
        id
    };
    if shared.stopped() {
        // The stop may have missed the socket.
        let _ = socket.shutdown(Shutdown::Both);
    }
    let ended = converse(shared, id, &socket);
    lock(&shared.sockets).remove(&id);
    lock(&shared.cluster).disconnect(id);
    let _ = socket.shutdown(Shutdown::Both);
    ended
}

fn converse(shared: &Arc<Shared>, id: ConnectionId, mut socket: &TcpStream) -> io::Result<()> {
    let mut later: Option<Later> = None;
    let mut reader = BufReader::new(socket);
    let mut request = Vec::new();
    loop {
        let mut length = [0; 4];
        reader.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_REQUEST_BYTES {
            return Ok(());
        }
        request.clear();
        // Grows with what arrives, not with what was claimed.
        let mut body = reader.by_ref().take(length as u64);
        if body.read_to_end(&mut request)? < length {
            return Ok(());
        }
        let now_ms = shared.now_ms();
        let reply = lock(&shared.cluster).handle(id, &request, now_ms);
        let close = reply.close;
        if reply.at_ms <= now_ms && later.as_ref().is_none_or(Later::is_idle) {
            if let Some(bytes) = &reply.bytes {
                socket.write_all(bytes)?;
            }
        } else {
            if later.is_none() {
                later = Some(Later::start(shared, socket.try_clone()?));
            }
            if let Some(later) = &later {
                later.send(reply);
            }
        }
        if close {
            if let Some(later) = later {
                later.finish();
            }
            return Ok(());
        }
    }
}

/// The thread that sends the answers of one connection that leave later, in their order.
struct Later {
    replies: Sender<Reply>,
    /// Replies that are not yet written: while there are some, a later answer has to queue behind them.
    waiting: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Later {
    fn start(shared: &Arc<Shared>, socket: TcpStream) -> Later {
        let (sender, receiver) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let shared = Arc::clone(shared);
        let of_thread = Arc::clone(&waiting);
        let thread = thread::spawn(move || write_later(&shared, &receiver, &of_thread, socket));
        Later { replies: sender, waiting, thread }
    }

    fn is_idle(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
    }

    fn send(&self, reply: Reply) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // Only if its socket is broken the thread is gone, and then reading ends soon as well.
        let _ = self.replies.send(reply);
    }

    /// Waits until everything is written.
    fn finish(self) {
        drop(self.replies);
        let _ = self.thread.join();
    }
}

fn write_later(shared: &Shared, replies: &Receiver<Reply>, waiting: &AtomicUsize, mut socket: TcpStream) {
    for reply in replies {
        loop {
            let left = reply.at_ms.saturating_sub(shared.now_ms());
            if left == 0 {
                break;
            }
            if shared.stopped() {
                return;
            }
            thread::sleep(Duration::from_millis(left).min(STOP_CHECK));
        }
        let written = reply.bytes.is_none_or(|bytes| socket.write_all(&bytes).is_ok());
        waiting.fetch_sub(1, Ordering::SeqCst);
        if !written || reply.close {
            let _ = socket.shutdown(Shutdown::Both);
            return;
        }
    }
}
