//! The side buffer over a scripted stream, against the list of all bytes that the script hands out.
//!
//! Checked after every operation:
//!
//! 5. Nothing that arrived is lost: reads give every byte, in order, and then the error.
//! *  It never holds more than its limit, and is not filled on once a filling has come to the end.
//! *  A read that waits is woken when its wake-up was used up by a filling.

#![no_main]
#![allow(dead_code, unreachable_pub)] // the file below is a part of a library

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use tokio::io::{AsyncRead, ReadBuf};

// The side buffer is no part of the library's interface, and is compiled here from its source, with what it uses.
#[path = "../../src/observe/foreign.rs"]
mod observe;
#[path = "../../src/policy/read_ahead.rs"]
mod unread;

use unread::ReadAhead;

#[derive(Arbitrary, Debug)]
struct Input {
    limit: u16,
    answers: Vec<Answer>,
    operations: Vec<Operation>,
}

/// What the scripted stream answers to one read. After the last one it is pending.
#[derive(Arbitrary, Debug)]
enum Answer {
    /// So many bytes, as far as there is room.
    Bytes(u16),
    Pending,
    WouldBlock,
    Reset,
    End,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Fill,
    /// A read as the stream does it: from the side buffer, or else from the wrapped stream.
    Read {
        filled: u8,
        room: u16,
    },
}

#[derive(Default)]
struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The byte at a place of the input.
fn byte(place: u64) -> u8 {
    (place.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

struct Scripted {
    answers: VecDeque<Answer>,
    handed_out: u64,
    /// The waker of the last pending read, as a socket keeps one.
    waker: Option<Waker>,
    ended: bool,
    /// The side buffer knows of it.
    seen: bool,
}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        assert!(!self.seen, "filled on after the end or an error");
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        assert!(buf.remaining() > 0, "a read without room");
        let answer = self.answers.pop_front();
        if !matches!(answer, None | Some(Answer::Pending)) {
            self.waker = None;
        }
        match answer {
            Some(Answer::Bytes(more)) => {
                let there = usize::from(more) + 1;
                let bytes = there.min(buf.remaining());
                for _ in 0..bytes {
                    buf.put_slice(&[byte(self.handed_out)]);
                    self.handed_out += 1;
                }
                if let Some(rest) = (there - bytes).checked_sub(1) {
                    let rest = Answer::Bytes(u16::try_from(rest).unwrap_or(u16::MAX));
                    self.answers.push_front(rest);
                }
                Poll::Ready(Ok(()))
            }
            Some(Answer::End) => {
                self.ended = true;
                Poll::Ready(Ok(()))
            }
            Some(Answer::Reset) => {
                self.ended = true;
                Poll::Ready(Err(ErrorKind::ConnectionReset.into()))
            }
            Some(Answer::WouldBlock) => Poll::Ready(Err(ErrorKind::WouldBlock.into())),
            Some(Answer::Pending) | None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

fuzz_target!(|input: Input| {
    let limit = usize::from(input.limit) + 1;
    let mut unread: ReadAhead<Scripted> = ReadAhead::new(limit, false);
    let mut io = Scripted {
        answers: input.answers.into(),
        handed_out: 0,
        waker: None,
        ended: false,
        seen: false,
    };
    let (reader, writer) = (Arc::<Counting>::default(), Arc::<Counting>::default());
    let (reading, writing) = (Waker::from(reader.clone()), Waker::from(writer.clone()));
    let mut arrived = 0;
    // Whether a read waits, whose waker nobody has called since.
    let mut waits = false;
    let mut error = false;
    let mut fills = 0;

    for operation in input.operations {
        let woken = reader.0.load(Ordering::Relaxed);
        match operation {
            Operation::Fill => {
                fills += 1;
                let moved = io.handed_out;
                match unread.fill(
                    unread.limit(),
                    Pin::new(&mut io),
                    &Context::from_waker(&writing),
                ) {
                    None => {}
                    Some(Ok(())) => io.seen = true,
                    Some(Err(failed)) => {
                        io.seen = true;
                        assert_eq!(failed.kind(), ErrorKind::ConnectionReset);
                        unread.fail(failed);
                        error = true;
                    }
                }
                assert!(io.handed_out - arrived <= limit as u64);
                let used_up = io.handed_out > moved || io.ended;
                let wakes = reader.0.load(Ordering::Relaxed) - woken;
                // A read that waits is woken by us, or by the stream, which keeps its waker.
                if waits {
                    let kept = io
                        .waker
                        .as_ref()
                        .is_some_and(|waker| !waker.will_wake(&writing));
                    assert!(wakes == 1 || kept || !used_up, "a read that waits for ever");
                    waits = wakes == 0;
                } else {
                    assert_eq!(wakes, 0);
                }
            }
            Operation::Read { filled, room } => {
                let (filled, room) = (usize::from(filled), usize::from(room));
                let mut storage = vec![MaybeUninit::uninit(); filled + room];
                let mut buf = ReadBuf::uninit(&mut storage);
                buf.put_slice(&vec![0xA5; filled]);
                match unread.read(&mut buf) {
                    Some(Ok(())) => assert!(buf.filled().len() > filled),
                    Some(Err(failed)) => {
                        assert!(error, "an error out of nowhere");
                        assert_eq!(failed.kind(), ErrorKind::ConnectionReset);
                        assert_eq!(arrived, io.handed_out, "the error before the input");
                        error = false;
                    }
                    None => {
                        unread.park(None);
                        waits = false;
                        if room > 0 && !io.ended {
                            assert_eq!(arrived, io.handed_out, "the input is passed over");
                            let mut cx = Context::from_waker(&reading);
                            if Pin::new(&mut io).poll_read(&mut cx, &mut buf).is_pending() {
                                unread.park(Some(&reading));
                                waits = true;
                            }
                        }
                    }
                }
                let (old, new) = buf.filled().split_at(filled);
                assert!(old.iter().all(|byte| *byte == 0xA5));
                for got in new {
                    assert_eq!(*got, byte(arrived));
                    arrived += 1;
                }
            }
        }
        // A read that makes room wakes a writer that has read ahead, once.
        assert!(writer.0.load(Ordering::Relaxed) <= fills);
    }
});
