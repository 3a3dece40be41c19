//! A stand-in broker for firmware in QEMU: prints its port, and ends when its standard input does.

use demitasse_broker::{Options, Server};
use std::io::Read;

fn main() {
    // The host's loopback, as the guest sees it.
    let options = Options { host: "10.0.2.2".into(), default_partitions: 1, ..Options::default() };
    let server = Server::start(options).expect("a free port on loopback");
    println!("{}", server.addresses()[0].port());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
