//! When and how the proxy cuts each connection: random, and the same for the same seed.

use fastrand::Rng;
use std::time::Duration;

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// With a FIN, though the peer has not finished.
    Fin,
    /// With a reset.
    Reset,
    /// Nothing passes any more, and no side is told. After a while, a reset.
    BlackHole,
}

impl Cut {
    const ALL: [Self; 3] = [Self::Fin, Self::Reset, Self::BlackHole];
}

/// What the proxy does to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlannedCut {
    pub(crate) cut: Cut,
    /// It is cut after this many bytes to the peer,
    pub(crate) up: u64,
    /// or this many bytes back.
    pub(crate) down: u64,
    /// How long a black hole holds the connection.
    pub(crate) hold: Duration,
}

/// What happens to each connection, one after the other.
#[derive(Debug)]
pub(crate) struct Plan {
    random: Rng,
    left: u64,
    up: u64,
    down: Option<u64>,
    hold: Duration,
}

impl Plan {
    /// `cuts` connections are cut after `up` bytes on the average, black holes hold for up to `hold`.
    pub(crate) fn new(seed: u64, cuts: u64, up: u64, hold: Duration) -> Self {
        Self {
            random: Rng::with_seed(seed),
            left: cuts,
            up,
            down: None,
            hold,
        }
    }

    /// Every fourth cut or so comes after some bytes of the replies, `down` on the average.
    pub(crate) fn in_replies(mut self, down: u64) -> Self {
        self.down = Some(down);
        self
    }

    /// What happens to the next connection; `None` if it is not cut.
    pub(crate) fn draw(&mut self) -> Option<PlannedCut> {
        self.left = self.left.checked_sub(1)?;
        let random = &mut self.random;
        let mut planned = PlannedCut {
            cut: Cut::ALL[random.usize(..Cut::ALL.len())],
            up: u64::MAX,
            down: u64::MAX,
            hold: self.hold.mul_f64(random.f64()),
        };
        match (random.u8(..16), self.down) {
            // As soon as it is accepted.
            (0, _) => planned.up = 0,
            (1..=4, Some(down)) => planned.down = random.u64(..=2 * down),
            _ => planned.up = random.u64(..=2 * self.up),
        }
        Some(planned)
    }
}
