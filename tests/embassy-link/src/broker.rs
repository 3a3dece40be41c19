//! The model broker behind sockets of a network stack.

use crate::executor::now;
use demitasse_broker::{Cluster, ConnectionId};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_time::{Duration, Instant, Timer};
use std::cell::RefCell;
use std::rc::Rc;

/// The model's time at the beginning, in milliseconds since 1970.
pub const EPOCH_MILLIS: u64 = 1_760_000_000_000;

/// Connections that a broker which stands alone can have at once; half-open ones of which it has not heard count.
pub const SOCKETS: usize = 8;

const BUFFER: usize = 32 * 1024;

/// The port that a node advertises.
pub const fn port(node: i32) -> u16 {
    9091 + node as u16
}

/// One socket of a node: serves one connection after the other. Does not end.
pub async fn serve(stack: Stack<'static>, cluster: Rc<RefCell<Cluster>>, node: i32) {
    let buffer = || Box::leak(vec![0; BUFFER].into_boxed_slice());
    let mut socket = TcpSocket::new(stack, buffer(), buffer());
    loop {
        // As a server that notices dead peers, only sooner: there are few sockets.
        socket.set_keep_alive(Some(Duration::from_secs(10)));
        socket.set_timeout(Some(Duration::from_secs(60)));
        if socket.accept(port(node)).await.is_ok() {
            socket.set_nagle_enabled(false);
            let connection = cluster.borrow_mut().connect(node);
            if let Some(id) = connection {
                talk(&mut socket, &cluster, id).await;
                cluster.borrow_mut().disconnect(id);
            }
        }
        socket.abort();
        let _ = socket.flush().await;
    }
}

async fn talk(socket: &mut TcpSocket<'static>, cluster: &Rc<RefCell<Cluster>>, id: ConnectionId) {
    loop {
        let mut length = [0; 4];
        if !read_exact(socket, &mut length).await {
            return;
        }
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        if !read_exact(socket, &mut frame).await {
            return;
        }
        let reply = cluster.borrow_mut().handle(id, &frame, EPOCH_MILLIS + now() / 1000);
        Timer::at(Instant::from_millis(reply.at_ms - EPOCH_MILLIS)).await;
        let mut rest = &reply.bytes.unwrap_or_default()[..];
        while !rest.is_empty() {
            match socket.write(rest).await {
                Ok(count) => rest = &rest[count..],
                Err(_) => return,
            }
        }
        if reply.close {
            let _ = socket.flush().await;
            return;
        }
    }
}

async fn read_exact(socket: &mut TcpSocket<'static>, mut bytes: &mut [u8]) -> bool {
    while !bytes.is_empty() {
        match socket.read(bytes).await {
            Ok(count) if count > 0 => bytes = &mut bytes[count..],
            _ => return false,
        }
    }
    true
}
