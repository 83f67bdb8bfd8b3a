//! What may be sent to and shared with other threads, and how large it is.

use hangup::*;
use std::fmt::Debug;
use std::hash::Hash;
use std::mem::size_of;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use tokio::net::TcpStream;

fn handle<T: Clone + Debug + Send + Sync + Unpin + 'static>() {}
fn owner<T: Debug + Send + Sync + Unpin + 'static>() {}
fn value<T: Clone + Debug + Eq + Hash + Send + Sync + Unpin + UnwindSafe + 'static>() {}

#[test]
fn auto_traits() {
    handle::<Monitor>();
    handle::<Closed>();
    handle::<MonitorConfig>();
    handle::<Connections>();
    owner::<MonitoredStream<TcpStream>>();
    owner::<Transport<TcpStream>>();
    owner::<MonitoredListener>();
    owner::<OwnedReadHalf<TcpStream>>();
    owner::<OwnedWriteHalf<TcpStream>>();
    owner::<ReadHalf<'static, TcpStream>>();
    owner::<WriteHalf<'static, TcpStream>>();
    owner::<ReuniteError<TcpStream>>();
    #[cfg(feature = "codec")]
    {
        owner::<UntilClosed<TcpStream>>();
        value::<SinkError<CloseReason>>();
    }
    #[cfg(feature = "test-util")]
    handle::<test_util::Remote>();
    value::<CloseReason>();
    value::<CopyOptions>();
    value::<CopyOutcome>();
    value::<Failure>();
    value::<RunError<CloseReason>>();
    owner::<RunError>();
    owner::<WrapError<TcpStream>>();
    value::<HalfClose>();
    value::<CopySide>();
    value::<StallPolicy>();
    value::<Status>();
    value::<Transfer>();
}

/// What tokio's streams are, ours are.
#[test]
fn unwind_safety() {
    fn safe<T: UnwindSafe + RefUnwindSafe>() {}
    safe::<TcpStream>();
    safe::<MonitoredStream<TcpStream>>();
    safe::<Transport<TcpStream>>();
    safe::<MonitoredListener>();
    safe::<Monitor>();
    safe::<Closed>();
    safe::<Grace>();
    safe::<GraceToken>();
    safe::<OwnedReadHalf<TcpStream>>();
    safe::<OwnedWriteHalf<TcpStream>>();
    safe::<tokio::io::ReadHalf<TcpStream>>();
    safe::<tokio::io::ReadHalf<MonitoredStream<TcpStream>>>();
    safe::<tokio::io::WriteHalf<MonitoredStream<TcpStream>>>();
}

#[test]
fn a_copy_is_send() {
    fn send<T: Send>(_: &T) {}
    let mut a = MonitoredStream::unwatched(tokio::io::duplex(1).0);
    let mut b = MonitoredStream::unwatched(tokio::io::duplex(1).0);
    send(&copy_bidirectional(&mut a, &mut b));
}

/// A future of a `!Send` task may be run until the close, and a `Send` one stays so.
#[test]
fn run_until_closed_is_as_send_as_its_future() {
    fn send<T: Send>(_: &T) {}
    let stream = MonitoredStream::unwatched(tokio::io::duplex(1).0);
    let monitor = stream.monitor();
    send(&monitor.run_until_closed(async {}));
    let local = Rc::new(());
    drop(monitor.run_until_closed(async move { drop(local) }));
}

#[cfg(feature = "tls")]
#[test]
fn auto_traits_of_tls() {
    use hangup::tls::{ClientStream, FailedHandshake, ServerStream, TlsListener, accept};
    owner::<ServerStream>();
    owner::<ClientStream>();
    owner::<TlsListener>();
    owner::<FailedHandshake>();
    fn send<T: Send>(_: impl FnOnce(ServerStream) -> T) {}
    // The futures may be spawned.
    send(|stream| stream.layer(|lower| async { Ok::<_, std::io::Error>(lower) }));
    fn sends(acceptor: &tokio_rustls::TlsAcceptor, stream: MonitoredStream<TcpStream>) {
        fn send<T: Send>(_: T) {}
        send(accept(acceptor, stream));
    }
    let _ = sends;
}

/// What a monitored stream costs beside the stream, on the usual 64-bit machine.
#[cfg(target_pointer_width = "64")]
#[test]
fn sizes() {
    let wrapper = size_of::<MonitoredStream<TcpStream>>() - size_of::<TcpStream>();
    assert_eq!(
        wrapper, 48,
        "the wrapper: two handles, a key, the policy, the side buffer"
    );
    assert_eq!(size_of::<Monitor>(), 8);
    assert_eq!(size_of::<Closed>(), 24);
    assert_eq!(size_of::<CloseReason>(), 16);
}

#[cfg(feature = "outbox")]
mod outbox {
    use super::*;
    use hangup::outbox::*;
    use std::cell::Cell;

    /// A message that cannot be shared.
    #[derive(Clone)]
    struct Unshared(#[allow(dead_code)] Cell<u8>);

    impl Message for Unshared {
        fn size(&self) -> usize {
            1
        }
    }

    fn sent<T: Debug + Send + Unpin + 'static>() {}
    fn equal<T: Clone + Debug + Eq + Send + Sync + Unpin + UnwindSafe + 'static>() {}

    #[test]
    fn auto_traits() {
        handle::<Outbox<Unshared>>();
        owner::<Receipt<Unshared>>();
        sent::<OutboxSink<Unshared>>();
        sent::<Builder<Unshared>>();
        sent::<Connection>();
        sent::<Confirm<Unshared>>();
        sent::<ByPeer<Unshared>>();
        sent::<OutboxError<Unshared>>();
        sent::<UndeliveredError<Unshared>>();
        sent::<ShutdownReport<Unshared>>();
        sent::<Delays>();
        equal::<OutboxStatus>();
        equal::<Link>();
        equal::<RefusedReason>();
        equal::<UndeliveredReason>();
        equal::<GiveUpReason>();
        equal::<Backoff>();
        equal::<BackoffError>();
        value::<Importance>();
        equal::<Processed>();
        value::<Delivered>();
        value::<ConfirmedBy>();
        value::<Overflow>();
        value::<UnsendableAction>();
        equal::<UnsendableReason>();
        equal::<NotStoredReason>();
        sent::<Unsendable<Unshared>>();
        equal::<Envelope<u8>>();
    }

    /// The futures may be moved to another thread, also with a message that cannot be shared.
    #[test]
    fn futures_are_send() {
        fn send<F: Future + Send>(_: &F) {}
        fn check(outbox: &Outbox<Unshared>) {
            send(&outbox.send(Unshared(Cell::new(0))));
            send(&outbox.shutdown(std::time::Duration::ZERO));
        }
        let _: fn(&Outbox<Unshared>) = check;
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn sizes() {
        assert_eq!(size_of::<Receipt<Unshared>>(), 24);
        assert_eq!(size_of::<Outbox<Unshared>>(), 8);
        assert_eq!(size_of::<Delivered>(), 1);
    }
}
