//! The same random script on a bare stream and on a monitored one, side by side: the same bytes, the same errors.
//!
//! What may differ, and nothing else:
//!
//! 1. After the peer's FIN, under [`HalfClose::Close`], a write is refused where that of the bare stream goes to a peer
//!    that may be gone. Unread input holds the refusal back, but not where writes read ahead. The two connections then
//!    differ, so the script ends there.
//! 2. After the peer has left, a write fails with the kind of the reason, `BrokenPipe` or `ConnectionReset`, each time. The
//!    bare stream tells an error once, and then `BrokenPipe`.
//! 3. A reset that a write was told of is told by the next read too, where that of the bare stream finds the end.
//! 4. A shutdown is refused on a closed stream. That of the bare one finds nothing to shut down.
//!
//! `HANGUP_SCRIPTS=10000` runs more scripts, and `HANGUP_SCRIPT_SEED=7` others.

use crate::support::{DEADLINE, Pair, Peer, Tcp4, Unix, soon};
use hangup::{CloseReason, HalfClose, MonitorConfig, MonitoredStream};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
#[cfg(target_os = "linux")]
use rustix::event::PollFlags;
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

#[derive(Debug, Clone)]
enum Step {
    Read(usize),
    /// A read without room: it finds out whether there is input.
    Look,
    Write(usize),
    WriteVectored(Vec<usize>),
    Flush,
    Shutdown,
    PeerReads,
    PeerWrites(usize),
    PeerFinishes,
    PeerLeaves,
    PeerResets,
    Delay(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_usize..3000).prop_map(Step::Read),
        2 => Just(Step::Look),
        6 => (0_usize..2000).prop_map(Step::Write),
        4 => prop::collection::vec(0_usize..500, 0..5).prop_map(Step::WriteVectored),
        1 => Just(Step::Flush),
        1 => Just(Step::Shutdown),
        4 => Just(Step::PeerReads),
        6 => (1_usize..2000).prop_map(Step::PeerWrites),
        1 => Just(Step::PeerFinishes),
        1 => Just(Step::PeerLeaves),
        1 => Just(Step::PeerResets),
        2 => (0_u64..3).prop_map(Step::Delay),
    ]
}

/// What a step of one side gave.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Bytes, and what came behind them: nothing yet, or how the input ended.
    Input(Vec<u8>, Option<Result<(), ErrorKind>>),
    Sent(Result<(), ErrorKind>),
    ShutDown(Result<(), ErrorKind>),
    /// What the peer has got, or how its read ended.
    PeerGot(Vec<u8>, Option<ErrorKind>),
    Done,
}

/// What the script has done so far: the same for both sides.
#[derive(Default)]
struct Past {
    /// Bytes for us that we have not read.
    unread: usize,
    /// Bytes for the peer that it has not read.
    unread_by_peer: usize,
    /// The peer has sent a FIN or a reset.
    ended: bool,
    gone: bool,
    /// A call of the bare stream has failed.
    failed: bool,
    written: u8,
}

#[cfg(target_os = "linux")]
impl Past {
    /// What our socket has when the step has reached it: `RDHUP` after a FIN, `HUP` after a reset.
    fn brings(&self, step: &Step, outcome: &Outcome) -> Option<PollFlags> {
        match (step, outcome) {
            (Step::PeerFinishes, _) if !self.ended => Some(PollFlags::RDHUP),
            (Step::PeerResets, _) if !self.gone => Some(PollFlags::HUP),
            // A close with unread input is a reset.
            (Step::PeerLeaves, _) if !self.gone && self.unread_by_peer > 0 => Some(PollFlags::HUP),
            (Step::PeerLeaves, _) if !self.ended => Some(PollFlags::RDHUP),
            // Nobody has the connection any more: the answer is a reset.
            (Step::Write(length), Outcome::Sent(Ok(()))) if self.gone && *length > 0 => {
                Some(PollFlags::HUP)
            }
            (Step::WriteVectored(lengths), Outcome::Sent(Ok(())))
                if self.gone && lengths.iter().any(|length| *length > 0) =>
            {
                Some(PollFlags::HUP)
            }
            _ => None,
        }
    }
}

struct Side<S, P> {
    ours: S,
    peer: Option<P>,
}

impl<S: AsyncRead + AsyncWrite + Unpin, P: Peer> Side<S, P> {
    async fn take(&mut self, step: &Step, past: &Past) -> Outcome {
        match step {
            Step::Read(length) => self.read(*length, past).await,
            // Of a reset the bare stream tells such a read, and then the next one finds the end.
            Step::Look if past.unread == 0 || past.gone => Outcome::Done,
            Step::Look => self.read(0, past).await,
            Step::Write(length) => Outcome::Sent(self.write(&[*length], past).await),
            Step::WriteVectored(lengths) => Outcome::Sent(self.write(lengths, past).await),
            Step::Flush => Outcome::Sent(self.ours.flush().await.map_err(|error| error.kind())),
            Step::Shutdown => {
                let shut_down = soon("a shutdown", self.ours.shutdown()).await;
                Outcome::ShutDown(shut_down.map_err(|error| error.kind()))
            }
            Step::PeerReads => self.peer_reads(past),
            Step::PeerWrites(length) => {
                if let Some(peer) = self.peer.as_mut().filter(|_| !past.ended) {
                    peer.write_all(&bytes(past, *length)).unwrap();
                }
                Outcome::Done
            }
            Step::PeerFinishes => {
                if let Some(peer) = self.peer.as_ref().filter(|_| !past.ended) {
                    peer.finish();
                }
                Outcome::Done
            }
            Step::PeerLeaves => {
                self.peer = None;
                Outcome::Done
            }
            Step::PeerResets => {
                if let Some(peer) = self.peer.take() {
                    peer.reset();
                }
                Outcome::Done
            }
            Step::Delay(millis) => {
                tokio::time::sleep(Duration::from_millis(*millis)).await;
                Outcome::Done
            }
        }
    }

