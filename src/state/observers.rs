//! The observers of the shared cell: futures, tokens and channels, and the reads and writes that wait.

use super::cell::{FIN_AHEAD, LAYERING, wake};
use super::keyed_list::Key;
use super::shared::SharedState;
use super::status::Status;
use super::sync::Ordering;
use crate::errors::CloseReason;
use std::mem;
use std::task::{Poll, Waker};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

impl SharedState {
    /// Registers `waker` for the moment when the peer has finished and the stream stays open.
    pub(crate) fn on_half_close(&self, waker: Waker) {
        let mut cell = self.lock();
        match cell.state.status() {
            Status::Open => cell.extras().half_close = Some(waker),
            Status::Closed(_) => {}
            Status::PeerFinished => {
                drop(cell);
                wake(Some(waker));
            }
        }
    }

    /// Registers `waker` for the close, at the position of `key`.
    pub(crate) fn poll_closed(&self, key: &mut Option<Key>, waker: &Waker) -> Poll<CloseReason> {
        let mut cell = self.lock();
        if let Some(reason) = cell.state.status().reason() {
            return Poll::Ready(reason.clone());
        }
        let replaced = match key.and_then(|key| cell.waiters.get_mut(key)) {
            Some(place) if place.will_wake(waker) => None,
            Some(place) => Some(mem::replace(place, waker.clone())),
            None => {
                *key = Some(cell.waiters.insert(waker.clone()));
                None
            }
        };
        // Dropping a waker may drop a task, and a value of that task may lock this cell.
        drop(cell);
        drop(replaced);
        Poll::Pending
    }

    /// Removes the waker of `key`.
    pub(crate) fn forget(&self, key: Key) {
        let waker = self.lock().waiters.remove(key);
        drop(waker);
    }

    /// Records that a read is pending.
    #[inline]
    pub(crate) fn read_is_pending(&self) {
        self.pending_read.store(self.read_mark(), Ordering::Relaxed);
    }

    /// Whether the last read was pending, and so its task is about to read again.
    pub(crate) fn is_read_pending(&self) -> bool {
        self.pending_read.load(Ordering::Relaxed) == self.read_mark()
    }

    /// Records whether input has left the kernel and has not reached the reader, who is about to read it and the FIN behind
    /// it.
    pub(crate) fn set_input_ahead(&self, is_ahead: bool) {
        self.input_ahead.store(is_ahead, Ordering::Relaxed);
    }

    pub(crate) fn is_input_ahead(&self) -> bool {
        self.input_ahead.load(Ordering::Relaxed)
    }

    /// A protocol above the stream begins its set-up. A read of the stream that was pending before it is not its read.
    pub(crate) fn begin_layering(&self) {
        self.pending_read.store(0, Ordering::Relaxed);
        self.flags.fetch_or(LAYERING, Ordering::AcqRel);
    }

    /// The protocol has read from the stream below it. During its set-up it may hold that input back until it reads again.
    pub(crate) fn layer_read(&self, has_input: bool) {
        if self.flags.load(Ordering::Acquire) & LAYERING != 0 {
            self.set_input_ahead(has_input);
        }
    }

    /// The protocol is set up. Its reads are the stream's from now on.
    pub(crate) fn end_layering(&self) {
        self.flags.fetch_and(!LAYERING, Ordering::AcqRel);
        self.set_input_ahead(false);
    }

    /// See `pending_read`. The mark repeats after 2 GiB. In that case a write is refused a little later.
    #[allow(clippy::cast_possible_truncation)] // the low bits are what is wanted
    fn read_mark(&self) -> u32 {
        (self.counters.read() as u32) << 1 | 1
    }

    /// Whether no event changes anything any more: the stream has closed, and refuses writes.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_closed() && self.lock().state.refuses_writes()
    }

    /// Whether only a FIN has closed the stream, and no read has reached it.
    pub(crate) fn is_fin_unread(&self) -> bool {
        self.is_closed() && self.lock().state.is_fin_unread()
    }

    /// Why a write is refused, if it is. `reads_fin` says whether a reader is about to read the FIN that closed the
    /// stream. It is called only if this matters (invariant 10).
    pub(crate) fn refusal(&self, reads_fin: impl FnOnce() -> bool) -> Option<CloseReason> {
        if !self.is_closed() {
            return None;
        }
        let cell = self.lock();
        let reason = cell.state.status().reason().cloned()?;
        let waits = cell.state.is_fin_unread();
        // `reads_fin` takes the socket's lock, which comes before this lock in the order. So this lock is released.
        drop(cell);
        (!waits || !reads_fin()).then_some(reason)
    }

    /// Registers the task whose write is pending, or returns why the write cannot continue. For `reads_fin` see
    /// [`refusal`](Self::refusal).
    pub(crate) fn park_writer(
        &self,
        waker: &Waker,
        reads_fin: impl FnOnce() -> bool,
    ) -> Result<(), CloseReason> {
        let mut cell = self.lock();
        let reason = cell.state.status().reason().cloned();
        match reason {
            Some(reason) if cell.state.refuses_writes() => return Err(reason),
            Some(_) => {
                cell.extras().parked_at = self.counters.read();
                self.flags.fetch_or(FIN_AHEAD, Ordering::AcqRel);
            }
            None => {}
        }
        let replaced = match &mut cell.writer {
            Some(writer) if writer.will_wake(waker) => None,
            writer => writer.replace(waker.clone()),
        };
        let waits = reason.filter(|_| cell.state.is_fin_unread());
        drop(cell);
        drop(replaced);
        // The order matters: a reader that reaches the FIN now has to find the writer.
        match waits {
            Some(reason) if !reads_fin() => {
                let parked = self.lock().writer.take();
                drop(parked);
                Err(reason)
            }
            _ => Ok(()),
        }
    }

    /// Why a read cannot continue after the close.
    pub(crate) fn read_refusal(&self) -> Option<CloseReason> {
        let cell = self.lock();
        let reason = cell.state.status().reason();
        reason.filter(|_| cell.ends_reads).cloned()
    }

    /// Registers the task whose read is pending, or returns why the read cannot continue. After most closes reads
    /// continue, and the system wakes the reader.
    pub(crate) fn park_reader(&self, waker: &Waker) -> Result<(), CloseReason> {
        let mut cell = self.lock();
        if let Some(reason) = cell.state.status().reason() {
            return match cell.ends_reads {
                true => Err(reason.clone()),
                false => Ok(()),
            };
        }
        let replaced = match &mut cell.extras().reader {
            Some(reader) if reader.will_wake(waker) => None,
            reader => reader.replace(waker.clone()),
        };
        drop(cell);
        drop(replaced);
        Ok(())
    }

    /// A receiver of the stream's channel, which is made for the first one. After the close each receiver gets a channel of
    /// its own, whose sender is gone: so `changed` fails at once, and nobody waits for a change that cannot come.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Status> {
        let mut cell = self.lock();
        let status = cell.state.status().clone();
        if status.is_closed() {
            // The status will not change any more, and the stream's own channel may be about to be updated.
            drop(cell);
            return watch::Sender::new(status).subscribe();
        }
        let watch = &mut cell.extras().watch;
        watch
            .get_or_insert_with(|| watch::Sender::new(status))
            .subscribe()
    }

    /// A token that the close cancels. It is a child token, so cancelling it does not affect others.
    pub(crate) fn token(&self) -> CancellationToken {
        let mut cell = self.lock();
        let closed = cell.state.status().is_closed();
        let token = cell.extras().token.get_or_insert_default().clone();
        // The wakers of the token may run any code.
        drop(cell);
        if closed {
            token.cancel();
        }
        token.child_token()
    }
}
