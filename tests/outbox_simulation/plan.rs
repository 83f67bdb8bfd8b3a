//! What every outbox of a history is like, and its start.

use crate::checks::Checks;
use crate::message::{Lines, Note, broken, meaning};
use crate::network::Network;
use crate::peer::Confirms;
use crate::store::Disk;
use fastrand::Rng;
use hangup::outbox::*;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::codec::LinesCodec;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ADDRESS_TIMEOUT: Duration = Duration::from_millis(700);
const ACK_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an outbox lives on without a handle.
pub(crate) const LINGER: Duration = Duration::from_secs(4);

/// When an outbox gives up.
#[derive(Debug, Clone, Copy)]
enum GivesUp {
    Never,
    After(Duration),
    /// After so many delays of the back-off.
    Delays(usize),
    /// On some errors.
    OnErrors,
}

/// What the handler of messages that cannot be sent does.
#[derive(Debug, Clone, Copy)]
enum OnUnsendable {
    Returns(UnsendableAction),
    Panics,
}

/// What every outbox of a history is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) confirms: Confirms,
    pub(crate) capacity: usize,
    pub(crate) max_bytes: usize,
    pub(crate) in_flight: usize,
    pub(crate) overflow: Overflow,
    /// Messages have keys and priorities.
    pub(crate) with_priorities: bool,
    /// `connect` tries two addresses, each for a limited time.
    in_turn: bool,
    gives_up: GivesUp,
    unsendable: OnUnsendable,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) max_reply: usize,
    pub(crate) reset_after: Duration,
}

impl Plan {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        Self {
            confirms: match rng.u8(0..8) {
                0..=2 => Confirms::Tcp,
                3 => Confirms::Counts,
                4..=5 => Confirms::Ids,
                _ => Confirms::Numbers,
            },
            capacity: if rng.bool() { rng.usize(1..5) } else { 50 },
            in_flight: if rng.bool() {
                rng.usize(1..10)
            } else {
                usize::MAX
            },
            overflow: match rng.u8(0..6) {
                0 => Overflow::Refuse,
                1 => Overflow::DropOldest,
                2 => Overflow::DropNewest,
                _ => Overflow::Wait,
            },
            with_priorities: rng.bool(),
            in_turn: rng.bool(),
            max_bytes: match rng.u8(0..4) {
                0 => rng.usize(200..2000),
                _ => 1 << 20,
            },
            gives_up: match rng.u8(0..8) {
                0 => GivesUp::After(Duration::from_millis(rng.u64(500..8000))),
                1 => GivesUp::Delays(rng.usize(1..4)),
                2 => GivesUp::OnErrors,
                _ => GivesUp::Never,
            },
            unsendable: match rng.u8(0..5) {
                0..=1 => OnUnsendable::Returns(UnsendableAction::Keep),
                2..=3 => OnUnsendable::Returns(UnsendableAction::Discard),
                _ => OnUnsendable::Panics,
            },
            max_attempts: rng.bool().then(|| rng.u32(1..4)),
            max_reply: rng.usize(50..3000),
            reset_after: Duration::from_millis(rng.u64(300..12_000)),
        }
    }

    pub(crate) fn may_give_up(self) -> bool {
        !matches!(self.gives_up, GivesUp::Never)
    }

    pub(crate) fn drops(self) -> bool {
        matches!(self.overflow, Overflow::DropOldest | Overflow::DropNewest)
    }

    /// Starts the outbox, again and again if its store cannot be read.
    pub(crate) fn start(
        self,
        network: &Network,
        checks: &Checks,
        disk: Option<&Disk>,
    ) -> (Outbox<Note>, JoinHandle<()>) {
        loop {
            if let Ok(outbox) = self.try_start(network, checks, disk) {
                return outbox;
            }
        }
    }

    fn try_start(
        self,
        network: &Network,
        checks: &Checks,
        disk: Option<&Disk>,
    ) -> io::Result<(Outbox<Note>, JoinHandle<()>)> {
        let checks = checks.of_new_outbox();
        let delays = Delays {
            checks: checks.clone(),
            most: match self.gives_up {
                GivesUp::Delays(most) => most,
                GivesUp::Never | GivesUp::After(_) | GivesUp::OnErrors => usize::MAX,
            },
        };
        let network = network.clone();
        checks.resumes();
        let replies = LinesCodec::new;
        let meaning = |reply: String| meaning(&reply);
        let confirm = match self.confirms {
            Confirms::Tcp => Confirm::Acknowledged,
            Confirms::Ids => Confirm::by_peer(Note::name, replies, meaning),
            Confirms::Numbers | Confirms::Counts => Confirm::by_number(replies, meaning),
        };
        let lines = {
            let checks = checks.clone();
            move || {
                checks.session();
                Lines(checks.clone())
            }
        };
        let aside = checks.clone();
        let on_unsendable = move |letter: Unsendable<Note>| {
            aside.sets_aside(&letter);
            match self.unsendable {
                OnUnsendable::Returns(action) => action,
                OnUnsendable::Panics => broken("the handler"),
            }
        };
        let given_up = checks.clone();
        let gives_up_on = move |error: &io::Error| {
            let kinds = [ErrorKind::PermissionDenied, ErrorKind::InvalidData];
            let gives_up = kinds.contains(&error.kind());
            if gives_up {
                given_up.gives_up();
            }
            gives_up
        };
        let connect = move |_| network.connect(&checks);
        let builder = match self.in_turn {
            true => {
                let connect = connect_in_turn([0, 1], ADDRESS_TIMEOUT, connect);
                Outbox::builder_with_envelope(connect, lines)
            }
            false => Outbox::builder_with_envelope(move || connect(0), lines),
        };
        let mut builder = builder
            .confirm(confirm)
            .capacity(self.max_bytes, self.capacity)
            .in_flight(self.in_flight)
            .overflow(self.overflow)
            .connect_timeout(CONNECT_TIMEOUT)
            .ack_timeout(ACK_TIMEOUT)
            .linger(LINGER)
            .on_unsendable(on_unsendable)
            .max_reply(self.max_reply)
            .reset_backoff_after(self.reset_after)
            .backoff(delays);
        match self.gives_up {
            GivesUp::After(limit) => builder = builder.give_up_after(limit),
            GivesUp::OnErrors => builder = builder.give_up_on(gives_up_on),
            GivesUp::Never | GivesUp::Delays(_) => {}
        }
        if let Some(attempts) = self.max_attempts {
            builder = builder.max_attempts(attempts);
        }
        if self.with_priorities {
            builder = builder
                .ordering_key(|note: &Note| note.key)
                .priority(|note: &Note| note.priority);
        }
        if let Some(disk) = disk {
            builder = builder.durable_nonblocking(disk.open());
        }
        let (outbox, task) = builder.build()?;
        Ok((outbox, tokio::spawn(task)))
    }
}

/// The back-off, which counts how often it starts.
#[derive(Clone)]
struct Delays {
    checks: Checks,
    most: usize,
}

impl IntoIterator for Delays {
    type Item = Duration;
    type IntoIter = Box<dyn Iterator<Item = Duration> + Send>;

    fn into_iter(self) -> Self::IntoIter {
        self.checks.backoff();
        let delays = [1, 20, 100, 500].map(Duration::from_millis);
        let longest = std::iter::repeat(Duration::from_secs(1));
        let delays = delays.into_iter().chain(longest).take(self.most);
        Box::new(delays.inspect(move |_| self.checks.delay()))
    }
}
