//! Waiting until the peer has acknowledged what it was sent.

use super::handle::Monitor;
use crate::errors::CloseReason;
use crate::policy::timer;
use crate::state::Transfer;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::time::sleep;

/// The pause before the second question to the kernel. Linux reports no acknowledgements by itself, so it has to be
/// asked. A millisecond is longer than a round trip in a local network.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest pause between two questions. The pause doubles until it reaches this limit. A person does not notice
/// 50 ms, and twenty questions a second, about a microsecond each, cost next to nothing.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl Monitor {
    /// Waits until the peer has acknowledged all accepted bytes.
    ///
    /// It returns up to 50 ms after the last acknowledgement, because the kernel has to be asked again and again. An
    /// acknowledged byte is in the memory of the peer's kernel. The peer's program may not have read it: see
    /// [`Transfer::acknowledged`].
    ///
    /// It has no time limit of its own. A peer that is connected and does not read never acknowledges more than its
    /// receive buffer holds, so put a [`timeout`](tokio::time::timeout) around this, or set a
    /// [stall policy](crate::StallPolicy).
    ///
    /// # Errors
    ///
    /// * the [`CloseReason`], if the stream closed before all bytes were acknowledged
    ///   ([`CloseReason::carried_by`] gets it back). After [`Finished`](CloseReason::Finished) the peer may still read, so
    ///   this waits until the connection itself has ended, and a stall policy no longer bounds it;
    /// * [`Unsupported`](ErrorKind::Unsupported): the system does not report acknowledged bytes for this stream (see
    ///   [`Transfer::acknowledged`]), or the runtime was built without a timer;
    /// * [`NotConnected`](ErrorKind::NotConnected): it was not called in a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future loses nothing.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use hangup::MonitoredListener;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let _client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut stream, _) = listener.accept().await?;
    /// stream.write_all(b"important").await?;
    /// stream.monitor().wait_acknowledged().await?;
    /// assert_eq!(stream.monitor().transfer().acknowledged, Some(9));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn main() {}
    /// ```
    pub async fn wait_acknowledged(&self) -> io::Result<()> {
        let _timer = timer::runtime("`wait_acknowledged`")?;
        let mut pause = FIRST_PAUSE;
        loop {
            // Both are asked first: after that the number of acknowledged bytes grows only if the system still delivers.
            let over = self.close_reason();
            let delivers = over == Some(CloseReason::Finished) && self.delivers();
            match self.transfer() {
                Transfer {
                    accepted,
                    acknowledged: Some(acknowledged),
                    ..
                } if acknowledged == accepted => return Ok(()),
                _ if self.is_acknowledgement_unknowable() => {
                    return Err(io::Error::new(
                        ErrorKind::Unsupported,
                        "hangup: the system does not report which bytes of this stream are acknowledged",
                    ));
                }
                _ => {}
            }
            match over {
                None => drop(self.run_until_closed(sleep(pause)).await),
                Some(_) if delivers => sleep(pause).await,
                Some(reason) => return Err(reason.into()),
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Waits until the system holds no more bytes for the peer. Where the system does not report them, it returns
    /// immediately.
    pub(crate) async fn wait_delivered(&self) -> io::Result<()> {
        let mut pause = FIRST_PAUSE;
        loop {
            // In this order: what the system no longer delivers stays owed.
            let delivers = self.close_reason().is_none() || self.delivers();
            match (self.owed(), self.close_reason()) {
                (_, Some(reason)) if !ended_by_fin(&reason) => return Err(reason.into()),
                (None | Some(0), _) => return Ok(()),
                (_, Some(reason)) if !delivers => return Err(reason.into()),
                _ => {}
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

/// Whether only FINs have closed the stream. A peer that has sent its FIN goes on acknowledging.
fn ended_by_fin(reason: &CloseReason) -> bool {
    matches!(reason, CloseReason::PeerClosed | CloseReason::Finished)
}
