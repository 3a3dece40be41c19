//! Plain TCP over the same board: what an image weighs before there is any Kafka in it. For `cargo xtask size`.
//!
//! Arguments: the host's port, and how many messages. Each is 128 bytes, and 4 come back.

#![no_std]
#![no_main]

use embassy_net::tcp::TcpSocket;
use embassy_net::{Ipv4Address, Stack};
use embedded_io_async::{Read, Write};
use firmware_qemu::host::{Arguments, exit};
use firmware_qemu::{board, executor, stack, status};
use static_cell::ConstStaticCell;

/// Bytes of a socket's buffer; the same as in the other images.
const SOCKET: usize = 1536;

#[embassy_executor::task]
async fn application(network: Stack<'static>) {
    static RECEIVE: ConstStaticCell<[u8; SOCKET]> = ConstStaticCell::new([0; SOCKET]);
    static TRANSMIT: ConstStaticCell<[u8; SOCKET]> = ConstStaticCell::new([0; SOCKET]);

    let arguments = Arguments::read();
    let (port, messages) = (arguments.number(0, 9000) as u16, arguments.number(1, 1000));
    let mut socket = TcpSocket::new(network, RECEIVE.take(), TRANSMIT.take());
    socket.set_nagle_enabled(false);
    network.wait_config_up().await;
    if socket.connect((Ipv4Address::new(10, 0, 2, 2), port)).await.is_err() {
        exit(false);
    }
    let mut message = [7; 128];
    for _ in 0..messages {
        if socket.write_all(&message).await.is_err() || socket.read_exact(&mut message[..4]).await.is_err() {
            exit(false);
        }
    }
    status!("stack={}", stack::deepest());
    exit(true)
}

#[cortex_m_rt::entry]
fn main() -> ! {
    executor::run(|spawner| {
        let network = board::start(spawner);
        let Ok(task) = application(network) else { panic!("started twice") };
        spawner.spawn(task);
    })
}
