//! A connection from its beginning to each of its ends.

use crate::Case;
use crate::loopback::{Loopback, reset};
use crate::support::soon;
use hangup::errors::{Call, Classifier, ErrorClass, OsError, Platform};
use hangup::{
    CloseReason, HalfClose, MonitorConfig, MonitoredListener, MonitoredStream, StallPolicy, Status,
    WatchOnly, errors,
};
use heapdelta::{LeakError, LeakTest, Report};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UnixStream};

pub(crate) const CASES: &[Case] = &[
    ("open_and_drop", open_and_drop),
    ("open_and_drop_on_two_workers", open_and_drop_on_two_workers),
    ("open_with_every_policy", open_with_every_policy),
    ("the_peer_closes", the_peer_closes),
    ("the_peer_resets", the_peer_resets),
    ("the_peer_half_closes", the_peer_half_closes),
    ("both_finish", both_finish),
    ("abort", abort),
    ("stalled", stalled),
    ("take_out", take_out),
    #[cfg(target_os = "linux")]
    ("watch_only", watch_only),
    ("unwatched", unwatched),
    ("finish_and_discard", finish_and_discard),
    ("ended_by_a_signal", ended_by_a_signal),
    ("reset_after_delivery", reset_after_delivery),
    ("unix", unix),
    ("pipe", pipe),
    ("listen", listen),
    ("split", split),
    ("direct_io", direct_io),
    ("halves", halves),
    ("wrap_again", wrap_again),
    ("connect", connect),
    ("traced", traced),
    ("counted", counted),
    ("classify", classify),
];

fn open_and_drop(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| loopback.open().await)
}

fn open_and_drop_on_two_workers(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.worker_threads(2)
        .run_async_with(Loopback::new, async |loopback| {
            let (stream, peer) = loopback.open().await;
            tokio::spawn(async move { drop(stream) }).await.unwrap();
            drop(peer);
        })
}

fn open_with_every_policy(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let stall = StallPolicy::new(1 << 20, Duration::from_secs(60));
        assert_eq!(
            (stall.bytes(), stall.window()),
            (1 << 20, Duration::from_secs(60))
        );
        let config = MonitorConfig::new()
            .half_close(HalfClose::Allow)
            .stall(stall)
            .reset_on_stall(true)
            .dead_peer_timeout(Duration::from_secs(60))
            .read_ahead(1 << 16)
            .fin_delay(Duration::from_secs(1))
            .unsent_limit(1 << 16);
        let (mut stream, mut peer) = loopback.watched(&config).await;
        stream.write_all(&[1; 1000]).await.unwrap();
        peer.read_exact(&mut [0; 1000]).await.unwrap();
    })
}

fn the_peer_closes(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (stream, peer) = loopback.open().await;
        drop(peer);
        assert_eq!(
            soon("the FIN", stream.closed()).await,
            CloseReason::PeerClosed
        );
        assert!(stream.is_closed() && stream.close_reason().is_some());
    })
}

fn the_peer_resets(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (mut stream, peer) = loopback.open().await;
        reset(peer);
        let reason = soon("the reset", stream.closed()).await;
        assert_eq!(reason, CloseReason::Reset);
        // The error, which carries the reason.
        let error = stream.write_all(b"x").await.unwrap_err();
        assert_eq!(CloseReason::carried_by(&error), Some(&reason));
    })
}

fn the_peer_half_closes(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let config = MonitorConfig::new().half_close(HalfClose::Allow);
        let (mut stream, mut peer) = loopback.watched(&config).await;
        peer.write_all(b"a request").await.unwrap();
        peer.shutdown().await.unwrap();
        let mut request = Vec::new();
        stream.read_to_end(&mut request).await.unwrap();
        stream.write_all(&request).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(
            soon("the end", stream.closed()).await,
            CloseReason::Finished
        );
    })
}

