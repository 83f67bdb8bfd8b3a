//! How long after its client has left a handler knows, axum alone and axum with `hangup`: each way of
//! leaving, by a raw socket and by curl.
//!
//! ```sh
//! HANGUP_ROUNDS=10 cargo test --release --features axum --test timers scenarios -- --nocapture
//! ```

#![cfg(target_os = "linux")]

mod client;
mod server;

use client::{Curl, Raw};
use server::{Server, WINDOW};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// "never": not within this time.
const NEVER: Duration = Duration::from_secs(4);
/// What the test insists on, for a machine that is busy; the table tells what it is. Milliseconds.
const BOUND: f64 = 1000.0;

/// What a handler reports of one exchange.
#[derive(Debug)]
pub(crate) enum Report {
    Started,
    /// The response's body is asked for more.
    Asked(Instant),
    /// The handler knows that its client has left.
    Knows(Instant),
}

/// A way of leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    FinIdle,
    ResetIdle,
    FinBehindPipelined,
    FinBehindBody,
    FinBetweenEvents,
    FinUnderBulk,
    NotReading,
}

impl Way {
    const ALL: [Self; 7] = [
        Self::FinIdle,
        Self::ResetIdle,
        Self::FinBehindPipelined,
        Self::FinBehindBody,
        Self::FinBetweenEvents,
        Self::FinUnderBulk,
        Self::NotReading,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::FinIdle => "FIN, handler idle",
            Self::ResetIdle => "RST, handler idle",
            Self::FinBehindPipelined => "FIN behind a pipelined request",
            Self::FinBehindBody => "FIN behind an unread 100 kB body",
            Self::FinBetweenEvents => "FIN, one event a second",
            Self::FinUnderBulk => "FIN under bulk writing",
            Self::NotReading => "alive but not reading (after the policy's window)",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::FinBetweenEvents => "events",
            Self::FinUnderBulk => "bulk",
            Self::NotReading => "lumps",
            _ => "idle",
        }
    }
}

/// A client that has left, or stands still: what is there to wait for.
struct Left {
    at: Instant,
    reports: Receiver<Report>,
    /// It is there, and holds its connection open.
    client: Option<Box<dyn std::any::Any>>,
}

impl Left {
    /// How many milliseconds after the client had left its handler knew, if it knows before the deadline.
    fn known(&mut self, deadline: Instant) -> Option<f64> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.reports.recv_timeout(left) {
                Ok(Report::Knows(at)) => {
                    let late = at.saturating_duration_since(self.at);
                    let early = self.at.saturating_duration_since(at);
                    return Some((late.as_secs_f64() - early.as_secs_f64()) * 1e3);
                }
                // The write that follows soon waits for a client that stands still.
                Ok(Report::Asked(at)) if self.client.is_some() => self.at = at + WINDOW,
                Ok(Report::Asked(_) | Report::Started) => {}
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => panic!("the server is gone"),
            }
        }
    }
}

/// Waits for the handler of a request.
fn started(reports: &Receiver<Report>) {
    let report = reports.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(matches!(report, Report::Started), "{report:?}");
}

trait Client {
    const NAME: &'static str;

    /// Asks the server, and leaves in this way. `None`: this client cannot.
    fn leave(server: &Server, way: Way) -> Option<Left>;
}

fn milliseconds(time: f64) -> String {
    if time.is_finite() {
        format!("{time:.2}")
    } else {
        "never".to_owned()
    }
}

/// The rows of one client, each cell of the column with `hangup` measured so many times, and what was too late.
fn rows<C: Client>(bare: &Server, monitored: &Server, rounds: usize) -> (Vec<String>, Vec<String>) {
    let (mut rows, mut late) = (Vec::new(), Vec::new());
    // Those whose handlers do not know at once are waited for together.
    let mut left = Way::ALL.map(|way| C::leave(bare, way));
    let deadline = Instant::now() + NEVER;
    let known = left
        .each_mut()
        .map(|left| left.as_mut().map(|left| left.known(deadline)));
    for (way, bare) in Way::ALL.into_iter().zip(known) {
        let Some(bare) = bare else { continue };
        let mut times: Vec<_> = (0..rounds)
            .filter_map(|_| C::leave(monitored, way))
            .map(|mut left| left.known(Instant::now() + NEVER).unwrap_or(f64::INFINITY))
            .collect();
        times.sort_by(f64::total_cmp);
        let (median, worst) = (times[rounds / 2], times[rounds - 1]);
        rows.push(format!(
            "| {} | {} | {} | {} | {} |",
            way.name(),
            C::NAME,
            milliseconds(bare.unwrap_or(f64::INFINITY)),
            milliseconds(median),
            milliseconds(worst)
        ));
        if worst > BOUND || times[0] < -BOUND {
            late.push(format!("{}, {}: {times:?}", C::NAME, way.name()));
        }
    }
    (rows, late)
}

#[test]
fn no_handler_is_left_in_the_dark() {
    let bare = Server::bare();
    let monitored = Server::monitored();
    let rounds = std::env::var("HANGUP_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    // Each waits for what never comes, at the same time.
    let (raw, curl) = std::thread::scope(|scope| {
        let curl = scope.spawn(|| Curl::is_here().then(|| rows::<Curl>(&bare, &monitored, rounds)));
        let raw = rows::<Raw>(&bare, &monitored, rounds);
        (raw, curl.join().unwrap())
    });
    println!("| way of leaving | client | axum | with hangup, median of {rounds} | worst |");
    println!("|---|---|---|---|---|");
    let mut late = Vec::new();
    for (rows, too_late) in [Some(raw), curl].into_iter().flatten() {
        println!("{}", rows.join("\n"));
        late.extend(too_late);
    }
    println!("ms from the client's close to the handler knowing; never: not within {NEVER:?}");
    assert!(late.is_empty(), "{late:#?}");
}
