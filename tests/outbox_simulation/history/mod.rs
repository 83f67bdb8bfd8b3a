//! One history: what the program and its surroundings do, step by step.

mod senders;

use crate::checks::Checks;
use crate::message::Note;
use crate::network::{Network, Weather};
use crate::peer::Confirms;
use crate::plan::{LINGER, Plan};
use crate::room::Room;
use crate::sinks::NoteSink;
use crate::store::Disk;
use crate::summary::Summary;
use fastrand::Rng;
use hangup::outbox::*;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::watch;
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

/// Lets an outbox go on that has given up. Returns whether it had.
fn resume(outbox: &Outbox<Note>, checks: &Checks) -> bool {
    let resumed = outbox.resume();
    if resumed {
        checks.resumes();
    }
    resumed
}

struct History {
    rng: Rng,
    checks: Checks,
    network: Network,
    disk: Option<Disk>,
    plan: Plan,
    /// `None` while there is no handle.
    outbox: Option<Outbox<Note>>,
    task: JoinHandle<()>,
    /// Senders and receipts.
    waiting: Vec<JoinHandle<()>>,
    /// Sends that are held and not polled.
    idle: Vec<(Note, Sending)>,
    /// Sinks that are held and not polled.
    sinks: Vec<NoteSink>,
    subscribed: Option<watch::Receiver<OutboxStatus>>,
    room: Room,
    /// How often idle sends and sinks were polled or dropped.
    touched: u64,
    next_id: u64,
    began: Instant,
    summary: Summary,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let plan = Plan::draw(&mut rng);
        let checks = Checks::default();
        let network = Network::new(rng.fork(), &plan);
        let disk = rng.bool().then(|| Disk::new(rng.fork()));
        checks.begin(&plan);
        let (outbox, task) = plan.start(&network, &checks, disk.as_ref());
        Self {
            rng,
            checks,
            network,
            disk,
            plan,
            outbox: Some(outbox),
            task,
            waiting: Vec::new(),
            idle: Vec::new(),
            sinks: Vec::new(),
            subscribed: None,
            room: Room::default(),
            touched: 0,
            next_id: 0,
            began: Instant::now(),
            summary: Summary::default(),
        }
    }

    fn is_durable(&self) -> bool {
        self.disk.is_some()
    }

    fn outbox(&self) -> &Outbox<Note> {
        self.outbox.as_ref().unwrap()
    }

    async fn step(&mut self) {
        if self.rng.u8(0..3) == 0 {
            self.summary.resumed += u64::from(resume(self.outbox(), &self.checks));
        }
        match self.rng.u8(0..50) {
            0..=19 => self.send(),
            20..=22 => self.send_and_hold().await,
            23 => {
                // Held sends are polled again, or dropped.
                self.touched += 1;
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
            39 => self.leave().await,
            40 => {
                self.subscribed = match self.subscribed {
                    Some(_) => None,
                    None => Some(self.outbox().subscribe()),
                }
            }
            41 => self.try_send(),
            42..=43 => self.send_by_sink(),
            44..=46 => self.touch_sink(),
            47..=48 => self.send_distracted(),
            _ => tokio::task::yield_now().await,
        }
    }

    async fn restart(&mut self) {
        let mut ends = Duration::MAX;
        if self.rng.u8(0..3) == 0 {
            // This one is dropped. If its time is shorter, it applies.
            let within = Duration::from_millis(self.rng.u64(0..5000));
            let stays = Duration::from_millis(self.rng.u64(0..1000));
            let _ = timeout(stays, self.outbox().shutdown(within)).await;
            ends = within.saturating_sub(stays);
        }
        let within = Duration::from_millis(self.rng.u64(0..5000));
        let began = Instant::now();
        let (one, other) = (self.outbox(), self.outbox().clone());
        let (report, same) = tokio::join!(one.shutdown(within), other.shutdown(within));
        drop(other);
        let took = began.elapsed();
        let most = within.min(ends) + Duration::from_millis(1100);
        assert!(took <= most, "{took:?} of {most:?}");
        assert_eq!(report.undelivered(), same.undelivered());
        assert!(report.is_store_closed());
        // Everybody who waited has an answer.
        self.drop_idle();
        self.join_all(BOUND).await;
        self.checks
            .given_back(report.undelivered(), self.disk.as_ref());
        self.summary.restarts += 1;
        self.start();
    }

    /// Drops every handle, if no task has one: the outbox delivers for a while, and ends.
    async fn leave(&mut self) {
        let (sending, ..) = self.checks.senders();
        let (distracted, _) = self.checks.unpolled();
        if sending > 0 || distracted > 0 {
            return;
        }
        self.drop_idle();
        self.outbox = None;
        let ends = LINGER + Duration::from_millis(1100);
        let ended = timeout(ends, &mut self.task).await;
        ended.expect("liveness: it outlives its handles").unwrap();
        self.join_all(BOUND).await;
        match &self.disk {
            Some(disk) => self.checks.given_back(&[], Some(disk)),
            None => self.checks.crashed(None),
        }
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
        self.checks.crashed(self.disk.as_ref());
        self.summary.crashes += 1;
        self.start();
    }

    fn reconnect(&self) {
        self.checks.starts();
        self.outbox().reconnect_now();
    }

    fn drop_idle(&mut self) {
        self.sinks.clear();
        for (note, sending) in self.idle.drain(..) {
            drop(sending);
            self.checks.cancelled(note, self.disk.is_some());
        }
    }

    fn start(&mut self) {
        let disk = self.disk.as_ref();
        let (outbox, task) = self.plan.start(&self.network, &self.checks, disk);
        self.outbox = Some(outbox);
        self.task = task;
        self.room = Room::default();
        self.subscribed = None;
    }

    /// What must hold at every step.
    fn check(&mut self) {
        self.checks.hold();
        let status = self.outbox().status();
        let in_memory = status.queued as u64 - status.on_disk;
        assert!(in_memory <= self.plan.capacity as u64, "{status:?}");
        assert!(status.bytes <= self.plan.max_bytes, "{status:?}");
        self.summary.paged += u64::from(status.on_disk > 0);
        assert!(self.is_durable() || status.on_disk == 0, "{status:?}");
        assert!(status.unconfirmed <= self.plan.in_flight, "{status:?}");
        let over = match status.link {
            Link::GaveUp(_) => !self.plan.may_give_up(),
            ref link => *link == Link::Closed,
        };
        assert!(!over, "{:?}", status.link);
        if !self.is_durable() {
            let (distracted, minded) = self.checks.unpolled();
            let sinks = self.sinks.iter().filter(|sink| sink.waits());
            let unpolled = self.idle.len() + sinks.count() + distracted;
            self.checks.status(&status);
            self.room.look(
                &self.plan,
                &status,
                &self.checks,
                unpolled,
                self.touched + minded,
            );
        }
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
        let outbox = self.outbox().clone();
        let checks = self.checks.clone();
        let resuming = tokio::spawn(async move {
            loop {
                resume(&outbox, &checks);
                sleep(Duration::from_millis(100)).await;
            }
        });
        // Held sends and sinks stop nobody.
        let idle = std::mem::take(&mut self.idle);
        let sinks = std::mem::take(&mut self.sinks);
        self.join_all(bound).await;
        // Not by a subscription: a thread publishes to it, and simulated time does not wait for that thread.
        let outbox = self.outbox().clone();
        let done = async {
            while outbox.status().queued > 0 {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(bound, done)
            .await
            .expect("liveness: the outbox is stuck");
        (self.idle, self.sinks) = (idle, sinks);
        self.drop_idle();
        resuming.abort();
        let report = outbox.shutdown(bound).await;
        assert!(report.is_complete());
        let status = outbox.status();
        let left = (
            status.bytes,
            status.unconfirmed,
            status.on_disk_bytes,
            status.oldest,
        );
        assert_eq!(left, (0, 0, 0, None));
        match &self.disk {
            Some(disk) => disk.check_empty(),
            None => self.checks.status(&status),
        }
        self.checks.hold();
        self.checks.finish();
        self.summary.simulated = self.began.elapsed();
        self.checks.count(&mut self.summary);
        self.summary
    }
}
