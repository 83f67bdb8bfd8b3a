//! Lists of operations into the outbox's buffer, against a plain model.

#![allow(dead_code, unreachable_pub)] // the buffer is a part of a library

mod plain;
// The queue is no part of the library's interface, and is compiled here from its source.
#[path = "../../../src/outbox/queue/mod.rs"]
mod queue;

use plain::{Id, Operation, Pair};
use proptest::collection::vec;
use proptest::prelude::*;
use queue::ack_marks::AckMarks;
use queue::block::{BLOCK, Block, Slot, Terms};
use queue::buffer::{Budget, Buffer};
use queue::wait_queue::WaitQueue;

/// Those of an important message.
fn terms(id: u64) -> Terms {
    Terms {
        size: 100,
        id,
        since: 0,
        expires: None,
        best_effort: false,
        receipt: false,
        key: 0,
        priority: 0,
    }
}

fn run(operations: &[(u8, u8, u8)], max_bytes: usize, max_len: usize, with_priorities: bool) {
    let mut pair = Pair::new(max_bytes, max_len);
    if with_priorities {
        pair.prioritize();
    }
    for &operation in operations {
        pair.run(Operation::new(operation));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn buffer_does_as_the_model(
        operations in vec(any::<(u8, u8, u8)>(), 0..200),
        max_bytes in 1_usize..10_000,
        max_len in 1_usize..300,
    ) {
        run(&operations, max_bytes, max_len, false);
    }

    #[test]
    fn buffer_with_priorities_does_as_the_model(
        operations in vec(any::<(u8, u8, u8)>(), 0..200),
        max_bytes in 1_usize..10_000,
        max_len in 1_usize..300,
    ) {
        run(&operations, max_bytes, max_len, true);
    }

    /// The limits are reached again and again. A buffer for no message or no byte makes room for none.
    #[test]
    fn a_small_buffer_does_as_the_model(
        operations in vec(any::<(u8, u8, u8)>(), 0..200),
        max_bytes in prop_oneof![Just(0_usize), Just(200)],
        max_len in 0_usize..6,
        with_priorities in any::<bool>(),
    ) {
        run(&operations, max_bytes, max_len, with_priorities);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The replies count messages, so those that were dropped are remembered, up to a limit. A message that was kept beyond
    /// it after its time, and was to be written again, was searched for without end.
    #[test]
    fn replies_that_count_do_as_the_model(
        operations in vec(any::<(u8, u8, u8)>(), 0..200),
        max_len in 1_usize..6,
        with_priorities in any::<bool>(),
    ) {
        let mut pair = Pair::new(10_000, max_len);
        if with_priorities {
            pair.prioritize();
        }
        for operation in operations {
            pair.run(match Operation::new(operation) {
                named if named.names() => Operation::Wait(operation.1),
                operation => operation,
            });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    /// Enough messages for many blocks.
    #[test]
    fn many_blocks(operations in vec(any::<(u8, u8, u8)>(), 300..600)) {
        let mut pair = Pair::new(usize::MAX, usize::MAX);
        for operation in operations {
            let operation = Operation::new(operation);
            // Three more messages for each, so that they pile up.
            for size in 0..3 {
                pair.run(Operation::new((0, size, size + 1)));
            }
            if !matches!(operation, Operation::Clear) {
                pair.run(operation);
            }
        }
    }
}

/// A batch is acknowledged with its last byte, and no sooner.
#[test]
fn a_mark_is_passed_with_its_last_byte() {
    let mut marks = AckMarks::default();
    marks.push(100, 1);
    marks.push(200, 5);
    marks.push(200, 6);
    assert_eq!(marks.pass(99), None);
    assert_eq!(marks.pass(100), Some(1));
    assert_eq!(marks.pass(100), None);
    assert_eq!(marks.pass(199), None);
    assert_eq!(marks.pass(200), Some(6));
    assert!(marks.is_empty());
}

/// Many batches are told apart no more, and none is acknowledged too soon for it.
#[test]
fn marks_that_are_merged_are_passed_late() {
    let mut marks = AckMarks::default();
    for batch in 1..=5000 {
        marks.push(10 * batch, batch);
    }
    for acknowledged in 0..=50_000 {
        if let Some(below) = marks.pass(acknowledged) {
            assert!(10 * below <= acknowledged);
        }
    }
    assert!(marks.is_empty());
}

/// Room is granted in the order of the senders. One that does not take it is passed over, and does not lose its
/// place.
#[test]
fn a_sender_that_does_not_take_its_room_is_passed_over() {
    let mut queue = WaitQueue::new();
    let [first, second, third] = [10, 10, 10].map(|size| queue.enter(size, u64::MAX));
    let none = (0, 0);
    for (ticket, name) in [(first, 'a'), (second, 'b'), (third, 'c')] {
        assert!(!queue.poll(ticket, none, || name, &mut None));
    }
    let granted = |queue: &mut WaitQueue<char>, room, now| {
        let mut wake = Vec::new();
        queue.grant(room, now, &mut wake);
        wake
    };
    assert_eq!(granted(&mut queue, (15, 9), 0), ['a']);
    // The room is the first one's, and not the second one's.
    assert!(!queue.poll(second, (15, 9), || 'b', &mut None));
    assert_eq!(granted(&mut queue, (20, 9), 1), ['b']);
    assert!(!queue.pass_on(19, 20));
    assert!(queue.pass_on(20, 20));
    assert!(queue.is_contended());
    assert!(queue.poll(second, (10, 9), || 'b', &mut None));
    queue.leave(second);
    assert_eq!(granted(&mut queue, (10, 9), 30), ['c']);
    // The first one comes back, finds no room, and is the first one again.
    assert!(!queue.poll(first, (0, 9), || 'a', &mut None));
    assert_eq!(granted(&mut queue, (10, 9), 40), ['a']);
    assert!(!queue.poll(third, (10, 9), || 'c', &mut None));
    assert!(queue.poll(first, (10, 9), || 'a', &mut None));
    for ticket in [first, third] {
        queue.leave(ticket);
    }
    assert!(queue.is_empty() && !queue.is_contended());
}

/// Replies that count have to be matched with the messages that were dropped. So that there are never more of those than
/// the capacity, a written message is then kept beyond its time.
#[test]
fn dropped_messages_are_counted_up_to_the_capacity() {
    let mut pair = Pair::new(100, 1);
    for _ in 0..3 {
        pair.run(Operation::Push {
            size: 1,
            id: Id::Growing,
            ttl: Some(1),
        });
        pair.run(Operation::Take {
            bytes: 100,
            limit: None,
            in_flight: None,
            alone: None,
        });
        pair.run(Operation::Wait(10));
    }
}

/// A sender whose time is over is woken once.
#[test]
fn a_sender_is_woken_at_the_end_of_its_time() {
    let mut queue = WaitQueue::new();
    let ends = [(30, 'a'), (u64::MAX, 'b'), (20, 'c')];
    let tickets = ends.map(|(ends, name)| (queue.enter(10, ends), name));
    for (ticket, name) in tickets {
        assert!(!queue.poll(ticket, (0, 0), || name, &mut None));
    }
    let mut woken = Vec::new();
    for (now, expected, next) in [(19, "", Some(20)), (20, "c", Some(30)), (99, "ca", None)] {
        queue.wake_expired(now, &mut woken);
        assert_eq!(woken.iter().collect::<String>(), expected);
        assert_eq!(queue.next_expiry(), next);
    }
}

/// A small message does not overtake a large one that waits behind a grant.
#[test]
fn a_sender_waits_for_all_that_came_before_it() {
    let mut queue = WaitQueue::new();
    let [granted, large, small] = [10, 10, 1].map(|size| queue.enter(size, u64::MAX));
    for ticket in [granted, large] {
        assert!(!queue.poll(ticket, (0, 0), || (), &mut None));
    }
    queue.grant((11, 9), 0, &mut Vec::new());
    assert!(!queue.poll(small, (11, 9), || (), &mut None));
    assert!(queue.poll(granted, (11, 9), || (), &mut None));
}

/// Best effort between important messages leaves gaps in the numbers of a store. After a restart each message took a
/// block of its own: 4 KiB.
#[test]
fn gaps_in_the_numbers_take_no_memory() {
    const COUNT: u64 = 10_000;
    for gap in [1, 2, 3, 10, 1000] {
        let mut buffer = Buffer::new(usize::MAX, usize::MAX);
        for number in (0..COUNT).map(|number| number * gap) {
            buffer.push_at(number, number, terms(number));
        }
        let blocks = buffer.blocks.iter();
        let bytes = blocks
            .map(|block| size_of::<Block<u64>>() + block.slots.capacity() * size_of::<Slot<u64>>());
        let beside = bytes.sum::<usize>() as u64 / COUNT - size_of::<Option<u64>>() as u64;
        assert!(beside <= 40, "{beside} bytes a message with gaps of {gap}");
    }
}

/// A message that comes late splits a block in two. The second half doubled its room as it was filled again, to more than
/// a block ever holds.
#[test]
fn a_split_block_keeps_within_its_slots() {
    let mut block = Block::new(0, false);
    for number in 0..60 {
        block.push(number, number, &terms(number));
    }
    let mut rest = block.split_off(10);
    for number in 60..74 {
        rest.push(number, number, &terms(number));
    }
    assert!(rest.is_full());
    for block in [block, rest] {
        assert!(
            block.slots.capacity() <= BLOCK,
            "{}",
            block.slots.capacity()
        );
    }
}

/// A confirmation may be late. Messages that are to be written again are not confirmed as a whole block: they count as
/// unwritten.
#[test]
fn a_block_that_is_to_be_written_again_is_not_confirmed_at_once() {
    let mut buffer = Buffer::new(usize::MAX, usize::MAX);
    let count = BLOCK as u64;
    for number in 0..=count {
        buffer.push(number, terms(number));
    }
    let budget = Budget {
        bytes: usize::MAX,
        in_flight: usize::MAX,
        below: u64::MAX,
        alone: None,
    };
    buffer.take(budget, 0, &mut Vec::new(), &mut |_| {});
    buffer.rewind(&mut |_| {});
    assert!(buffer.confirm_block_below(count).is_none());
    buffer.take(budget, 0, &mut Vec::new(), &mut |_| {});
    assert!(buffer.confirm_block_below(count - 1).is_none());
    let block = buffer.confirm_block_below(count).unwrap();
    assert_eq!((block.live, block.end()), (BLOCK, count));
    assert_eq!((buffer.len(), buffer.written()), (1, 1));
}
