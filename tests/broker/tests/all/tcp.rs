//! The server over TCP. These tests wait for sockets, so they are few.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use demitasse_broker::{Action, Options, Rule, Server};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, ProduceResponse};

use crate::client::*;

fn start(nodes: usize) -> Server {
    Server::start(Options { nodes, ..Options::default() }).unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

fn send(socket: &mut TcpStream, frame: &[u8]) {
    socket.write_all(&(frame.len() as u32).to_be_bytes()).unwrap();
    socket.write_all(frame).unwrap();
}

fn receive(socket: &mut TcpStream) -> Vec<u8> {
    let mut frame = vec![0; 4];
    socket.read_exact(&mut frame).unwrap();
    let length = u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize;
    frame.resize(4 + length, 0);
    socket.read_exact(&mut frame[4..]).unwrap();
    frame
}

fn ends(socket: &mut TcpStream) -> bool {
    matches!(socket.read(&mut [0; 1]), Ok(0) | Err(_))
}

#[test]
fn every_node_listens_and_advertises_its_port() {
    let server = start(3);
    let mut socket = connect(server.addresses()[1]);
    send(&mut socket, &encode(9, 1, &MetadataRequest::default().with_topics(None)));
    let response: MetadataResponse = decode(9, 1, &receive(&mut socket));
    let ports: Vec<i32> = response.brokers.iter().map(|broker| broker.port).collect();
    let bound: Vec<i32> = server.addresses().iter().map(|of| i32::from(of.port())).collect();
    assert_eq!(ports, bound);
    assert_eq!(server.bootstrap().split(',').count(), 3);
    assert_eq!(server.with(|cluster| cluster.connections(2)), 1);
}

#[test]
fn records_arrive_and_delayed_answers_keep_their_order() {
    let server = start(1);
    server.with(|cluster| {
        cluster.create_topic(TOPIC, 1);
        cluster.add_rule(Rule::new(Action::Delay(60)));
    });
    let mut socket = connect(server.addresses()[0]);
    let begun = Instant::now();
    for sequence in 0..3 {
        let request = produce_request(-1, 0, batch(5, 0, sequence, 1).bytes());
        send(&mut socket, &encode(9, sequence, &request));
    }
    for sequence in 0..3 {
        let response: ProduceResponse = decode(9, sequence, &receive(&mut socket));
        assert_eq!(only(response).base_offset, i64::from(sequence));
    }
    assert!(begun.elapsed() >= Duration::from_millis(60));
    assert_eq!(server.with(|cluster| values(cluster, 0)), ["0+0", "1+0", "2+0"]);
}

#[test]
fn a_downed_node_and_a_dropped_server_close_their_sockets() {
    let server = start(2);
    let mut first = connect(server.addresses()[0]);
    let mut second = connect(server.addresses()[1]);
    let frame = encode(9, 1, &MetadataRequest::default().with_topics(None));
    for socket in [&mut first, &mut second] {
        send(socket, &frame);
        receive(socket);
    }
    let now_ms = server.now_ms();
    assert!(server.with(|cluster| cluster.node_down(1, now_ms)));
    assert!(ends(&mut first));
    assert!(ends(&mut connect(server.addresses()[0])));
    send(&mut second, &frame);
    receive(&mut second);
    let address = server.addresses()[1];
    drop(server);
    assert!(ends(&mut second));
    assert!(TcpStream::connect(address).is_err());
}
