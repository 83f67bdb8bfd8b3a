//! Rounds of one connection each, in which the observers take turns.
//!
//! This thread is the peer. One round: it connects, hands the other end to an observer, waits until that
//! one watches and [`IDLE`] has passed, takes the time and closes; the observer takes the time as soon
//! as its code runs. The observers take turns, round by round, so that noise hits all of them alike, and
//! nobody but the observer of the round has anything to do.

use super::observer::Observer;
use std::error::Error;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// How long a connection is idle before the peer closes it: enough for every thread to have gone to
/// sleep, as it would have for a connection that has been idle for minutes.
const IDLE: Duration = Duration::from_micros(300);

/// An observer that has not heard of a close by then never will.
const DEADLINE: Duration = Duration::from_secs(30);

/// The times of one observer, in the order of the rounds.
pub(crate) struct Times {
    pub(crate) name: &'static str,
    pub(crate) runtime: &'static str,
    pub(crate) rounds: Vec<Duration>,
}

impl Times {
    /// Of all rounds.
    pub(crate) fn microseconds(&self, quantile: f64) -> f64 {
        microseconds(&self.rounds, quantile)
    }
}

/// The time that so large a part of the rounds did not exceed.
pub(crate) fn microseconds(rounds: &[Duration], quantile: f64) -> f64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_unstable();
    let at = (quantile * sorted.len() as f64).ceil() as usize;
    sorted[at.clamp(1, sorted.len()) - 1].as_secs_f64() * 1e6
}

/// Runs that many rounds of each, after some to warm up.
pub(crate) fn race(
    observers: &[Observer],
    warm_up: usize,
    rounds: usize,
) -> Result<Vec<Times>, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut times = Vec::new();
    for observer in observers {
        times.push(Times {
            name: observer.name,
            runtime: observer.runtime,
            rounds: Vec::with_capacity(rounds),
        });
    }
    for round in 0..warm_up + rounds {
        for turn in 0..observers.len() {
            // Each round begins with another one, so that nobody always follows the same one.
            let turn = (round + turn) % observers.len();
            let time = close_once(&observers[turn], &listener)?;
            if round >= warm_up {
                times[turn].rounds.push(time);
            }
        }
    }
    Ok(times)
}

/// One round with one observer.
fn close_once(observer: &Observer, listener: &TcpListener) -> Result<Duration, Box<dyn Error>> {
    let peer = TcpStream::connect(listener.local_addr()?)?;
    let (watched, _) = listener.accept()?;
    // The observer's close then resets the connection: no round leaves a TIME_WAIT behind.
    rustix::net::sockopt::set_socket_linger(&watched, Some(Duration::ZERO))?;
    observer.sockets.send(watched)?;
    observer.reports.recv_timeout(DEADLINE)?;
    if observer.reports.recv_timeout(IDLE).is_ok() {
        let name = observer.name;
        return Err(io::Error::other(format!("{name}: told of a close that was none")).into());
    }
    let closed = Instant::now();
    drop(peer);
    let seen = observer.reports.recv_timeout(DEADLINE)?;
    Ok(seen.duration_since(closed))
}
