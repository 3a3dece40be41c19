//! A stand-in broker for firmware in QEMU, with a topic of a few commands: prints its port, and ends when its standard input
//! does.

#[path = "../tests/firmware/batch.rs"]
mod batch;

use demitasse_broker::{Options, Server};
use std::io::Read;

fn main() {
    // The host's loopback, as the guest sees it.
    let options = Options { host: "10.0.2.2".into(), default_partitions: 1, ..Options::default() };
    let server = Server::start(options).expect("a free port on loopback");
    let commands = ["1 interval 20", "2 interval 30", "3 stop"].map(str::to_owned);
    server.with(|cluster| {
        cluster.create_topic("commands", 1);
        cluster.append_batch("commands", 0, &batch::batch(&commands));
    });
    println!("{}", server.addresses()[0].port());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