    /// Reads what is there and no more, or the end.
    async fn read(&mut self, length: usize, past: &Past) -> Outcome {
        let mut input = Vec::new();
        let wanted = length.min(past.unread);
        loop {
            let mut room = vec![
                0;
                if wanted == 0 {
                    length
                } else {
                    wanted - input.len()
                }
            ];
            let polled = match past.unread > 0 || past.ended {
                true => Poll::Ready(soon("input", self.ours.read(&mut room)).await),
                false => {
                    let mut room = ReadBuf::new(&mut room);
                    poll_fn(|cx| {
                        let polled = Pin::new(&mut self.ours).poll_read(cx, &mut room);
                        Poll::Ready(polled.map_ok(|()| room.filled().len()))
                    })
                    .await
                }
            };
            match polled {
                Poll::Pending => return Outcome::Input(input, None),
                Poll::Ready(Ok(0)) => return Outcome::Input(input, Some(Ok(()))),
                Poll::Ready(Ok(count)) => input.extend_from_slice(&room[..count]),
                Poll::Ready(Err(error)) => return Outcome::Input(input, Some(Err(error.kind()))),
            }
            if input.len() >= wanted {
                return Outcome::Input(input, None);
            }
        }
    }

    async fn write(&mut self, lengths: &[usize], past: &Past) -> Result<(), ErrorKind> {
        let parts: Vec<_> = lengths.iter().map(|length| bytes(past, *length)).collect();
        let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut slices = &mut slices[..];
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            let written = match slices.len() {
                1 => soon("a write", self.ours.write(&slices[0])).await,
                _ => soon("a write", self.ours.write_vectored(slices)).await,
            };
            IoSlice::advance_slices(&mut slices, written.map_err(|error| error.kind())?);
        }
        Ok(())
    }

    fn peer_reads(&mut self, past: &Past) -> Outcome {
        let mut got = vec![0; past.unread_by_peer];
        let Some(peer) = &mut self.peer else {
            return Outcome::Done;
        };
        let read = peer.read_exact(&mut got);
        Outcome::PeerGot(got, read.err().map(|error| error.kind()))
    }
}

/// The next bytes: no two that are near each other are the same.
fn bytes(past: &Past, length: usize) -> Vec<u8> {
    let first = past.written;
    (0..length).map(|n| (n % 251) as u8 ^ first).collect()
}

/// What a pair of outcomes means for the script.
#[derive(PartialEq, Eq)]
enum Verdict {
    Same,
    /// A listed difference, behind which the two connections are no longer the same.
    Ends,
    Wrong,
}

fn judge(config: Tried, past: &Past, bare: &Outcome, monitored: &Outcome) -> Verdict {
    let gone =
        |kind: &ErrorKind| matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
    match (bare, monitored) {
        _ if bare == monitored => Verdict::Same,
        // 1.
        (
            Outcome::Sent(_) | Outcome::ShutDown(_),
            Outcome::Sent(Err(kind)) | Outcome::ShutDown(Err(kind)),
        ) if config.half_close == HalfClose::Close
            && past.ended
            && (past.unread == 0 || config.read_ahead > 0)
            && gone(kind) =>
        {
            Verdict::Ends
        }
        // 2.
        (Outcome::Sent(Err(bare)), Outcome::Sent(Err(monitored))) if past.gone => {
            match gone(bare) && gone(monitored) {
                true => Verdict::Same,
                false => Verdict::Wrong,
            }
        }
        // 3.
        (
            Outcome::Input(bare, Some(Ok(()))),
            Outcome::Input(monitored, Some(Err(ErrorKind::ConnectionReset))),
        ) if past.gone && past.failed && bare == monitored => Verdict::Same,
        // 4.
        (Outcome::ShutDown(Ok(())), Outcome::ShutDown(Err(kind))) if past.gone && gone(kind) => {
            Verdict::Ends
        }
        _ => Verdict::Wrong,
    }
}

/// The configuration of the monitored stream.
#[derive(Clone, Copy, Default)]
struct Tried {
    half_close: HalfClose,
    fin_delay: Duration,
    read_ahead: usize,
}

