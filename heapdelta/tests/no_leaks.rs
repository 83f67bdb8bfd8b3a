//! Operations without a leak, each of which must pass, and settings that cannot be measured with.

use heapdelta::{LeakErrorKind, LeakTest, Metric};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Heap statistics or at least pages are there on the platforms that the tests are run on.
#[cfg(target_os = "linux")]
#[test]
fn an_operation_that_frees_ends_early() {
    let report = LeakTest::new()
        .run(|| (0..100).map(|n| n.to_string()).collect::<Vec<_>>())
        .unwrap();
    assert_eq!(report.outcome(), heapdelta::Outcome::Stabilised, "{report}");
    assert!(report.runs().len() < 7, "{report}");
    assert_eq!(report.runs()[0].calls(), 100);
    assert!(report.runs()[1].calls() >= 200);
    let last = report.to_string();
    assert!(
        last.lines().last().unwrap().starts_with("stabilised"),
        "{last}"
    );
}

#[test]
fn a_thread_that_takes_a_while_to_end_is_no_leak() {
    LeakTest::new()
        .warmup(100)
        .run(|| {
            let (sender, receiver) = mpsc::channel::<()>();
            // Nobody joins it.
            thread::spawn(move || receiver.recv_timeout(Duration::from_millis(1)));
            sender
        })
        .unwrap();
}

#[test]
fn a_full_cache_is_no_leak() {
    let mut cache = HashMap::new();
    let mut key = 0_u64;
    LeakTest::new()
        .warmup(200)
        .run(|| {
            key += 1;
            cache.remove(&(key.wrapping_sub(100)));
            cache.insert(key, format!("entry {key:20}"));
        })
        .unwrap();
}

/// Another thread of the process allocates and frees all the time.
#[test]
fn a_noisy_neighbour_is_no_leak() {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = fastrand::Rng::with_seed(1);
            let mut kept = vec![Vec::new(); 64];
            while !stop.load(Ordering::Relaxed) {
                let place = random.usize(..kept.len());
                kept[place] = vec![1_u8; random.usize(..10_000)];
            }
        });
        let result = LeakTest::new().run(|| vec![1_u8; 100]);
        stop.store(true, Ordering::Relaxed);
        result.unwrap();
    });
}

#[cfg(feature = "tokio")]
#[test]
fn tasks_that_end_are_no_leak() {
    for workers in [None, Some(2)] {
        let test = LeakTest::new();
        let test = match workers {
            Some(workers) => test.worker_threads(workers),
            None => test,
        };
        test.run_async(async || {
            let task = tokio::spawn(async { vec![1_u8; 1000] });
            // One is awaited, the other ends by itself.
            tokio::spawn(tokio::task::yield_now());
            task.await.unwrap()
        })
        .unwrap();
    }
}

#[test]
fn a_tolerance_covers_what_may_grow() {
    let mut kept = Vec::new();
    let mut calls = 0;
    LeakTest::new()
        .watch("never", || 0)
        .tolerance(Metric::Heap, 1 << 20)
        .tolerance(Metric::Mmap, 1 << 20)
        .run(|| {
            calls += 1;
            if calls % 100 == 0 {
                kept.push(Box::new(1_u64));
            }
        })
        .unwrap();
}

#[test]
fn trim_empties_a_cache() {
    let cache = std::cell::RefCell::new(Vec::new());
    LeakTest::new()
        .trim(|| {
            cache.borrow_mut().clear();
            cache.borrow_mut().shrink_to_fit();
        })
        .run(|| cache.borrow_mut().push(vec![1_u8; 100]))
        .unwrap();
}

#[test]
fn settings_that_cannot_be_measured_with() {
    for (test, word) in [
        (LeakTest::new().times(0), "times is 0"),
        (LeakTest::new().retries(2), "retries is 2"),
        (LeakTest::new().retries(21), "retries is 21"),
        (LeakTest::new().warmup(u64::MAX), "warmup is"),
    ] {
        let error = test.run(|| ()).unwrap_err();
        assert_eq!(error.kind(), LeakErrorKind::Settings);
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.report().is_none());
    }
}

#[test]
fn a_test_inside_a_test_is_refused() {
    let mut inner = None;
    LeakTest::new()
        .warmup(1)
        .run(|| {
            inner.get_or_insert_with(|| LeakTest::new().run(|| ()).unwrap_err().kind());
        })
        .unwrap();
    assert_eq!(inner, Some(LeakErrorKind::Settings));
}

#[cfg(feature = "tokio")]
#[test]
fn a_test_inside_a_runtime_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let error = runtime.block_on(async { LeakTest::new().run_async(async || ()).unwrap_err() });
    assert_eq!(error.kind(), LeakErrorKind::Settings);
    let error = LeakTest::new()
        .worker_threads(0)
        .run_async(async || ())
        .unwrap_err();
    assert_eq!(error.kind(), LeakErrorKind::Settings);
}

#[test]
fn without_any_metric_of_memory_it_is_unsupported() {
    let test = [
        Metric::Heap,
        Metric::Mmap,
        Metric::Uss,
        Metric::Rss,
        Metric::Vms,
    ]
    .into_iter()
    .fold(LeakTest::new(), LeakTest::ignore);
    let error = test.run(|| ()).unwrap_err();
    assert_eq!(error.kind(), LeakErrorKind::Unsupported, "{error}");
}

#[test]
fn the_time_limit_ends_it() {
    let error = LeakTest::new()
        .time_limit(Duration::ZERO)
        .run(|| ())
        .unwrap_err();
    assert_eq!(error.kind(), LeakErrorKind::TimeLimit);
}

/// A panic of the operation does not keep later tests from running.
#[test]
fn a_panic_gives_the_turn_back() {
    let panicked = std::panic::catch_unwind(|| LeakTest::new().run(|| panic!("planted")));
    assert!(panicked.is_err());
    LeakTest::new().run(|| ()).unwrap();
}