fn both_finish(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (mut stream, mut peer) = loopback.open().await;
        stream.write_all(b"a response").await.unwrap();
        let peer = async {
            peer.read_to_end(&mut Vec::new()).await.unwrap();
            drop(peer);
        };
        let (finished, ()) = tokio::join!(stream.finish(Duration::from_secs(30)), peer);
        assert_eq!(finished.unwrap().accepted, 10);
    })
}

/// The peer goes on sending, which is discarded.
fn finish_and_discard(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (mut stream, mut peer) = loopback.open().await;
        peer.write_all(&[1; 5000]).await.unwrap();
        let peer = async {
            peer.read_to_end(&mut Vec::new()).await.unwrap();
            drop(peer);
        };
        let finishing = stream.finish_and_discard(Duration::from_secs(30), 1 << 16);
        let (finished, ()) = tokio::join!(finishing, peer);
        finished.unwrap();
    })
}

fn abort(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let mut by_the_monitor = false;
    test.run_async_with(Loopback::new, async |loopback| {
        let (stream, _peer) = loopback.open().await;
        by_the_monitor = !by_the_monitor;
        match by_the_monitor {
            true => stream.monitor().abort(),
            false => stream.abort(),
        };
        assert_eq!(stream.close_reason(), Some(CloseReason::Aborted));
    })
}

/// A peer that does not read.
fn stalled(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.times(10)
        .warmup(5)
        .run_async_with(Loopback::new, async |loopback| {
            let stall = StallPolicy::new(1 << 20, Duration::from_millis(20));
            let config = MonitorConfig::new().stall(stall);
            let (mut stream, _peer) = loopback.watched(&config).await;
            let blocked = async { while stream.write_all(&[0; 65536]).await.is_ok() {} };
            soon("the stall", blocked).await;
            assert_eq!(stream.close_reason(), Some(CloseReason::Stalled));
        })
}

fn take_out(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (ours, peer) = loopback.pair().await;
        let mut stream = MonitoredStream::new(ours).unwrap();
        stream.get_ref().nodelay().unwrap();
        stream.get_mut().set_nodelay(true).unwrap();
        std::pin::Pin::new(&mut stream)
            .get_pin_mut()
            .nodelay()
            .unwrap();
        (stream.into_inner(), peer)
    })
}

/// Of one stream that stays open, and of one that is closed before the handle.
#[cfg(target_os = "linux")]
fn watch_only(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(
        async || {
            let loopback = Loopback::new().await;
            let open = loopback.pair().await;
            (loopback, open)
        },
        async |(loopback, (stays, _peer))| {
            let watch = WatchOnly::new(stays).unwrap();
            assert_eq!(watch.monitor().probe(), Status::Open);
            let (ours, peer) = loopback.pair().await;
            let watch = WatchOnly::with_half_close(&ours, HalfClose::Allow).unwrap();
            let monitor = watch.monitor();
            drop(ours);
            assert_eq!(monitor.probe(), Status::Closed(CloseReason::Dropped));
            drop((watch, peer));
        },
    )
}

fn unwatched(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async(async || {
        let (ours, peer) = tokio::io::duplex(64);
        let stream = MonitoredStream::unwatched(ours);
        let closed = stream.closed();
        drop((stream, peer));
        assert_eq!(closed.await, CloseReason::Dropped);
        let stall = StallPolicy::new(1, Duration::from_secs(60));
        let config = MonitorConfig::new().stall(stall);
        MonitoredStream::unwatched_with_config(tokio::io::duplex(64).0, &config)
    })
}

fn ended_by_a_signal(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async(async || {
        let (ours, _peer) = tokio::io::duplex(64);
        let signal = std::future::ready(CloseReason::Reset);
        let stream = MonitoredStream::with_signal(ours, signal);
        assert_eq!(
            soon("the signal", stream.closed()).await,
            CloseReason::Reset
        );
    })
}

fn reset_after_delivery(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (mut stream, peer) = loopback.open().await;
        stream.write_all(b"a refusal").await.unwrap();
        let _ = stream.reset_after_delivery(Duration::from_secs(30)).await;
        drop(peer);
    })
}

