//! A name server that knows two names.

use crate::world::BROKER;
use embassy_net::Stack;
use embassy_net::udp::{PacketMetadata, UdpSocket};

/// The broker's name.
pub const NAME: &str = "broker.local";
/// Another, of two addresses: at the first there is nobody.
pub const TWO: &str = "two.local";

const NOBODY: [u8; 4] = [10, 0, 0, 77];

const TYPE_A: [u8; 4] = [0, 1, 0, 1];
/// An answer, recursion there if wanted; and the same for "no such name".
const FOUND: [u8; 2] = [0x81, 0x80];
const NOT_FOUND: [u8; 2] = [0x81, 0x83];

/// Answers questions for addresses. Does not end.
pub async fn serve(stack: Stack<'static>) {
    let metadata = || Box::leak(Box::new([PacketMetadata::EMPTY; 4]));
    let buffer = || Box::leak(vec![0; 2048].into_boxed_slice());
    let mut socket = UdpSocket::new(stack, metadata(), buffer(), metadata(), buffer());
    socket.bind(53).unwrap();
    let mut packet = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut packet).await {
        if let Some(answer) = answer(&packet[..length]) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let asked = question.get(12..)?;
    let end = asked.iter().position(|&byte| byte == 0)? + 1;
    let labels = |name: &str| -> Vec<u8> {
        name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect()
    };
    let is = |name| asked[..end - 1] == labels(name)[..] && asked.get(end..end + 4) == Some(&TYPE_A);
    let addresses: &[[u8; 4]] = match (is(NAME), is(TWO)) {
        (true, _) => &[BROKER.octets()],
        (_, true) => &[NOBODY, BROKER.octets()],
        _ => &[],
    };
    let mut answer = question[..2].to_vec();
    answer.extend(if addresses.is_empty() { NOT_FOUND } else { FOUND });
    answer.extend([0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    answer.extend(&asked[..end + 4]);
    for address in addresses {
        // The name as in the question, type A, a minute, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address);
    }
    Some(answer)
}
