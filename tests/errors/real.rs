//! Real errors, provoked on this machine, and the class of each. Linux only: other systems' tables are
//! pure, and are tested on every platform.

#![cfg(target_os = "linux")]

use hangup::CloseReason;
use hangup::errors::{
    Call, ErrorClass, classify, classify_call, is_connection_error, is_not_ready,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{
    Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, ToSocketAddrs, UdpSocket,
};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};
use std::time::Duration;

/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(30);

/// That `error` is `code` and means `class`.
#[track_caller]
fn assert_class(error: &io::Error, code: i32, class: ErrorClass) {
    assert_eq!(error.raw_os_error(), Some(code), "{error}");
    assert_eq!(classify(error), class, "{error}");
    assert_eq!(CloseReason::from(error).class(), class, "{error}");
}

fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    (client, listener.accept().unwrap().0)
}

/// A client whose peer has reset the connection: it closed with a byte unread.
fn reset() -> TcpStream {
    let (mut client, server) = connected();
    client.write_all(b"x").unwrap();
    assert_eq!(server.peek(&mut [0]).unwrap(), 1);
    drop(server);
    client
}

/// Waits until `socket` has one of `events`, for as long as the deadline.
fn wait_for(socket: impl AsFd, events: PollFlags) {
    let timeout = DEADLINE.try_into().unwrap();
    let ready = poll(&mut [PollFd::new(&socket, events)], Some(&timeout)).unwrap();
    assert_eq!(ready, 1, "nothing within the deadline");
}

#[test]
fn a_refused_connect() {
    // Bound and not listening: the port is nobody else's meanwhile.
    let bound = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&bound, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr: SocketAddr = rustix::net::getsockname(&bound)
        .unwrap()
        .try_into()
        .unwrap();
    let error = TcpStream::connect(addr).unwrap_err();
    assert_class(&error, libc::ECONNREFUSED, ErrorClass::Disconnected);
}

#[test]
fn a_reset_and_the_broken_pipe_after_it() {
    let mut client = reset();
    let error = client.read(&mut [0]).unwrap_err();
    assert_class(&error, libc::ECONNRESET, ErrorClass::Disconnected);
    assert_eq!(CloseReason::from(&error), CloseReason::Reset);

    let error = client.write(b"x").unwrap_err();
    assert_class(&error, libc::EPIPE, ErrorClass::Disconnected);
    assert_eq!(CloseReason::from(&error), CloseReason::PeerClosed);

    let error = client.shutdown(std::net::Shutdown::Both).unwrap_err();
    assert_class(&error, libc::ENOTCONN, ErrorClass::Disconnected);
}

/// The first send after the peer closed succeeds; only a later one fails. A read fails in no way: it
/// gives nothing, for ever after.
#[test]
fn a_peer_that_closed() {
    let (mut client, server) = connected();
    drop(server);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!(client.write(b"x").unwrap(), 1);
    wait_for(&client, PollFlags::HUP);
    let error = client.write(b"x").unwrap_err();
    assert_class(&error, libc::EPIPE, ErrorClass::Disconnected);
}

#[test]
fn a_broken_pipe_of_a_unix_socket() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    // Another test may be starting a program: until its exec(2) the new process has a copy of the descriptor.
    wait_for(&ours, PollFlags::HUP);
    let error = ours.write(b"x").unwrap_err();
    assert_class(&error, libc::EPIPE, ErrorClass::Disconnected);
}

#[test]
fn a_socket_that_is_not_connected() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = udp.peer_addr().unwrap_err();
    assert_class(&error, libc::ENOTCONN, ErrorClass::Disconnected);
    let error = udp.send(b"x").unwrap_err();
    assert_class(&error, libc::EDESTADDRREQ, ErrorClass::Misuse);
}

/// The peer lives and its window is shut: the user timeout ends the connection.
#[test]
fn a_user_timeout() {
    let (mut client, _server) = connected();
    sockopt::set_tcp_user_timeout(&client, 200).unwrap();
    client.set_nonblocking(true).unwrap();
    let full = loop {
        if let Err(error) = client.write(&[0; 65_536]) {
            break error;
        }
    };
    assert_class(&full, libc::EAGAIN, ErrorClass::NotReady);
    assert!(is_not_ready(&full) && !is_connection_error(&full));

    wait_for(&client, PollFlags::IN);
    let error = client.read(&mut [0]).unwrap_err();
    assert_class(&error, libc::ETIMEDOUT, ErrorClass::Timeout);
    assert_eq!(CloseReason::from(&error), CloseReason::TimedOut);
    assert!(is_connection_error(&error));
}

/// A timer of std's: on connect it says what it is; on a read Unix says "not ready".
#[test]
fn timers_of_std() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    // One connection fills a queue of length 0; the next one's SYN is dropped.
    let mut first = TcpStream::connect(addr).unwrap();
    let error = TcpStream::connect_timeout(&addr, Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.raw_os_error(), None);
    assert_eq!(classify(&error), ErrorClass::Timeout);

    first
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    let error = first.read(&mut [0]).unwrap_err();
    assert_class(&error, libc::EAGAIN, ErrorClass::NotReady);
}

