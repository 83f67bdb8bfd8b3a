//! How the proxy cuts a connection.

use crate::cuts::{Cut, PlannedCut};
use crate::forward::pump;
use std::io::{self, ErrorKind, Read};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, sink};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// What the proxy does with bytes that its system has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    Rude,
    Gentle,
}

/// By then a segment that came just before the filter is in the socket.
const SETTLED: Duration = Duration::from_millis(2);

/// Cuts, and throws away the bytes that are under way.
pub(crate) async fn rude(
    planned: PlannedCut,
    mut sender: TcpStream,
    peer: TcpStream,
) -> io::Result<()> {
    match planned.cut {
        Cut::Fin => {
            drop(peer);
            sender.shutdown().await?;
            pump(&mut sender, sink(), u64::MAX).await?;
        }
        Cut::Reset | Cut::BlackHole => {
            if planned.cut == Cut::BlackHole {
                sleep(planned.hold).await;
            }
            peer.set_zero_linger()?;
            sender.set_zero_linger()?;
        }
    }
    Ok(())
}

/// Delivers to the peer everything that was acknowledged, and cuts.
pub(crate) async fn gentle(
    planned: PlannedCut,
    mut sender: TcpStream,
    mut peer: TcpStream,
) -> io::Result<()> {
    match planned.cut {
        Cut::Fin => {
            sender.shutdown().await?;
            // The sender may end with a reset, too.
            let _ = pump(&mut sender, &mut peer, u64::MAX).await;
        }
        Cut::Reset | Cut::BlackHole => {
            deafen(&sender)?;
            sleep(SETTLED).await;
            peer.write_all(&drain(&sender)?).await?;
            if planned.cut == Cut::BlackHole {
                sleep(planned.hold).await;
            }
            sender.set_zero_linger()?;
            drop(sender);
        }
    }
    peer.shutdown().await?;
    // The peer has read everything when it closes.
    pump(&mut peer, sink(), u64::MAX).await.map(drop)
}

/// Makes the system drop every segment for this socket before TCP sees and acknowledges it.
#[cfg(target_os = "linux")]
fn deafen(socket: &TcpStream) -> io::Result<()> {
    // BPF_RET | BPF_K: accept no byte of the packet.
    let none = socket2::SockFilter::new(0x06, 0, 0, 0);
    socket2::SockRef::from(socket).attach_filter(&[none])
}

#[cfg(not(target_os = "linux"))]
fn deafen(_: &TcpStream) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Everything that the socket holds. Read from the system directly: the runtime may not know of it yet.
fn drain(socket: &TcpStream) -> io::Result<Vec<u8>> {
    let socket = socket2::SockRef::from(socket);
    let mut socket = &*socket;
    let mut drained = Vec::new();
    match socket.read_to_end(&mut drained) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => Ok(drained),
    }
}
