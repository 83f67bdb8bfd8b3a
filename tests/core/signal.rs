//! Streams whose transport reports the end by a future: a channel, and QUIC by quinn on loopback.

use crate::support::{lacks, reason, soon};
use hangup::{CloseReason, MonitoredStream, Status};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, ServerConfig, VarInt};
use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Join};
use tokio::sync::oneshot;
use tokio_rustls::rustls;

#[tokio::test]
async fn the_signal_closes_and_wakes_a_blocked_writer() {
    let (io, _remote) = tokio::io::duplex(4);
    let (hang_up, hung_up) = oneshot::channel();
    let mut stream = MonitoredStream::with_signal(io, async { hung_up.await.unwrap() });
    let monitor = stream.monitor();
    let writing = tokio::spawn(async move { stream.write_all(&[0; 64]).await });
    while monitor.accepted() < 4 {
        tokio::task::yield_now().await;
    }
    hang_up.send(CloseReason::TimedOut).unwrap();
    let error = soon("the writer", writing).await.unwrap().unwrap_err();
    assert_eq!(
        CloseReason::carried_by(&error),
        Some(&CloseReason::TimedOut)
    );
    assert_eq!(reason(&monitor).await, CloseReason::TimedOut);
}

#[tokio::test]
async fn the_peers_end_after_our_shutdown_is_the_orderly_one() {
    let (io, _remote) = tokio::io::duplex(64);
    let (hang_up, hung_up) = oneshot::channel();
    let mut stream = MonitoredStream::with_signal(io, async { hung_up.await.unwrap() });
    stream.shutdown().await.unwrap();
    hang_up.send(CloseReason::PeerClosed).unwrap();
    assert_eq!(reason(&stream.monitor()).await, CloseReason::Finished);
}

/// The task goes with the stream: a signal that never comes holds nothing.
#[tokio::test]
async fn the_task_ends_with_the_stream() {
    let (io, _remote) = tokio::io::duplex(64);
    let (held, dropped) = oneshot::channel::<()>();
    let stream = MonitoredStream::with_signal(io, async move {
        let _held = held;
        pending().await
    });
    let monitor = stream.monitor();
    drop(stream);
    assert_eq!(reason(&monitor).await, CloseReason::Dropped);
    soon("the end of the task", dropped).await.unwrap_err();
}

#[test]
fn a_runtime_shuts_down() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stream = runtime.block_on(async {
        let (io, remote) = tokio::io::duplex(64);
        std::mem::forget(remote);
        MonitoredStream::with_signal(io, pending())
    });
    assert_eq!(stream.monitor().status(), Status::Open);
    drop(runtime);
    assert_eq!(stream.close_reason(), Some(CloseReason::RuntimeShutdown));
}

type Quic = MonitoredStream<Join<RecvStream, SendStream>>;

/// A QUIC connection on loopback, with one stream on which the client has sent a byte.
struct Connected {
    stream: Quic,
    client: Connection,
    client_stream: (SendStream, RecvStream),
    _endpoints: (Endpoint, Endpoint),
}

async fn quic() -> Connected {
    let certified = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let server = QuicServerConfig::try_from(server).unwrap();
    let local = (Ipv4Addr::LOCALHOST, 0).into();
    let server = Endpoint::server(ServerConfig::with_crypto(Arc::new(server)), local).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = QuicClientConfig::try_from(client).unwrap();
    let client = ClientConfig::new(Arc::new(client));
    let endpoint = Endpoint::client(local).unwrap();
    let address = server.local_addr().unwrap();
    let connecting = endpoint.connect_with(client, address, "localhost").unwrap();
    let (client, accepted) = tokio::join!(soon("the client", connecting), async {
        soon("the server", server.accept()).await.unwrap().await
    });
    let (client, accepted) = (client.unwrap(), accepted.unwrap());
    let mut client_stream = client.open_bi().await.unwrap();
    client_stream.0.write_all(b"?").await.unwrap();
    let (send, receive) = soon("the stream", accepted.accept_bi()).await.unwrap();
    let stopped = send.stopped();
    let signal = async move {
        match stopped.await {
            // The client reads no more of this stream.
            Ok(Some(_)) => CloseReason::Reset,
            // Everything was acknowledged.
            Ok(None) => CloseReason::PeerClosed,
            // The whole connection is over.
            Err(_) => CloseReason::PeerClosed,
        }
    };
    Connected {
        stream: MonitoredStream::with_signal(tokio::io::join(receive, send), signal),
        client,
        client_stream,
        _endpoints: (server, endpoint),
    }
}

/// The thread that drops the runtime may unwind for a reason of its own.
#[test]
fn a_runtime_is_dropped_by_a_panic_elsewhere() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (io, _remote) = tokio::io::duplex(64);
    let stream = {
        let _entered = runtime.enter();
        MonitoredStream::with_signal(io, pending())
    };
    let unwinds = std::panic::AssertUnwindSafe(|| {
        let _runtime = runtime;
        std::panic::resume_unwind(Box::new("a panic of the program"));
    });
    std::panic::catch_unwind(unwinds).unwrap_err();
    assert_eq!(stream.close_reason(), Some(CloseReason::RuntimeShutdown));
}

#[tokio::test]
async fn a_quic_client_stops_one_stream() {
    if lacks("quic", "a_quic_client_stops_one_stream") {
        return;
    }
    let mut connected = quic().await;
    connected.stream.write_all(b"answer").await.unwrap();
    connected.client_stream.1.stop(VarInt::from_u32(7)).unwrap();
    let monitor = connected.stream.monitor();
    assert_eq!(reason(&monitor).await, CloseReason::Reset);
    assert!(connected.client.close_reason().is_none());
}

#[tokio::test]
async fn a_quic_connection_closes_under_a_blocked_writer() {
    if lacks("quic", "a_quic_connection_closes_under_a_blocked_writer") {
        return;
    }
    let mut connected = quic().await;
    let monitor = connected.stream.monitor();
    let writing = tokio::spawn(async move {
        loop {
            if let Err(error) = connected.stream.write_all(&[0; 65536]).await {
                return error;
            }
        }
    });
    while monitor.accepted() == 0 {
        tokio::task::yield_now().await;
    }
    connected.client.close(VarInt::from_u32(0), b"bye");
    soon("the writer", writing).await.unwrap();
    assert!(monitor.is_closed());
}

#[tokio::test]
async fn a_quic_stream_ends_in_order() {
    if lacks("quic", "a_quic_stream_ends_in_order") {
        return;
    }
    let mut connected = quic().await;
    connected.stream.write_all(b"answer").await.unwrap();
    connected.stream.shutdown().await.unwrap();
    let mut read = [0; 6];
    connected
        .client_stream
        .1
        .read_exact(&mut read)
        .await
        .unwrap();
    assert_eq!(&read, b"answer");
    let mut asked = [0];
    connected.stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"?");
    let monitor = connected.stream.monitor();
    assert_eq!(reason(&monitor).await, CloseReason::Finished);
}
