//! Two hosts and a router between them, in network namespaces of their own.
//!
//! ```text
//! ours 10.77.1.2 ── 10.77.1.1 router 10.77.2.1 ── 10.77.2.2 peer
//! ```
//!
//! The namespaces have no names: what keeps them is open descriptors of this process, so they go with
//! it, however it ends.

use crate::support::DEADLINE;
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;

const OURS: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);

/// A network namespace.
struct Namespace(File);

impl Namespace {
    fn new() -> Result<Self, String> {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|error| error.to_string())?;
            File::open("/proc/thread-self/ns/net").map_err(|error| error.to_string())
        });
        let namespace = Self(made.join().unwrap()?);
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// What `call` returns when a thread of this namespace calls it. The sockets that it makes stay in
    /// the namespace.
    fn enter<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
                call()
            });
            thread.join().unwrap()
        })
    }

    /// Runs `ip` with these arguments.
    fn ip(&self, arguments: &str) -> Result<(), String> {
        let told = self
            .enter(|| Command::new("ip").args(arguments.split(' ')).output())
            .map_err(|error| format!("ip: {error}"))?;
        match told.status.success() {
            true => Ok(()),
            false => Err(format!(
                "ip {arguments}: {}",
                String::from_utf8_lossy(&told.stderr).trim_end()
            )),
        }
    }

    /// The name by which `ip` knows it, as long as this process runs.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

/// Two hosts and the router between them.
pub(crate) struct Network {
    ours: Namespace,
    router: Namespace,
    peer: Namespace,
}

impl Network {
    /// Makes the hosts and their links; `None`, after it has said so, where that is not allowed.
    pub(crate) fn new() -> Option<Self> {
        match Self::build() {
            Ok(network) => Some(network),
            Err(why) => {
                println!("skipped: no network namespaces here: {why}");
                None
            }
        }
    }

    fn build() -> Result<Self, String> {
        let network = Self {
            ours: Namespace::new()?,
            router: Namespace::new()?,
            peer: Namespace::new()?,
        };
        network
            .router
            .enter(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1"))
            .map_err(|error| format!("ip_forward: {error}"))?;
        for (host, link, number) in [(&network.ours, "ours", 1), (&network.peer, "peer", 2)] {
            network.router.ip(&format!(
                "link add {link} type veth peer name eth0 netns {}",
                host.path()
            ))?;
            network
                .router
                .ip(&format!("address add 10.77.{number}.1/24 dev {link}"))?;
            network.router.ip(&format!("link set {link} up"))?;
            host.ip(&format!("address add 10.77.{number}.2/24 dev eth0"))?;
            host.ip("link set eth0 up")?;
            host.ip(&format!("route add default via 10.77.{number}.1"))?;
        }
        Ok(network)
    }

    /// A connection from the peer to us. Must be called within a runtime.
    pub(crate) fn pair(&self) -> (tokio::net::TcpStream, TcpStream) {
        let listener = self.ours.enter(|| TcpListener::bind((OURS, 0)).unwrap());
        let address = listener.local_addr().unwrap();
        let peer = self.peer.enter(|| TcpStream::connect(address).unwrap());
        peer.set_read_timeout(Some(DEADLINE)).unwrap();
        let ours = listener.accept().unwrap().0;
        ours.set_nonblocking(true).unwrap();
        (tokio::net::TcpStream::from_std(ours).unwrap(), peer)
    }

    /// Which timer runs for our socket of this port, as /proc/net/tcp has it.
    pub(crate) fn timer(&self, port: u16) -> Timer {
        let table = self
            .ours
            .enter(|| fs::read_to_string("/proc/thread-self/net/tcp").unwrap());
        let address = u32::from_ne_bytes(OURS.octets());
        let local = format!("{address:08X}:{port:04X}");
        let of_port = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            // Its state: not the listener's, which is 0A.
            .find(|columns| columns.get(1) == Some(&local.as_str()) && columns[3] != "0A");
        match of_port.unwrap_or_else(|| panic!("no {local} in\n{table}"))[5].split_once(':') {
            Some(("00", _)) => Timer::None,
            Some(("01", _)) => Timer::Retransmission,
            Some(("02", _)) => Timer::Keepalive,
            Some(("04", _)) => Timer::WindowProbe,
            other => panic!("{other:?}"),
        }
    }

    /// The router loses all packets from now on, without a word.
    pub(crate) fn lose_packets(&self) {
        for host in 1..=2 {
            self.router
                .ip(&format!("route add blackhole 10.77.{host}.2"))
                .unwrap();
        }
    }

    /// The router forwards packets again.
    pub(crate) fn forward_packets(&self) {
        for host in 1..=2 {
            self.router
                .ip(&format!("route del blackhole 10.77.{host}.2"))
                .unwrap();
        }
    }

    /// Pulls the peer's cable: the router knows, and says so to who sends to the peer.
    pub(crate) fn unplug_peer(&self) {
        self.router.ip("link set peer down").unwrap();
    }

    /// Puts the peer's cable back.
    pub(crate) fn plug_peer(&self) {
        self.router.ip("link set peer up").unwrap();
    }

    /// Pulls our own cable.
    pub(crate) fn unplug_us(&self) {
        self.router.ip("link set ours down").unwrap();
    }

    /// Puts our own cable back.
    pub(crate) fn plug_us(&self) {
        self.router.ip("link set ours up").unwrap();
    }
}

/// What a connection waits for (`get_tcp4_sock` in net/ipv4/tcp_ipv4.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    None,
    Retransmission,
    Keepalive,
    WindowProbe,
}
