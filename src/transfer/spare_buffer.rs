//! A buffer of each thread, for the copies that have something to carry.
//!
//! Most of the time a direction of a copy holds no data: its source is idle, or its target takes everything at once. Such a
//! direction needs a buffer only within one poll, and then another one can have it. So an idle copy holds no buffer, and a
//! short connection neither allocates nor clears one.

use std::cell::Cell;

/// Larger buffers are not kept: a thread would hold them for ever.
const LARGEST: usize = 64 * 1024;

thread_local! {
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// A buffer of `size` bytes. It may hold old data.
pub(super) fn take(size: usize) -> Box<[u8]> {
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    spare
        .filter(|buffer| buffer.len() == size)
        .unwrap_or_else(|| vec![0; size].into())
}

/// Keeps `buffer` for the next one who takes a buffer on this thread.
pub(super) fn put_back(buffer: Box<[u8]>) {
    if (1..=LARGEST).contains(&buffer.len()) {
        // At the end of the thread there is no next one.
        let _ = SPARE.try_with(|spare| spare.set(Some(buffer)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_taken_again() {
        std::thread::spawn(|| {
            let mut buffer = take(100);
            buffer[0] = 1;
            // Meanwhile another one is allocated.
            assert_eq!(*take(100), [0; 100]);
            put_back(buffer);
            assert_eq!(take(100)[0], 1);
            put_back(take(100));
            assert_eq!(take(99).len(), 99);
            put_back(Box::default());
            assert_eq!(take(1).len(), 1);
            put_back(take(LARGEST + 1));
            assert!(SPARE.take().is_none());
        })
        .join()
        .unwrap();
    }
}
