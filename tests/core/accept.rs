//! A listener that goes on after errors.

#![cfg(unix)]

use crate::support::{alone, soon};
use futures::FutureExt;
use hangup::{MonitorConfig, MonitoredListener};
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::SockRef;
use std::fs::File;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::sleep;

/// There is no descriptor for a connection. It waits, the error is told, and the next try takes it.
#[test]
fn waits_for_a_descriptor() {
    if !alone("accept::waits_for_a_descriptor") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(async {
        let (sender, mut errors) = unbounded_channel();
        let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
        let listener = listener.on_accept_error(move |error| {
            sender.send((error.raw_os_error(), error.kind())).unwrap();
            panic!("what the callback does ends no listener");
        });
        // The watcher's own descriptors are there from the first connection on.
        let address = listener.local_addr().unwrap();
        let _first = TcpStream::connect(address).await.unwrap();
        let _accepted = soon("the first connection", listener.accept_retrying()).await;

        let client = TcpStream::connect(address).await.unwrap();
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = Some(256);
        setrlimit(Resource::Nofile, limit).unwrap();
        let mut files: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        assert!(!files.is_empty());

        let mut accept = Box::pin(listener.accept_retrying());
        assert!((&mut accept).now_or_never().is_none());
        let error = errors.try_recv().unwrap();
        assert_eq!(error.0, Some(libc::EMFILE));
        assert_ne!(error.1, ErrorKind::WouldBlock);
        tokio::select! {
            _ = &mut accept => panic!("there is no descriptor"),
            _ = errors.recv() => {}
        }
        files.pop();
        let (_stream, peer) = soon("the connection", accept).await;
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

/// The options of a stream: `TCP_NODELAY`, `TCP_USER_TIMEOUT`, keepalive, and the limit of unsent bytes.
#[cfg(target_os = "linux")]
fn options(stream: &impl std::os::fd::AsFd) -> (bool, Option<Duration>, Option<[u64; 3]>, u32) {
    let socket = SockRef::from(stream);
    let keepalive = socket.keepalive().unwrap().then(|| {
        let time = socket.tcp_keepalive_time().unwrap().as_secs();
        let interval = socket.tcp_keepalive_interval().unwrap().as_secs();
        [
            time,
            interval,
            socket.tcp_keepalive_retries().unwrap().into(),
        ]
    });
    (
        socket.tcp_nodelay().unwrap(),
        socket.tcp_user_timeout().unwrap(),
        keepalive,
        socket.tcp_notsent_lowat().unwrap(),
    )
}

/// A listener's options are those of the connections that are completed from then on. Those that waited in its queue, and
/// those of the first second, have the same.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn every_connection_has_the_options() {
    let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    own.set_nonblocking(true).unwrap();
    let own = tokio::net::TcpListener::from_std(own).unwrap();
    tokio::join!(
        each_has_the_options(MonitoredListener::bind("127.0.0.1:0").await.unwrap()),
        each_has_the_options(MonitoredListener::from_listener(own)),
    );
}

#[cfg(target_os = "linux")]
async fn each_has_the_options(listener: MonitoredListener) {
    let config = MonitorConfig::new()
        .dead_peer_timeout(Duration::from_secs(64))
        .unsent_limit(12_345);
    let address = listener.local_addr().unwrap();
    let listener = listener.config(config).nodelay(true);
    let connect = || std::net::TcpStream::connect(address).unwrap();
    let mut clients: Vec<_> = (0..3).map(|_| connect()).collect();
    let expected = (
        true,
        Some(Duration::from_secs(48)),
        Some([24, 6, 4]),
        12_345,
    );
    for round in 0..6 {
        let (stream, _) = soon("a connection", listener.accept()).await.unwrap();
        assert_eq!(options(&stream), expected, "round {round}");
        if round == 2 {
            sleep(Duration::from_millis(1200)).await;
        }
        if round >= 2 {
            clients.push(connect());
        }
    }
    // Nothing of it stays for another configuration, or for another owner of the listener.
    let (_stream, _) = soon("a connection", listener.accept()).await.unwrap();
    let listener = listener.config(MonitorConfig::new()).nodelay(false);
    let none = (false, None, None, 0);
    for _ in 0..2 {
        clients.push(connect());
        let (stream, _) = soon("a connection", listener.accept()).await.unwrap();
        assert_eq!(options(&stream), none);
        sleep(Duration::from_millis(1200)).await;
    }
    let listener = listener.nodelay(true);
    clients.push(connect());
    soon("a connection", listener.accept()).await.unwrap();
    let listener = listener.into_inner();
    clients.push(connect());
    let (stream, _) = soon("a connection", listener.accept()).await.unwrap();
    assert_eq!(options(&stream), none);
}

/// The options that the user has set on the listener were lost with the first configuration, whether or not it had them.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_listener_gets_its_own_options_back() {
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let own = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(1111))
        .with_interval(Duration::from_secs(111))
        .with_retries(11);
    let socket = SockRef::from(listener.get_ref());
    socket.set_tcp_keepalive(&own).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    let user_timeout = Some(Duration::from_secs(1));
    socket.set_tcp_user_timeout(user_timeout).unwrap();
    socket.set_tcp_notsent_lowat(54_321).unwrap();
    let expected = (true, user_timeout, Some([1111, 111, 11]), 54_321);
    assert_eq!(options(listener.get_ref()), expected);
    let config = MonitorConfig::new()
        .dead_peer_timeout(Duration::from_secs(64))
        .unsent_limit(12_345);
    let listener = listener.config(config).nodelay(false);
    let client = std::net::TcpStream::connect(address).unwrap();
    soon("a connection", listener.accept()).await.unwrap();
    assert_ne!(options(listener.get_ref()), expected);
    let listener = listener.config(MonitorConfig::new());
    assert_eq!(options(listener.get_ref()), expected);
    let another = std::net::TcpStream::connect(address).unwrap();
    soon("a connection", listener.accept()).await.unwrap();
    assert_eq!(options(&listener.into_inner()), expected);
    drop((client, another));
}

