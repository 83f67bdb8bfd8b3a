//! Waiting until the peer has acknowledged what it was sent.

use super::handle::Monitor;
use crate::errors::CloseReason;
use crate::policy::timer;
use crate::state::Transfer;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// The kernel tells nobody of an acknowledgement, so it is asked: at first after this time, which is
/// more than a round trip on a local network,
const FIRST_LOOK: Duration = Duration::from_millis(1);

/// and then twice as long after each time, up to this: short against what a person notices, and twenty
/// looks a second, at about a microsecond each, cost nothing.
const LAST_LOOK: Duration = Duration::from_millis(50);

impl Monitor {
    /// Waits until the peer has acknowledged all accepted bytes.
    ///
    /// It is heard of up to 50 ms late: the kernel has to be asked. That it has acknowledged them does
    /// not say that its program has read them, see [`Transfer::acknowledged`].
    ///
    /// # Errors
    ///
    /// * the [`CloseReason`], if the stream is over and some of the bytes never will be acknowledged, as
    ///   far as can be known ([`CloseReason::carried_by`] gets it back);
    /// * [`Unsupported`](ErrorKind::Unsupported): what is acknowledged is not known of this stream, see
    ///   [`Transfer::acknowledged`], or the runtime was built without a timer;
    /// * [`NotConnected`](ErrorKind::NotConnected): there is no runtime here.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost with the future.
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
        let mut pause = FIRST_LOOK;
        loop {
            // In this order: what is acknowledged after the end will not be heard of.
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
                        "hangup: what the peer has acknowledged is not known of this stream",
                    ));
                }
                _ => {}
            }
            if let Some(reason) = over {
                return Err(reason.into());
            }
            let _ = self.run_until_closed(tokio::time::sleep(pause)).await;
            pause = LAST_LOOK.min(pause * 2);
        }
    }

    /// Waits until the system holds nothing for the peer any more, as far as it tells.
    pub(crate) async fn wait_delivered(&self) -> io::Result<()> {
        let mut pause = FIRST_LOOK;
        loop {
            match (self.owed(), self.close_reason()) {
                // A peer that has sent its FIN goes on acknowledging.
                (_, Some(reason)) if reason != CloseReason::PeerClosed => return Err(reason.into()),
                (None | Some(0), _) => return Ok(()),
                _ => {}
            }
            tokio::time::sleep(pause).await;
            pause = LAST_LOOK.min(pause * 2);
        }
    }
}
