//! A broker that only acknowledges: what clients cost when no broker is in their way. It reads, and keeps nothing.
//!
//! It leads all partitions of whatever topic it is asked for, gives out producer ids, and says at once that a batch was
//! written, whatever is in it.

mod connection;
mod messages;
mod produce;

use anyhow::Result;
use clap::Parser;
use std::net::TcpListener;
use std::{io, thread};

#[derive(Parser)]
struct Arguments {
    /// Partitions of every topic.
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    /// End when standard input does: with whoever started this, in whatever way.
    #[arg(long)]
    until_end_of_input: bool,
}

fn main() -> Result<()> {
    let Arguments { partitions, until_end_of_input } = Arguments::parse();
    if until_end_of_input {
        thread::spawn(|| {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            std::process::exit(0);
        });
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    println!("127.0.0.1:{port}");
    for stream in listener.incoming() {
        let stream = stream?;
        let broker = messages::Broker { port, partitions };
        thread::spawn(move || {
            if let Err(error) = connection::serve(&stream, &broker) {
                eprintln!("sink: {error:#}");
            }
        });
    }
    Ok(())
}