/// A connection that waits while the configuration changes is a copy of the listener with the options of the old one. It had
/// the old timeout, although the new configuration has none.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_waiting_connection_gets_the_new_configuration() {
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || std::net::TcpStream::connect(address).unwrap();
    let config = MonitorConfig::new()
        .dead_peer_timeout(Duration::from_secs(64))
        .unsent_limit(12_345);
    let listener = listener.config(config).nodelay(true);
    let mut clients = vec![connect()];
    soon("a connection", listener.accept()).await.unwrap();
    clients.push(connect());
    clients.push(connect());
    let changed = listener.config(MonitorConfig::new().unsent_limit(7));
    let (stream, _) = soon("a connection", changed.accept()).await.unwrap();
    assert_eq!(options(&stream), (true, None, None, 7));
    let changed = changed.nodelay(false).config(MonitorConfig::new());
    let (stream, _) = soon("a connection", changed.accept()).await.unwrap();
    assert_eq!(options(&stream), (false, None, None, 0));
}

/// Listeners that share a port may get each other's connections (`tcp_migrate_req` in ip-sysctl), which are copies of the other
/// one. Such a listener is not changed, and each connection gets its options by itself.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_listener_that_shares_its_port_is_not_changed() {
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    SockRef::from(listener.get_ref())
        .set_reuse_port(true)
        .unwrap();
    let listener = listener.config(MonitorConfig::new().unsent_limit(12_345));
    let address = listener.local_addr().unwrap();
    let _client = std::net::TcpStream::connect(address).unwrap();
    let (stream, _) = soon("a connection", listener.accept()).await.unwrap();
    assert_eq!(options(&stream), (false, None, None, 12_345));
    assert_eq!(options(listener.get_ref()), (false, None, None, 0));
}
