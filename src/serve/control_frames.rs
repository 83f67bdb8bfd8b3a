//! Counts the HTTP/2 frames of a client that carry no body data.
//!
//! h2 answers or applies each PING, SETTINGS, PRIORITY and WINDOW_UPDATE frame, and has no limit for them
//! (CVE-2019-9511 to CVE-2019-9518 are floods of such frames). It does limit small DATA frames, resets and CONTINUATION
//! frames. So the connection's I/O reads the headers of the frames that pass through it, nine bytes each (RFC 9113, section
//! 4.1), and compares their number with what the requests of the connection account for.

use crate::state::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::Instant;

/// The time in which the frames beyond the earned ones are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// The length of a frame's header.
const HEADER: usize = 9;

/// The type of a DATA frame (RFC 9113, section 6.1).
const DATA: u8 = 0;

/// The frames that a request earns. An ordinary request takes two to eight: HEADERS, PRIORITY or PRIORITY_UPDATE, a PING
/// and WINDOW_UPDATE frames for the last part of its response, RST_STREAM.
const PER_REQUEST: u64 = 20;

/// The frames that a part of a response earns. A client answers a DATA frame with at most two WINDOW_UPDATE frames, for the
/// stream and for the connection, and with a PING that measures the round trip.
const PER_PART: u64 = 10;

/// The bytes of a part that earn one more frame: a client with small windows lets a part through in several DATA frames.
const BYTES_PER_FRAME: usize = 256;

/// The frames that the requests of a connection have earned.
#[derive(Debug, Default)]
pub(super) struct EarnedFrames(AtomicU64);

impl EarnedFrames {
    /// A request has begun.
    pub(super) fn request(&self) {
        self.0.fetch_add(PER_REQUEST, Relaxed);
    }

    /// A part of a response, of this length, goes to the client.
    pub(super) fn part(&self, length: usize) {
        let frames = PER_PART + (length / BYTES_PER_FRAME) as u64;
        self.0.fetch_add(frames, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The frames that a client has sent, except DATA.
#[derive(Debug)]
pub(super) struct ControlFrames {
    max: u64,
    /// The header of the next frame, as far as it has arrived.
    header: [u8; HEADER],
    header_length: usize,
    /// The bytes before the next header.
    skip: usize,
    /// The frames since `since`.
    counted: u64,
    since: Instant,
    /// The earned frames at `since`.
    earned: u64,
}

impl ControlFrames {
    /// Allows `max` frames beyond the earned ones in each window. The first frame comes after `skip` bytes.
    pub(super) fn new(max: u32, skip: usize) -> Self {
        Self {
            max: max.into(),
            header: [0; HEADER],
            header_length: 0,
            skip,
            counted: 0,
            since: Instant::now(),
            earned: 0,
        }
    }

    /// Counts the frames of `bytes`, which the client sent. `false` if they are too many.
    pub(super) fn receive(&mut self, bytes: &[u8], earned: &EarnedFrames) -> bool {
        let frames = self.frames(bytes);
        self.counted += frames;
        // The allowance and the clock matter only to a client that sends many frames.
        self.counted <= self.max || self.is_allowed(frames, earned.get())
    }

    /// More than the maximum have been counted: allows what the connection has earned since, and begins a new window
    /// if the last one is over.
    fn is_allowed(&mut self, frames: u64, earned: u64) -> bool {
        if self.counted <= self.max + (earned - self.earned) {
            return true;
        }
        let now = Instant::now();
        if now - self.since < WINDOW {
            return false;
        }
        self.since = now;
        self.earned = earned;
        self.counted = frames;
        self.counted <= self.max
    }

    /// How many frames other than DATA begin in `bytes`.
    fn frames(&mut self, mut bytes: &[u8]) -> u64 {
        let mut frames = 0;
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let part = (HEADER - self.header_length).min(bytes.len());
            self.header[self.header_length..][..part].copy_from_slice(&bytes[..part]);
            self.header_length += part;
            bytes = &bytes[part..];
            if self.header_length == HEADER {
                let [high, middle, low, kind, ..] = self.header;
                self.skip = u32::from_be_bytes([0, high, middle, low]) as usize;
                self.header_length = 0;
                frames += u64::from(kind != DATA);
            }
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PING: u8 = 6;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let length = u32::try_from(length).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, 0, 0, 0, 0, 0];
        // A payload that looks like headers of PING frames.
        frame.resize(HEADER + u32::from_be_bytes(length) as usize, PING);
        frame
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

        /// However the bytes are cut, each frame is found once.
        #[test]
        fn cuts(
            skip in 0..30_usize,
            frames in proptest::collection::vec((0..12_u8, prop_oneof![0..20_usize, 16_000..17_000_usize]), 0..30),
            cuts in proptest::collection::vec(0..40_usize, 0..100),
        ) {
            let mut bytes = vec![PING; skip];
            for (kind, length) in &frames {
                bytes.extend(frame(*kind, *length));
            }
            let mut counter = ControlFrames::new(u32::MAX, skip);
            let mut rest = &bytes[..];
            let mut counted = 0;
            for cut in cuts {
                let (part, after) = rest.split_at(cut.min(rest.len()));
                counted += counter.frames(part);
                rest = after;
            }
            counted += counter.frames(rest);
            let expected = frames.iter().filter(|(kind, _)| *kind != DATA).count();
            prop_assert_eq!(counted, expected as u64);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_much() {
        let earned = EarnedFrames::default();
        let mut counter = ControlFrames::new(100, 0);
        let pings = frame(PING, 8).repeat(100);
        assert!(counter.receive(&pings, &earned));
        assert!(counter.receive(&frame(DATA, 5).repeat(1000), &earned));
        assert!(!counter.receive(&frame(PING, 8), &earned), "one too many");
        // Requests and their responses earn more.
        earned.request();
        earned.part(16 << 10);
        let more = usize::try_from(PER_REQUEST + PER_PART).unwrap() + 64;
        assert!(counter.receive(&frame(PING, 8).repeat(more - 1), &earned));
        assert!(!counter.receive(&frame(PING, 8), &earned));
        // So does time, but not for a later burst.
        tokio::time::advance(WINDOW).await;
        assert!(counter.receive(&pings[..], &earned));
        assert!(!counter.receive(&frame(PING, 8), &earned));
        tokio::time::advance(100 * WINDOW).await;
        assert!(!counter.receive(&pings.repeat(2), &earned));
    }

    /// A client that pings ten times a second is below the default for ever.
    #[tokio::test(start_paused = true)]
    async fn a_rate_that_is_allowed() {
        let earned = EarnedFrames::default();
        let mut counter = ControlFrames::new(1000, 0);
        let pings = if cfg!(miri) { 100 } else { 100_000 };
        for _ in 0..pings {
            assert!(counter.receive(&frame(PING, 8), &earned));
            tokio::time::advance(Duration::from_millis(100)).await;
        }
    }
}
