//! A server's process and its children: what they use.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

/// A running program. It is ended on drop.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn new(child: Child) -> Self {
        Self { child }
    }

    /// Waits until the program listens.
    pub(crate) fn listens(self, address: SocketAddr) -> io::Result<Self> {
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            if Instant::now() > end {
                return Err(io::Error::other(format!("nobody listens on {address}")));
            }
            std::thread::yield_now();
        }
        Ok(self)
    }

    /// The process and its children.
    pub(crate) fn ids(&self) -> Vec<u32> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        [id].into_iter().chain(children).collect()
    }

    /// The processor's time that they have used.
    pub(crate) fn cpu(&self) -> Duration {
        let ticks: u64 = self.ids().into_iter().map(ticks).sum();
        // USER_HZ is 100 on every Linux that is in use.
        Duration::from_millis(ticks * 10)
    }

    /// Their resident memory in bytes, without what they share.
    pub(crate) fn memory(&self) -> u64 {
        let private = |id: u32| {
            let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
            let lines = rollup.lines().filter(|line| line.starts_with("Private_"));
            let kilobytes =
                lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
            kilobytes.sum::<u64>() * 1024
        };
        self.ids().into_iter().map(private).sum()
    }

    /// The bytes that they have made the system read from a disk (proc_pid_io(5)).
    pub(crate) fn read_from_disk(&self) -> u64 {
        let read = |id: u32| {
            let io = fs::read_to_string(format!("/proc/{id}/io")).unwrap_or_default();
            let line = io
                .lines()
                .find_map(|line| line.strip_prefix("read_bytes: "));
            line.and_then(|bytes| bytes.parse::<u64>().ok())
                .unwrap_or(0)
        };
        self.ids().into_iter().map(read).sum()
    }
}

fn ticks(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let times = fields.split_whitespace().skip(11).take(2);
    times.filter_map(|time| time.parse::<u64>().ok()).sum()
}

impl Drop for Process {
    fn drop(&mut self) {
        // nginx's master takes its workers with it on a signal that it can hear.
        let id = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}