/// A non-blocking connect to a queue that is full stays under way.
#[test]
fn a_connect_under_way() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let first = non_blocking();
    let error: io::Error = rustix::net::connect(&first, &addr).unwrap_err().into();
    assert_class(&error, libc::EINPROGRESS, ErrorClass::NotReady);
    wait_for(&first, PollFlags::OUT);
    // The first call after the success tells it, the second that there is nothing to do.
    rustix::net::connect(&first, &addr).unwrap();
    let error: io::Error = rustix::net::connect(&first, &addr).unwrap_err().into();
    assert_class(&error, libc::EISCONN, ErrorClass::Misuse);

    let second = non_blocking();
    let error: io::Error = rustix::net::connect(&second, &addr).unwrap_err().into();
    assert_class(&error, libc::EINPROGRESS, ErrorClass::NotReady);
    let error: io::Error = rustix::net::connect(&second, &addr).unwrap_err().into();
    assert_class(&error, libc::EALREADY, ErrorClass::NotReady);
}

fn non_blocking() -> OwnedFd {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap()
}

#[test]
fn an_address_in_use_and_one_that_is_not_ours() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = TcpListener::bind(listener.local_addr().unwrap()).unwrap_err();
    assert_class(&error, libc::EADDRINUSE, ErrorClass::Misuse);
    let error = TcpListener::bind("192.0.2.1:0").unwrap_err();
    assert_class(&error, libc::EADDRNOTAVAIL, ErrorClass::Misuse);
}

#[test]
fn mistakes() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = udp
        .send_to(&[0; 70_000], udp.local_addr().unwrap())
        .unwrap_err();
    assert_class(&error, libc::EMSGSIZE, ErrorClass::Misuse);

    let file = File::open("/proc/self/exe").unwrap();
    let error: io::Error = rustix::net::listen(&file, 1).unwrap_err().into();
    assert_class(&error, libc::ENOTSOCK, ErrorClass::Misuse);

    let error = (&file).write(b"x").unwrap_err();
    assert_class(&error, libc::EBADF, ErrorClass::Misuse);

    let error: io::Error = rustix::net::listen(&udp, 1).unwrap_err().into();
    assert_class(&error, libc::EOPNOTSUPP, ErrorClass::Misuse);
}

#[test]
fn a_broadcast_without_leave() {
    let udp = UdpSocket::bind("0.0.0.0:0").unwrap();
    let error = udp.connect("255.255.255.255:9").unwrap_err();
    assert_class(&error, libc::EACCES, ErrorClass::Permission);
}

/// Set in a process that a test has started to run itself in.
const INSIDE: &str = "HANGUP_TEST_INSIDE";

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the test `name` once more, in a process that `launcher` starts.
#[track_caller]
fn run_inside(launcher: &mut Command, name: &str) {
    let Output {
        status,
        stdout,
        stderr,
    } = launcher
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&stdout);
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(
        status.success() && stdout.contains("1 passed"),
        "{stdout}\n{stderr}"
    );
    // What it left out, it says to us only.
    for line in stdout.lines().filter(|line| line.starts_with("skipped")) {
        println!("{line}");
    }
}

/// Runs the test `name` once more in a network namespace of its own. Says so where that is not allowed.
fn run_in_namespace(name: &str) {
    for options in ["-n", "-rn"] {
        let allowed = Command::new("unshare").args([options, "true"]).output();
        if allowed.is_ok_and(|output| output.status.success()) {
            return run_inside(Command::new("unshare").arg(options), name);
        }
    }
    println!("skipped: {name}: no network namespace can be made here");
}

/// Runs `ip`; `false`, and a word on it, where that fails.
fn ip(arguments: &str) -> bool {
    match Command::new("ip").args(arguments.split(' ')).output() {
        Ok(output) if output.status.success() => true,
        failed => {
            println!("skipped: ip {arguments}: {failed:?}");
            false
        }
    }
}

#[test]
fn no_descriptors_left() {
    if !is_inside() {
        let script = "ulimit -n 32; exec \"$@\"";
        return run_inside(
            Command::new("sh").args(["-c", script, "sh"]),
            "real::no_descriptors_left",
        );
    }
    let mut held = Vec::new();
    let error = loop {
        match UdpSocket::bind("127.0.0.1:0") {
            Ok(socket) => held.push(socket),
            Err(error) => break error,
        }
    };
    assert!(held.len() < 32);
    assert_class(&error, libc::EMFILE, ErrorClass::LocalResources);
}

#[test]
fn a_network_that_is_not_there() {
    if !is_inside() {
        return run_in_namespace("real::a_network_that_is_not_there");
    }
    let error = TcpStream::connect("192.0.2.1:9").unwrap_err();
    assert_class(&error, libc::ENETUNREACH, ErrorClass::Network);
    assert_eq!(CloseReason::from(&error), CloseReason::Unreachable);
}

