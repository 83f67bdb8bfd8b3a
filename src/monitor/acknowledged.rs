//! Waiting until the peer has acknowledged what it was sent.

use super::handle::Monitor;
use crate::errors::CloseReason;
use crate::policy::timer;
use crate::state::Transfer;
use std::io::{self, ErrorKind};
use std::time::Duration;

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
    ///   ([`CloseReason::carried_by`] gets it back);
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
            // The reason is read first. After a close the number of acknowledged bytes no longer grows.
            let over = self.close_reason();
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
            if let Some(reason) = over {
                return Err(reason.into());
            }
            let _ = self.run_until_closed(tokio::time::sleep(pause)).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Waits until the system holds no more bytes for the peer. Where the system does not report them, it returns
    /// immediately.
    pub(crate) async fn wait_delivered(&self) -> io::Result<()> {
        let mut pause = FIRST_PAUSE;
        loop {
            match (self.owed(), self.close_reason()) {
                // A peer that has sent its FIN goes on acknowledging.
                (_, Some(reason)) if reason != CloseReason::PeerClosed => return Err(reason.into()),
                (None | Some(0), _) => return Ok(()),
                _ => {}
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}
