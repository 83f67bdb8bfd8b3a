//! The other ends of many connections, in processes of their own, because descriptors are limited for each process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The argument with which this program is the other end.
pub(crate) const ARGUMENT: &str = "--peers";

/// For what else a process opens.
pub(crate) const RESERVE: usize = 500;

/// Each process has a listener of its own, so that no pair of addresses runs out of ports.
const EACH: usize = 15_000;

/// Enough for every section.
const WANTED: u64 = 100_000;

/// A process that has not connected by then never will.
const DEADLINE: Duration = Duration::from_secs(30);

/// So many connections are accepted before the other end makes more. Those that find no place in the backlog are tried again
/// by the system after a second.
const BATCH: usize = 1000;

/// Whether the other end waits after so many connections.
fn is_a_pause(connections: usize) -> bool {
    connections > 0 && connections.is_multiple_of(BATCH)
}

pub(crate) struct Crowd {
    processes: Vec<(Child, BufReader<ChildStdout>)>,
}

impl Crowd {
    /// Opens so many connections. Returns this program's ends, whose close resets, so that no `TIME_WAIT` stays.
    pub(crate) fn connect(count: usize) -> io::Result<(Self, Vec<TcpStream>)> {
        let mut crowd = Self {
            processes: Vec::new(),
        };
        let mut streams = Vec::with_capacity(count);
        for host in 1.. {
            if streams.len() == count {
                break;
            }
            let wanted = EACH.min(count - streams.len());
            let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, host), 0))?;
            use rustix::net::sockopt::{Timeout, set_socket_linger, set_socket_timeout};
            set_socket_timeout(&listener, Timeout::Recv, Some(DEADLINE))?;
            // std's backlog is shorter than a batch.
            rustix::net::listen(&listener, BATCH as i32)?;
            let mut process = Command::new(std::env::current_exe()?)
                .arg(ARGUMENT)
                .arg(wanted.to_string())
                .arg(listener.local_addr()?.to_string())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let output = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
            crowd.processes.push((process, BufReader::new(output)));
            let (process, _) = crowd
                .processes
                .last_mut()
                .ok_or(io::ErrorKind::BrokenPipe)?;
            for accepted in 0..wanted {
                if is_a_pause(accepted) {
                    let input = process.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
                    input.write_all(b"go on\n")?;
                }
                let (stream, _) = listener
                    .accept()
                    .map_err(|error| missing(process, wanted - accepted, &error))?;
                set_socket_linger(&stream, Some(Duration::ZERO))?;
                streams.push(stream);
            }
        }
        Ok((crowd, streams))
    }

    /// Has all connections closed.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        for (process, _) in &mut self.processes {
            let input = process.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
            input.write_all(b"close\n")?;
        }
        Ok(())
    }

    /// Waits until all are closed. Returns the time before the first close.
    pub(crate) fn closed(&mut self) -> io::Result<u64> {
        let mut first = u64::MAX;
        for (_, output) in &mut self.processes {
            let mut line = String::new();
            output.read_line(&mut line)?;
            let began: u64 = line.trim().parse().map_err(io::Error::other)?;
            first = first.min(began);
        }
        Ok(first)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for (process, _) in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The error of a process that has not opened all of its connections. What it has printed stands above.
fn missing(process: &mut Child, connections: usize, error: &io::Error) -> io::Error {
    let state = match process.try_wait() {
        Ok(Some(status)) => format!("has ended with {status}"),
        Ok(None) => format!("runs, and opened none for {DEADLINE:?}"),
        Err(error) => error.to_string(),
    };
    io::Error::other(format!(
        "{connections} connections are missing ({error}): the process of their other ends {state}"
    ))
}

/// The other end: connects, waits for a line, closes everything, and prints when that began.
pub(crate) fn run(count: usize, address: SocketAddr) -> io::Result<()> {
    raise_limit();
    let mut input = io::stdin().lines();
    let mut streams = Vec::with_capacity(count);
    for connected in 0..count {
        if is_a_pause(connected) {
            let _ = input.next();
        }
        streams.push(TcpStream::connect(address)?);
    }
    let _ = input.next();
    let began = now();
    drop(streams);
    println!("{began}");
    // Until this is killed, or the other end is gone.
    let _ = input.next();
    Ok(())
}

/// How many connections this process can have beside what else it opens.
pub(crate) fn limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    usize::try_from(limit.unwrap_or(u64::MAX))
        .unwrap_or(usize::MAX)
        .saturating_sub(RESERVE)
}

/// Takes as many descriptors as the system gives, and [`WANTED`] at most.
pub(crate) fn raise_limit() {
    let set = |maximum: u64| {
        let limit = Rlimit {
            current: Some(maximum),
            maximum: Some(maximum),
        };
        setrlimit(Resource::Nofile, limit).is_ok()
    };
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    // A privileged process may raise the hard limit too.
    let _ = set(WANTED) || set(WANTED.min(hard));
}

/// The nanoseconds of a clock that all processes share.
pub(crate) fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}
