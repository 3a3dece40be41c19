//! A name server that knows one name.

use crate::world::BROKER;
use embassy_net::Stack;
use embassy_net::udp::{PacketMetadata, UdpSocket};

/// The name that it knows: the broker's.
pub const NAME: &str = "broker.local";

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
    let name: Vec<u8> = NAME.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    let known = asked[..end - 1] == name[..] && asked.get(end..end + 4)? == TYPE_A;
    let mut answer = question[..2].to_vec();
    answer.extend(if known { FOUND } else { NOT_FOUND });
    answer.extend([0, 1, 0, u8::from(known), 0, 0, 0, 0]);
    answer.extend(&asked[..end + 4]);
    if known {
        // The name as in the question, type A, a minute, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(BROKER.octets());
    }
    Some(answer)
}
