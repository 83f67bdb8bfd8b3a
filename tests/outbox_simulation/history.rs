//! One history: what the program and its surroundings do, step by step.

use crate::checks::Checks;
use crate::message::Note;
use crate::network::{Network, Weather};
use crate::peer::Confirms;
use crate::plan::Plan;
use crate::store::Disk;
use crate::summary::Summary;
use fastrand::Rng;
use hangup::outbox::*;
use std::pin::Pin;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Once everything works, all must be done within this time: a delay of the back-off, an attempt that hangs, a
/// connection that hangs, a peer that takes 0.7 s for each of a hundred messages, one after the other, and much room.
const BOUND: Duration = Duration::from_secs(300);

/// The same where every connection is short: one for each message, with the longest delay of the back-off before it.
const SHORT_BOUND: Duration = Duration::from_secs(3600);

type Sending = Pin<Box<dyn Future<Output = Result<Receipt<Note>, OutboxError<Note>>> + Send>>;

/// Runs the history of a seed to its end.
pub(crate) fn run(seed: u64) -> Summary {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut history = History::new(seed);
        let steps = history.rng.usize(10..80);
        for _ in 0..steps {
            history.step().await;
            history.check();
        }
        history.finish().await
    })
}

struct History {
    rng: Rng,
    checks: Checks,
    network: Network,
    disk: Option<Disk>,
    plan: Plan,
    outbox: Outbox<Note>,
    task: JoinHandle<()>,
    /// Senders and receipts.
    waiting: Vec<JoinHandle<()>>,
    /// Sends that are held and not polled.
    idle: Vec<(Note, Sending)>,
    next_id: u64,
    began: Instant,
    summary: Summary,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let plan = Plan::draw(&mut rng);
        let checks = Checks::default();
        checks.begin(plan.overflow, plan.confirms == Confirms::Tcp);
        let network = Network::new(rng.fork(), plan.confirms);
        let disk = rng.bool().then(|| Disk::new(rng.fork()));
        let (outbox, task) = plan.start(&network, &checks, disk.as_ref());
        Self {
            rng,
            checks,
            network,
            disk,
            plan,
            outbox,
            task,
            waiting: Vec::new(),
            idle: Vec::new(),
            next_id: 0,
            began: Instant::now(),
            summary: Summary::default(),
        }
    }

    fn is_durable(&self) -> bool {
        self.disk.is_some()
    }

    async fn step(&mut self) {
        match self.rng.u8(0..40) {
            0..=19 => self.send(),
            20..=22 => self.send_and_hold().await,
            23 => {
                // Held sends are polled again, or dropped.
                for (note, sending) in std::mem::take(&mut self.idle) {
                    if self.rng.bool() {
                        self.follow(note, sending, None);
                    } else {
                        drop(sending);
                        self.checks.cancelled(note, self.is_durable());
                    }
                }
            }
            24..=33 => sleep(Duration::from_millis(self.rng.u64(0..400))).await,
            34 => sleep(Duration::from_millis(self.rng.u64(0..8000))).await,
            35 => self.reconnect(),
            36 => {
                let fine = self.rng.bool();
                let weather = if fine { Weather::Fine } else { Weather::Foul };
                self.network.set(weather);
            }
            37 => self.restart().await,
            38 => self.crash().await,
            _ => tokio::task::yield_now().await,
        }
    }

    fn note(&mut self) -> (Note, Importance) {
        let important = self.rng.u8(0..4) > 0;
        let with_priorities = self.plan.with_priorities;
        let note = Note {
            id: self.next_id,
            important,
            pad: if self.rng.bool() {
                0
            } else {
                self.rng.usize(0..400)
            },
            key: if with_priorities {
                self.rng.u8(1..4)
            } else {
                0
            },
            priority: if with_priorities {
                self.rng.u8(0..3)
            } else {
                0
            },
        };
        self.next_id += 1;
        let ttl = Duration::from_millis(self.rng.u64(1..3000));
        let importance = match important {
            true => Importance::Important,
            false => Importance::BestEffort { ttl },
        };
        (note, importance)
    }

    fn sending(&self, note: Note, importance: Importance) -> Sending {
        let outbox = self.outbox.clone();
        Box::pin(async move { outbox.send_with(note, importance).await })
    }

    /// A burst of sends, each in a task of its own.
    fn send(&mut self) {
        for _ in 0..self.rng.usize(1..6) {
            let (note, importance) = self.note();
            let sending = self.sending(note, importance);
            let limit =
                (self.rng.u8(0..5) == 0).then(|| Duration::from_millis(self.rng.u64(0..500)));
            self.follow(note, sending, limit);
        }
    }

    fn follow(&mut self, note: Note, sending: Sending, limit: Option<Duration>) {
        let (checks, durable) = (self.checks.clone(), self.is_durable());
        // Only a receipt tells that a message was dropped.
        let keeps_receipt = self.rng.u8(0..4) > 0 || self.plan.drops();
        self.waiting.push(tokio::spawn(async move {
            let sent = match limit {
                None => sending.await,
                Some(limit) => match timeout(limit, sending).await {
                    Ok(sent) => sent,
                    Err(_) => return checks.cancelled(note, durable),
                },
            };
            match sent {
                Err(error) => checks.refused(&error),
                Ok(receipt) => {
                    checks.accepted(note);
                    if keeps_receipt {
                        let outcome = receipt.await;
                        checks.outcome(note, outcome);
                    }
                }
            }
        }));
    }

    /// A send that is polled once, and then held.
    async fn send_and_hold(&mut self) {
        let (note, importance) = self.note();
        let mut sending = self.sending(note, importance);
        match futures::poll!(&mut sending) {
            std::task::Poll::Pending => self.idle.push((note, sending)),
            std::task::Poll::Ready(Ok(receipt)) => {
                self.checks.accepted(note);
                if self.plan.drops() {
                    let checks = self.checks.clone();
                    self.waiting.push(tokio::spawn(async move {
                        let outcome = receipt.await;
                        checks.outcome(note, outcome);
                    }));
                }
            }
            std::task::Poll::Ready(Err(error)) => self.checks.refused(&error),
        }
    }

    async fn restart(&mut self) {
        let within = Duration::from_millis(self.rng.u64(0..5000));
        let began = Instant::now();
        let other = self.outbox.clone();
        let (report, same) = tokio::join!(self.outbox.shutdown(within), other.shutdown(within));
        drop(other);
        let took = began.elapsed();
        assert!(
            took <= within + Duration::from_millis(1100),
            "{took:?} of {within:?}"
        );
        assert_eq!(report.undelivered(), same.undelivered());
        // Everybody who waited has an answer.
        self.drop_idle();
        self.join_all(BOUND).await;
        self.checks
            .given_back(report.undelivered(), self.is_durable());
        self.summary.restarts += 1;
        self.start();
    }

    async fn crash(&mut self) {
        if let Some(disk) = &self.disk {
            disk.crash();
        }
        self.task.abort();
        self.drop_idle();
        self.join_all(BOUND).await;
        self.checks.crashed(self.is_durable());
        self.summary.crashes += 1;
        self.start();
    }

    fn reconnect(&self) {
        self.checks.starts();
        self.outbox.reconnect_now();
    }

    fn drop_idle(&mut self) {
        for (note, sending) in self.idle.drain(..) {
            drop(sending);
            self.checks.cancelled(note, self.disk.is_some());
        }
    }

    fn start(&mut self) {
        let disk = self.disk.as_ref();
        let (outbox, task) = self.plan.start(&self.network, &self.checks, disk);
        self.outbox = outbox;
        self.task = task;
    }

    /// What must hold at every step.
    fn check(&mut self) {
        let status = self.outbox.status();
        let in_memory = status.queued as u64 - status.on_disk;
        assert!(in_memory <= self.plan.capacity as u64, "{status:?}");
        self.summary.paged += u64::from(status.on_disk > 0);
        assert!(self.is_durable() || status.on_disk == 0, "{status:?}");
        assert!(status.unconfirmed <= self.plan.in_flight, "{status:?}");
        let over = matches!(status.link, Link::GaveUp(_) | Link::Closed);
        assert!(!over, "{:?}", status.link);
    }

    async fn join_all(&mut self, bound: Duration) {
        for waiting in self.waiting.drain(..) {
            let joined = timeout(bound, waiting).await;
            joined.expect("liveness: somebody waits for ever").unwrap();
        }
    }

    async fn finish(mut self) -> Summary {
        // What is acknowledged is known at the end of a connection, however short it was. A reply may be lost.
        let short = self.plan.confirms == Confirms::Tcp && self.rng.bool();
        let (weather, bound) = match short {
            true => (Weather::Short, SHORT_BOUND),
            false => (Weather::Fine, BOUND),
        };
        self.network.set(weather);
        if short {
            // More than one connection carries.
            for _ in 0..20 {
                self.send();
            }
        }
        if let Some(disk) = &self.disk {
            disk.set_fine(true);
        }
        // Otherwise what hangs ends by its timeout, and a peer that was slow stays slow.
        if self.rng.bool() {
            self.reconnect();
        }
        // Held sends stop nobody.
        let idle = std::mem::take(&mut self.idle);
        self.join_all(bound).await;
        // Not by a subscription: a thread publishes to it, and simulated time does not wait for that thread.
        let outbox = self.outbox.clone();
        let done = async {
            while outbox.status().queued > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(bound, done)
            .await
            .expect("liveness: the outbox is stuck");
        self.idle = idle;
        self.drop_idle();
        let report = self.outbox.shutdown(bound).await;
        assert!(report.is_complete());
        self.checks.finish();
        self.summary.simulated = self.began.elapsed();
        self.checks.count(&mut self.summary);
        self.summary
    }
}
