//! A broker of the stand-in behind a simulated listener, with the manners of one that is not well.

use demitasse_broker::{Cluster, ConnectionId};
use std::cell::{Cell, RefCell};
use std::io::Result;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream};

pub(crate) const PORT: u16 = 9092;

/// Milliseconds since 1970 at which every simulation begins.
const EPOCH_MILLIS: u64 = 1_760_000_000_000;

/// It looks so often what it is to do.
const MOMENT: Duration = Duration::from_millis(10);

/// What a broker does with a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    Serves,
    /// Accepts it and closes it.
    Closes,
    /// Accepts it and never says anything.
    IsSilent,
    /// Nobody listens.
    Refuses,
    /// The same, and what is connected is closed.
    Leaves,
}

/// What is written stays when a broker goes.
#[derive(Clone)]
pub(crate) struct Broker {
    pub(crate) cluster: Rc<RefCell<Cluster>>,
    pub(crate) manner: Rc<Cell<Manner>>,
    pub(crate) accepted: Rc<Cell<u32>>,
}

pub(crate) fn now_ms() -> u64 {
    EPOCH_MILLIS + turmoil::sim_elapsed().unwrap_or_default().as_millis() as u64
}

impl Broker {
    /// The host's software.
    pub(crate) async fn run(self) -> turmoil::Result {
        loop {
            while self.is_away() {
                tokio::time::sleep(MOMENT).await;
            }
            let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
            while !self.is_away() {
                let accepted = tokio::time::timeout(MOMENT, listener.accept()).await;
                if let Ok(accepted) = accepted {
                    self.accepted.set(self.accepted.get() + 1);
                    tokio::task::spawn_local(self.clone().meet(accepted?.0));
                }
            }
        }
    }

    async fn meet(self, stream: TcpStream) {
        match self.manner.get() {
            Manner::Serves => {
                let connection = self.cluster.borrow_mut().connect(1).expect("node 1 is up");
                tokio::select! {
                    _ = self.serve(stream, connection) => {}
                    () = self.leaves() => {}
                }
                self.cluster.borrow_mut().disconnect(connection);
            }
            Manner::IsSilent => std::future::pending().await,
            Manner::Closes | Manner::Refuses | Manner::Leaves => {}
        }
    }

    fn is_away(&self) -> bool {
        matches!(self.manner.get(), Manner::Refuses | Manner::Leaves)
    }

    async fn leaves(&self) {
        while self.manner.get() != Manner::Leaves {
            tokio::time::sleep(MOMENT).await;
        }
    }

    async fn serve(&self, mut stream: TcpStream, connection: ConnectionId) -> Result<()> {
        loop {
            let mut frame = vec![0; stream.read_u32().await? as usize];
            stream.read_exact(&mut frame).await?;
            let reply = self.cluster.borrow_mut().handle(connection, &frame, now_ms());
            stream.write_all(&reply.bytes.unwrap_or_default()).await?;
            if reply.close {
                return Ok(());
            }
        }
    }
}