fn unix(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async(async || {
        let (ours, peer) = UnixStream::pair().unwrap();
        let stream = MonitoredStream::new(ours).unwrap();
        drop(peer);
        soon("the close", stream.closed()).await
    })
}

fn pipe(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async(async || {
        let (writer, reader) = tokio::net::unix::pipe::pipe().unwrap();
        let stream = MonitoredStream::write_only(writer, &MonitorConfig::new()).unwrap();
        drop(reader);
        soon("the close", stream.closed()).await
    })
}

fn listen(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async(async || {
        let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
        let listener = MonitoredListener::from_listener(listener.into_inner())
            .config(MonitorConfig::new())
            .on_accept_error(|_| ());
        let address = listener.local_addr().unwrap();
        assert_eq!(listener.get_ref().local_addr().unwrap(), address);
        let connections = listener.connections();
        let (peer, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let own = hangup::Connections::new();
        own.add(&accepted.as_ref().unwrap().0.monitor());
        assert_eq!((connections.len(), own.is_empty()), (1, false));
        connections.close_all();
        own.abort_all();
        assert_eq!(own.drain(Duration::ZERO).await.unwrap(), 0);
        let (again, retried) =
            tokio::join!(TcpStream::connect(address), listener.accept_retrying());
        let third = TcpStream::connect(address).await.unwrap();
        let polled = std::future::poll_fn(|cx| listener.poll_accept(cx))
            .await
            .unwrap();
        (
            peer.unwrap(),
            accepted.unwrap(),
            again.unwrap(),
            retried,
            third,
            polled,
        )
    })
}

fn split(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (stream, peer) = loopback.open().await;
        let (mut reader, mut writer) = tokio::io::split(stream);
        drop(peer);
        assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
        writer.write_all(b"x").await.unwrap_err();
    })
}

fn direct_io(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (mut stream, mut peer) = loopback.open().await;
        assert_eq!(stream.peer_addr().unwrap(), peer.local_addr().unwrap());
        assert_eq!(stream.local_addr().unwrap(), peer.peer_addr().unwrap());
        stream.set_nodelay(true).unwrap();
        assert!(stream.nodelay().unwrap());
        stream.writable().await.unwrap();
        assert_eq!(stream.try_write(b"x").unwrap(), 1);
        let parts = [io::IoSlice::new(b"x")];
        assert_eq!(stream.try_write_vectored(&parts).unwrap(), 1);
        peer.write_all(b"xx").await.unwrap();
        let both = Interest::READABLE | Interest::WRITABLE;
        soon("readiness", stream.ready(both)).await.unwrap();
        soon("input", stream.readable()).await.unwrap();
        assert!(stream.peek(&mut [0]).await.unwrap() > 0);
        assert!(stream.try_read(&mut [0; 2]).unwrap() > 0);
        // One that is not polled to its end.
        let mut waits = std::pin::pin!(stream.readable());
        let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
        let _ = waits.as_mut().poll(context);
    })
}

fn halves(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (mut stream, mut peer) = loopback.open().await;
        peer.write_all(b"xxx").await.unwrap();
        {
            let (mut reader, mut writer) = stream.split();
            assert!(!reader.monitor().is_closed() && !writer.monitor().is_closed());
            soon("input", reader.readable()).await.unwrap();
            assert!(reader.peek(&mut [0]).await.unwrap() > 0);
            assert_eq!(reader.try_read(&mut [0]).unwrap(), 1);
            soon("room", writer.writable()).await.unwrap();
            assert_eq!(writer.try_write(b"x").unwrap(), 1);
            writer
                .try_write_vectored(&[io::IoSlice::new(b"x")])
                .unwrap();
            let file = tempfile::tempfile().unwrap();
            assert_eq!(writer.send_file(&file, ..).await.unwrap(), 0);
        }
        let (mut reader, mut writer) = stream.into_split();
        assert!(!reader.monitor().is_closed() && !writer.monitor().is_closed());
        soon("input", reader.readable()).await.unwrap();
        assert!(reader.peek(&mut [0]).await.unwrap() > 0);
        assert_eq!(reader.try_read(&mut [0]).unwrap(), 1);
        soon("room", writer.writable()).await.unwrap();
        assert_eq!(writer.try_write(b"x").unwrap(), 1);
        writer
            .try_write_vectored(&[io::IoSlice::new(b"x")])
            .unwrap();
        let file = tempfile::tempfile().unwrap();
        assert_eq!(writer.send_file(&file, ..).await.unwrap(), 0);
        let (other_reader, other_writer) = loopback.open().await.0.into_split();
        let (reader, other_writer) = reader.reunite(other_writer).unwrap_err().into_halves();
        other_writer.forget();
        drop(other_reader);
        let (_reader, writer) = reader.reunite(writer).unwrap().into_split();
        drop(writer);
    })
}

