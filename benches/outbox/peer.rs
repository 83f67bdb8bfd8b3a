//! A thread that drains.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use tokio::sync::oneshot;

/// Takes one connection, and all that comes on it.
pub(crate) struct Peer {
    address: SocketAddr,
    targets: mpsc::Sender<(u64, oneshot::Sender<()>)>,
}

impl Peer {
    pub(crate) fn new() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (targets, expected) = mpsc::channel::<(u64, oneshot::Sender<()>)>();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept()?;
            let mut buffer = vec![0; 256 * 1024];
            for (mut left, done) in expected {
                while left > 0 {
                    match stream.read(&mut buffer)? {
                        0 => return Ok(()),
                        read => left -= read as u64,
                    }
                }
                let _ = done.send(());
            }
            Ok::<_, io::Error>(())
        });
        Ok(Self { address, targets })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resolves when so many bytes more have come.
    pub(crate) fn expect(&self, bytes: u64) -> oneshot::Receiver<()> {
        let (done, receiver) = oneshot::channel();
        // If the thread is gone, the receiver says so.
        let _ = self.targets.send((bytes, done));
        receiver
    }
}
