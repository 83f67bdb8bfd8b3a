//! The network: attempts that fail, and connections that end at any byte.

use crate::checks::Checks;
use crate::host::{Acknowledging, Host};
use crate::message::{GREETING, broken};
use crate::peer::{self, Confirms, Manners};
use crate::plan::Plan;
use crate::stream::{Break, BreakPlan, SimStream};
use fastrand::Rng;
use hangup::MonitoredStream;
use hangup::outbox::Connection;
use hangup::test_util::scripted;
use std::future::{Future, pending};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufStream, DuplexStream};
use tokio::time::sleep;

/// The network of one history.
#[derive(Clone)]
pub(crate) struct Network(Arc<Mutex<Inner>>);

struct Inner {
    rng: Rng,
    weather: Weather,
    confirms: Confirms,
    /// The peer's program has a fault, and closes when it reads certain messages.
    poisoned: bool,
    /// The longest reply that the outbox takes.
    max_reply: usize,
}

/// What connections are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Anything may happen to them.
    Foul,
    /// Each breaks after some messages. Until then everything works.
    Short,
    Fine,
}

/// A connection of `Weather::Short` carries at least this many bytes, more than the longest line.
const SHORTEST_LIFE: usize = 500;

/// What becomes of one attempt.
enum Attempt {
    Panics,
    Fails(io::Error),
    Hangs,
    Connects(Box<SimStream>, Connecting),
}

/// How a connection is made.
struct Connecting {
    latency: Duration,
    /// The way for acknowledgements, if the peer's TCP confirms.
    acknowledging: Option<Acknowledging>,
    /// `connect` writes something itself.
    greets: bool,
    /// Another layer is between the outbox and the monitored stream.
    layered: bool,
}

impl Network {
    pub(crate) fn new(rng: Rng, plan: &Plan) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            rng,
            weather: Weather::Foul,
            confirms: plan.confirms,
            poisoned: plan.max_attempts.is_some(),
            max_reply: plan.max_reply,
        })))
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.0.lock().unwrap().weather = weather;
    }

    pub(crate) fn connect(
        &self,
        checks: &Checks,
    ) -> impl Future<Output = io::Result<Connection>> + Send + use<> {
        checks.connects();
        let attempt = self.0.lock().unwrap().attempt(checks);
        async move {
            match attempt {
                Attempt::Panics => broken("`connect`"),
                Attempt::Fails(error) => Err(error),
                Attempt::Hangs => pending().await,
                Attempt::Connects(stream, connecting) => connecting.connect(stream).await,
            }
        }
    }
}

impl Connecting {
    async fn connect(self, stream: Box<SimStream>) -> io::Result<Connection> {
        sleep(self.latency).await;
        let Some(acknowledging) = self.acknowledging else {
            return Ok(MonitoredStream::unwatched(stream).into());
        };
        let (mut stream, remote) = scripted(stream);
        // From now on the number is known.
        remote.acknowledge(0);
        let _ = acknowledging.remote.set(remote);
        if self.greets {
            stream.write_all(GREETING).await?;
        }
        if !self.layered {
            return Ok(stream.into());
        }
        let monitor = stream.monitor();
        let layer = BufStream::with_capacity(1, 200_000, stream);
        Ok(Connection::over(layer, monitor))
    }
}

impl Inner {
    fn attempt(&mut self, checks: &Checks) -> Attempt {
        let Self {
            rng,
            weather,
            confirms,
            poisoned,
            max_reply,
        } = self;
        let (weather, confirms) = (*weather, *confirms);
        if weather == Weather::Foul {
            match rng.u8(0..40) {
                0..=10 => return Attempt::Fails(error(rng)),
                11 => return Attempt::Panics,
                12..=15 => return Attempt::Hangs,
                _ => {}
            }
        }
        let connection = checks.connection();
        let (near, far) = tokio::io::duplex(rng.usize(1..5000));
        let mut manners = Manners::draw(rng, weather, confirms);
        (manners.poisoned, manners.max_reply) = (*poisoned, *max_reply);
        serve(rng, far, checks, connection, weather, manners);
        let by_tcp = confirms == Confirms::Tcp;
        let acknowledging = by_tcp.then(|| {
            let can_lose = weather == Weather::Foul && rng.bool();
            Acknowledging::new(can_lose)
        });
        let host = acknowledging.clone().map(|acknowledging| {
            let slow = weather == Weather::Foul && rng.bool();
            let latency = if slow { rng.u64(1..200) } else { 0 };
            let latency = Duration::from_millis(latency);
            Host::new(checks.clone(), connection, acknowledging, latency)
        });
        let plan = plan(rng, weather);
        let stream = SimStream::new(near, plan, host, connection, checks.clone(), rng.fork());
        let connecting = Connecting {
            latency: Duration::from_millis(rng.u64(0..50)),
            acknowledging,
            greets: rng.bool(),
            layered: rng.u8(0..3) == 0,
        };
        Attempt::Connects(Box::new(stream), connecting)
    }
}

/// When a connection breaks.
fn plan(rng: &mut Rng, weather: Weather) -> BreakPlan {
    let mut left =
        |most: usize| (weather == Weather::Foul && rng.bool()).then(|| rng.usize(0..most));
    let (up, down) = (left(3000), left(200));
    let breaks = Break::draw(rng);
    BreakPlan {
        up: match weather {
            Weather::Foul => up,
            Weather::Short => Some(rng.usize(SHORTEST_LIFE..2000)),
            Weather::Fine => None,
        },
        down,
        breaks,
        late: match breaks {
            Break::Hole => 2000,
            Break::Fin | Break::Reset => rng.usize(0..2000),
        },
    }
}

/// The other end: a program, or one that only accepts.
fn serve(
    rng: &mut Rng,
    far: DuplexStream,
    checks: &Checks,
    connection: u64,
    weather: Weather,
    manners: Manners,
) {
    if weather != Weather::Foul || rng.u8(0..10) > 0 {
        let serving = peer::serve(far, checks.clone(), connection, manners, rng.fork());
        tokio::spawn(serving);
        return;
    }
    // It accepts and closes. Meanwhile its system takes what fits.
    let closes = Duration::from_millis(rng.u64(0..100));
    tokio::spawn(async move {
        sleep(closes).await;
        drop(far);
    });
}

fn error(rng: &mut Rng) -> io::Error {
    match rng.u8(0..6) {
        0 => ErrorKind::ConnectionRefused.into(),
        1 => ErrorKind::NetworkUnreachable.into(),
        2 => ErrorKind::AddrNotAvailable.into(),
        3 => ErrorKind::PermissionDenied.into(),
        4 => ErrorKind::TimedOut.into(),
        _ => io::Error::other("HTTP/1.1 502 Bad Gateway"),
    }
}