/// What cannot be wrapped comes back, and is wrapped after all.
fn wrap_again(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (ours, _peer) = loopback.pair().await;
        let impossible = MonitorConfig::new().dead_peer_timeout(Duration::ZERO);
        let error = MonitoredStream::try_with_config(ours, &impossible).unwrap_err();
        assert_eq!(error.error().kind(), io::ErrorKind::InvalidInput);
        let (_, ours) = error.into_parts();
        let reads = MonitorConfig::new().read_ahead(1024);
        let error = MonitoredStream::try_write_only(ours, &reads).unwrap_err();
        MonitoredStream::try_new(error.into_inner()).unwrap();
    })
}

fn connect(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(
        async || tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
        async |listener| {
            let address = listener.local_addr().unwrap();
            let config = MonitorConfig::new();
            let one = MonitoredStream::connect(address).await.unwrap();
            let other = MonitoredStream::connect_with(address, &config, None)
                .await
                .unwrap();
            drop((listener.accept().await, listener.accept().await, one, other));
        },
    )
}

/// With a subscriber, whose event at the end of each stream is written to nowhere.
fn traced(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let subscriber = tracing_subscriber::fmt().with_writer(io::sink).finish();
    tracing::subscriber::with_default(subscriber, || open_and_drop(test))
}

/// With a recorder that keeps nothing.
fn counted(test: LeakTest<'_>) -> Result<Report, LeakError> {
    metrics::with_local_recorder(&metrics::NoopRecorder, || {
        hangup::metrics::describe();
        open_and_drop(test)
    })
}

fn classify(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run(|| {
        let reset = io::Error::from_raw_os_error(104);
        let class = errors::classify(&reset);
        assert!(class.is_connection() && !class.advice().to_string().is_empty());
        assert!(errors::is_connection_error(&reset) && !errors::is_not_ready(&reset));
        assert_eq!(errors::classify_error(&reset), class);
        let wrapped = io::Error::other(io::Error::from(CloseReason::Stalled));
        assert_eq!(CloseReason::find(&wrapped), Some(CloseReason::Stalled));
        assert_eq!(errors::classify_os(104, Platform::Linux), class);
        let classifier = Classifier::new().rule(|_: &std::fmt::Error| ErrorClass::Tls);
        assert_eq!(classifier.classify(&reset), class);
        assert_eq!(classifier.classify_error(&reset), class);
        let _ = errors::classify_call(&reset, Call::Connect);
        let _ = classifier.classify_call(&reset, Call::Bind);
        let known = OsError::from_name("EPIPE", Platform::Linux).unwrap();
        assert_eq!(
            OsError::from_code(known.code(), Platform::Linux),
            Some(known)
        );
        let lookup = OsError::from_lookup(-2, Platform::Linux);
        let _ = (
            lookup,
            Platform::current(),
            known.name(),
            known.class(),
            class.is_transient(),
        );
        let reason = CloseReason::from(&io::Error::other("a reason of its own"));
        let _ = (reason.name(), reason.is_local(), reason.class());
        if let CloseReason::Failed(failure) = &reason {
            let _ = (failure.kind(), failure.code(), failure.class());
        }
        io::Error::from(reason)
    })
}