/// The host does not answer the question for its hardware address: a robot out of reach.
#[test]
fn a_host_that_does_not_answer() {
    if !is_inside() {
        return run_in_namespace("real::a_host_that_does_not_answer");
    }
    // The kernel tells of its own failure in a message over the loopback interface.
    if !(ip("link set lo up")
        && ip("link add near type veth peer name far")
        && ip("addr add 192.0.2.1/24 dev near")
        && ip("link set near up")
        && ip("link set far up"))
    {
        return;
    }
    let error = TcpStream::connect("192.0.2.2:9").unwrap_err();
    assert_class(&error, libc::EHOSTUNREACH, ErrorClass::Network);
    assert_eq!(CloseReason::from(&error), CloseReason::Unreachable);
}

/// The peer vanishes while data is on its way to it: a silent death, which only a timer can tell.
#[test]
fn a_silent_death() {
    if !is_inside() {
        return run_in_namespace("real::a_silent_death");
    }
    // The connection runs over the loopback interface, on an address that is then taken away and whose
    // traffic from then on nobody answers.
    if !(ip("link set lo up")
        && ip("link add sink type dummy")
        && ip("link set sink up")
        && ip("addr add 192.0.2.2/32 dev lo"))
    {
        return;
    }
    let listener = TcpListener::bind("192.0.2.2:0").unwrap();
    let local = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    let client = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&client, &local).unwrap();
    rustix::net::connect(&client, &listener.local_addr().unwrap()).unwrap();
    let mut client = TcpStream::from(client);
    let _server = listener.accept().unwrap().0;
    sockopt::set_tcp_user_timeout(&client, 500).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    if !(ip("addr del 192.0.2.2/32 dev lo") && ip("route add 192.0.2.2/32 dev sink")) {
        return;
    }
    assert_eq!(client.write(b"x").unwrap(), 1);
    let error = client.read(&mut [0]).unwrap_err();
    assert_class(&error, libc::ETIMEDOUT, ErrorClass::Timeout);
    assert_eq!(CloseReason::from(&error), CloseReason::TimedOut);
}

/// What std makes of a failed look-up has no code.
fn assert_resolution(error: &io::Error) {
    println!("{error:?}");
    assert_eq!(error.raw_os_error(), None);
    assert_eq!(classify(error), ErrorClass::Resolution, "{error}");
    assert_eq!(CloseReason::from(error).class(), ErrorClass::Resolution);
    assert!(is_connection_error(error));
}

#[test]
fn a_name_that_does_not_resolve() {
    // Too long for a label: refused without asking anybody.
    let label = "x".repeat(64);
    let error = (label.as_str(), 80).to_socket_addrs().unwrap_err();
    assert_resolution(&error);
}

#[test]
fn a_name_without_a_network() {
    if !is_inside() {
        return run_in_namespace("real::a_name_without_a_network");
    }
    let error = ("host.invalid", 80).to_socket_addrs().unwrap_err();
    assert_resolution(&error);
}

#[tokio::test]
async fn a_name_through_tokio() {
    let label = "x".repeat(64);
    let error = tokio::net::TcpStream::connect((label, 80))
        .await
        .unwrap_err();
    assert_resolution(&error);
    let none: &[SocketAddr] = &[];
    let error = tokio::net::TcpStream::connect(none).await.unwrap_err();
    assert_resolution(&error);
    assert_resolution(&TcpStream::connect(none).unwrap_err());
}

/// That `error` is `code`, and means `by_connect` from `connect` and `class` without the call.
#[track_caller]
fn assert_class_of_connect(
    error: &io::Error,
    code: i32,
    class: ErrorClass,
    by_connect: ErrorClass,
) {
    assert_class(error, code, class);
    assert_eq!(classify_call(error, Call::Connect), by_connect, "{error}");
}

#[test]
fn a_connect_without_a_free_port() {
    if !is_inside() {
        return run_in_namespace("real::a_connect_without_a_free_port");
    }
    if !ip("link set lo up") {
        return;
    }
    let range = "/proc/sys/net/ipv4/ip_local_port_range";
    if let Err(error) = std::fs::write(range, "40000 40000") {
        println!("skipped: {range}: {error}");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:9").unwrap();
    let address = listener.local_addr().unwrap();
    let _only = TcpStream::connect(address).unwrap();
    let error = TcpStream::connect(address).unwrap_err();
    assert_class_of_connect(
        &error,
        libc::EADDRNOTAVAIL,
        ErrorClass::Misuse,
        ErrorClass::LocalResources,
    );
}

#[test]
fn a_connect_that_a_route_forbids() {
    if !is_inside() {
        return run_in_namespace("real::a_connect_that_a_route_forbids");
    }
    if !(ip("link set lo up") && ip("route add prohibit 192.0.2.0/24")) {
        return;
    }
    let error = TcpStream::connect("192.0.2.1:9").unwrap_err();
    assert_class_of_connect(
        &error,
        libc::EACCES,
        ErrorClass::Permission,
        ErrorClass::Network,
    );
}

#[test]
fn a_unix_socket_whose_server_has_not_started() {
    let folder = tempfile::tempdir().unwrap();
    let error = UnixStream::connect(folder.path().join("socket")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    assert_eq!(
        classify_call(&error, Call::Connect),
        ErrorClass::Disconnected
    );
}