async fn run<K: Pair>(tried: Tried, script: &[Step]) -> Result<(), TestCaseError> {
    let ((bare, bare_peer), (ours, peer)) = (K::pair(), K::pair());
    if K::TCP {
        // A reset throws away what waits for an acknowledgement, and reading ahead changes when that comes.
        for peer in [&bare_peer, &peer] {
            socket2::SockRef::from(peer).set_tcp_nodelay(true).unwrap();
        }
    }
    let config = MonitorConfig::new()
        .half_close(tried.half_close)
        .fin_delay(tried.fin_delay)
        .read_ahead(tried.read_ahead);
    let mut bare = Side {
        ours: bare,
        peer: Some(bare_peer),
    };
    let mut monitored = Side {
        ours: MonitoredStream::with_config(ours, &config).unwrap(),
        peer: Some(peer),
    };
    let mut past = Past::default();
    let mut shut_down = false;
    for (number, step) in script.iter().enumerate() {
        // Nothing is told of what a script does after its own end.
        if shut_down && matches!(step, Step::Shutdown) {
            continue;
        }
        let plain = bare.take(step, &past).await;
        let watched = monitored.take(step, &past).await;
        match judge(tried, &past, &plain, &watched) {
            Verdict::Same => {}
            Verdict::Ends => return Ok(()),
            Verdict::Wrong => {
                return Err(TestCaseError::fail(format!(
                    "step {number}, {step:?}: bare {plain:?}, monitored {watched:?} ({:?})",
                    monitored.ours.close_reason()
                )));
            }
        }
        #[cfg(target_os = "linux")]
        if let Some(happened) = past.brings(step, &plain) {
            // On a busy machine the kernel delivers late, even over loopback.
            crate::support::until(&bare.ours, happened);
            crate::support::until(monitored.ours.get_ref(), happened);
        }
        past.written = past.written.wrapping_add(17);
        match (step, &plain) {
            (Step::Read(_), Outcome::Input(input, end)) => {
                past.unread -= input.len();
                past.failed |= matches!(end, Some(Err(_)));
            }
            (Step::Write(length), Outcome::Sent(Ok(()))) => past.unread_by_peer += length,
            (Step::WriteVectored(lengths), Outcome::Sent(Ok(()))) => {
                past.unread_by_peer += lengths.iter().sum::<usize>();
            }
            (_, Outcome::Sent(Err(_))) => past.failed = true,
            (Step::Shutdown, _) => shut_down = true,
            (Step::PeerReads, _) => past.unread_by_peer = 0,
            (Step::PeerWrites(length), _) if !past.ended => past.unread += length,
            (Step::PeerFinishes, _) => past.ended = true,
            (Step::PeerLeaves | Step::PeerResets, _) => {
                (past.ended, past.gone) = (true, true);
            }
            _ => {}
        }
    }
    // An observer tells no other story than the calls.
    let reason = monitored.ours.close_reason();
    let plausible = reason.is_none() || past.ended || reason == Some(CloseReason::Finished);
    prop_assert!(
        plausible,
        "closed for {reason:?}, and the peer has not ended"
    );
    Ok(())
}

fn number(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn compare<K: Pair>(tried: Tried) {
    let config = Config {
        cases: number("HANGUP_SCRIPTS", 200),
        failure_persistence: None,
        ..Config::default()
    };
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&number("HANGUP_SCRIPT_SEED", 1).to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    TestRunner::new_with_rng(config, random)
        .run(&prop::collection::vec(step(), 1..40), |script| {
            runtime.block_on(run::<K>(tried, &script))
        })
        .unwrap();
}

/// Answers to half-closed peers.
fn allowed() -> Tried {
    Tried {
        half_close: HalfClose::Allow,
        ..Tried::default()
    }
}

#[test]
fn tcp() {
    compare::<Tcp4>(Tried::default());
}

#[test]
fn tcp_that_half_closes() {
    compare::<Tcp4>(allowed());
}

#[test]
fn unix() {
    compare::<Unix>(Tried::default());
}

#[test]
fn unix_that_half_closes() {
    compare::<Unix>(allowed());
}

/// No call waits for the delay of a FIN.
#[test]
fn tcp_with_a_delayed_fin() {
    compare::<Tcp4>(Tried {
        fin_delay: DEADLINE * 2,
        ..Tried::default()
    });
}

#[test]
fn tcp_that_half_closes_with_a_delayed_fin() {
    compare::<Tcp4>(Tried {
        fin_delay: DEADLINE * 2,
        ..allowed()
    });
}

#[test]
fn tcp_that_reads_ahead() {
    compare::<Tcp4>(Tried {
        read_ahead: 1500,
        ..Tried::default()
    });
}

#[test]
fn tcp_that_half_closes_and_reads_ahead() {
    compare::<Tcp4>(Tried {
        read_ahead: 1500,
        ..allowed()
    });
}

#[test]
fn unix_that_half_closes_and_reads_ahead() {
    compare::<Unix>(Tried {
        read_ahead: 1500,
        ..allowed()
    });
}

#[test]
fn unix_that_half_closes_with_a_delayed_fin() {
    compare::<Unix>(Tried {
        fin_delay: DEADLINE * 2,
        ..allowed()
    });
}
