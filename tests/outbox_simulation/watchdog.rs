//! Ends the test if a history runs in circles: simulated time stands still then, and no timeout of the history fires.

use std::process::exit;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// A history takes milliseconds. This is long for any load of the machine.
const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Watchdog(Sender<u64>);

impl Watchdog {
    pub(crate) fn start() -> Self {
        let (sender, seeds) = mpsc::channel();
        thread::spawn(move || {
            let mut seed = None;
            loop {
                match seeds.recv_timeout(LONG) {
                    Ok(next) => seed = Some(next),
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        eprintln!("liveness: seed {seed:?} runs in circles");
                        exit(1);
                    }
                }
            }
        });
        Self(sender)
    }

    /// The history of this seed begins.
    pub(crate) fn begin(&self, seed: u64) {
        let _ = self.0.send(seed);
    }
}
