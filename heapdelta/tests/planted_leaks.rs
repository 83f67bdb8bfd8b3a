//! Planted leaks, each of which must be found. `LeakTest` has the tests take turns: each measures the whole process.
#![cfg(target_os = "linux")]

use heapdelta::{CountingAllocator, LeakError, LeakErrorKind, LeakTest, Metric};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;
use std::{iter, mem, ptr, thread};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

/// The error of an operation that leaks memory.
#[track_caller]
fn growth(operation: impl FnMut()) -> LeakError {
    let error = LeakTest::new().run(operation).expect_err("a planted leak");
    assert_eq!(error.kind(), LeakErrorKind::Growth, "{error}");
    println!("{error}");
    error
}

/// Glibc tells what C has in use; musl tells nothing, and Rust's allocator is counted alone.
const HEAP: Metric = if cfg!(target_env = "gnu") {
    Metric::Heap
} else {
    Metric::Rust
};

/// By how much `metric` grows a call.
#[track_caller]
fn per_call(error: &LeakError, metric: Metric) -> f64 {
    let finding = error.finding(metric);
    finding
        .unwrap_or_else(|| panic!("no {metric}: {error}"))
        .per_call
}

#[cfg(target_env = "gnu")]
fn from_c(bytes: usize) {
    #[allow(unsafe_code, reason = "the planted leak is C's")]
    // SAFETY: `malloc` takes any size. The block is never used.
    let block = unsafe { libc::malloc(bytes) };
    assert!(!std::hint::black_box(block).is_null());
}

#[test]
fn sixteen_bytes_in_rust() {
    let error = growth(|| mem::forget(Box::new([1_u64; 2])));
    assert!(
        (per_call(&error, Metric::Rust) - 16.0).abs() < 0.5,
        "{error}"
    );
    // Glibc's chunk has room for 24 bytes.
    let chunk = if cfg!(target_env = "gnu") { 32.0 } else { 16.0 };
    assert!((per_call(&error, HEAP) - chunk).abs() < 1.0, "{error}");
}

#[cfg(target_env = "gnu")]
#[test]
fn sixteen_bytes_in_c() {
    let error = growth(|| from_c(16));
    let heap = per_call(&error, Metric::Heap);
    assert!((heap - 32.0).abs() < 1.0, "{error}");
    assert!(error.finding(Metric::Rust).is_none(), "not Rust's: {error}");
}

#[test]
fn one_byte_in_rust() {
    let error = growth(|| mem::forget(Box::new(1_u8)));
    assert!(
        (per_call(&error, Metric::Rust) - 1.0).abs() < 0.1,
        "{error}"
    );
}

/// The smallest there is: glibc's smallest chunk is 32 bytes.
#[cfg(target_env = "gnu")]
#[test]
fn one_byte_in_c() {
    let error = growth(|| from_c(1));
    assert!(per_call(&error, Metric::Heap) > 30.0, "{error}");
}

/// The buffer doubles when it is full, and in many runs of other tools it does not grow at all.
#[test]
fn one_byte_in_a_buffer_that_doubles() {
    let mut buffer = Vec::new();
    let error = growth(|| buffer.push(1_u8));
    assert!(per_call(&error, Metric::Rust) > 0.4, "{error}");
}

#[test]
fn one_call_of_fifty() {
    let mut calls = 0;
    let error = growth(|| {
        calls += 1;
        if calls % 50 == 0 {
            mem::forget(Box::new(1_u64));
        }
    });
    let rust = per_call(&error, Metric::Rust);
    assert!((rust - 8.0 / 50.0).abs() < 0.05, "{error}");
}

#[test]
fn a_mebibyte_by_mmap() {
    let length = 1 << 20;
    let error = growth(|| {
        #[allow(unsafe_code, reason = "the planted leak is the system's")]
        // SAFETY: a new private mapping, at an address of the system's choice. It is never used.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(address, libc::MAP_FAILED);
    });
    let per_call = per_call(&error, Metric::Vms);
    assert!((per_call - length as f64).abs() < 50_000.0, "{error}");
    assert!(
        error.finding(Metric::Heap).is_none(),
        "not malloc's: {error}"
    );
}

#[cfg(target_env = "gnu")]
#[test]
fn a_mebibyte_by_malloc_is_mapped() {
    let error = LeakTest::new()
        .times(30)
        .run(|| from_c(1 << 20))
        .unwrap_err();
    assert!(
        per_call(&error, Metric::Mmap) >= f64::from(1 << 20),
        "{error}"
    );
}

#[test]
fn a_cycle_of_arcs() {
    struct Node(Mutex<Option<Arc<Self>>>);
    let error = growth(|| {
        let node = Arc::new(Node(Mutex::new(None)));
        *node.0.lock().unwrap() = Some(node.clone());
    });
    assert!(per_call(&error, Metric::Rust) >= 24.0, "{error}");
}

#[test]
fn a_static_map_that_grows() {
    static MAP: OnceLock<Mutex<HashMap<u64, String>>> = OnceLock::new();
    let error = growth(|| {
        let mut map = MAP.get_or_init(Mutex::default).lock().unwrap();
        let key = map.len() as u64;
        map.insert(key, format!("connection {key}"));
    });
    assert!(per_call(&error, HEAP) >= 32.0, "{error}");
}

/// The error of an operation that leaves something open.
#[track_caller]
fn unclosed(error: &LeakError, metric: Metric, detail: &str) {
    println!("{error}");
    let finding = error.finding(metric);
    let finding = finding.unwrap_or_else(|| panic!("no {metric}: {error}"));
    assert!((finding.per_call - 1.0).abs() < 0.1, "{error}");
    if error.kind() == LeakErrorKind::Growth {
        // Another test's thread ended, or closed its files, during the single call. The runs have found it.
        return;
    }
    assert_eq!(error.kind(), LeakErrorKind::Unclosed, "{error}");
    let named = finding.details.iter().any(|line| line.contains(detail));
    assert!(named, "{detail}: {error}");
}

#[test]
fn a_descriptor() {
    let error = LeakTest::new()
        .run(|| mem::forget(File::open("/dev/null").unwrap()))
        .unwrap_err();
    unclosed(&error, Metric::Descriptors, "/dev/null");
}

#[test]
fn a_thread() {
    // The threads wait for the senders, which the test drops in the end.
    let mut senders = Vec::new();
    let error = LeakTest::new()
        .run(|| {
            let (sender, receiver) = mpsc::channel::<()>();
            senders.push(sender);
            let leaked = thread::Builder::new().name("forgotten".to_owned());
            leaked.spawn(move || receiver.recv()).unwrap()
        })
        .unwrap_err();
    unclosed(&error, Metric::Threads, "forgotten");
}

#[test]
fn a_child_that_nobody_waits_for() {
    let children: RefCell<Vec<Child>> = RefCell::default();
    let error = LeakTest::new()
        .warmup(1)
        .run(|| {
            let child = Command::new("true").spawn().unwrap();
            children.borrow_mut().push(child);
        })
        .unwrap_err();
    for child in children.borrow_mut().iter_mut() {
        child.wait().unwrap();
    }
    unclosed(&error, Metric::Children, "child");
}

/// A descriptor in one call of ten passes the single call, and grows with the runs.
#[test]
fn a_descriptor_in_one_call_of_ten() {
    let mut files = Vec::new();
    let mut calls = 0;
    let error = LeakTest::new()
        .times(20)
        .run(|| {
            calls += 1;
            if calls % 10 == 0 {
                files.push(File::open("/dev/null").unwrap());
            }
        })
        .unwrap_err();
    assert_eq!(error.kind(), LeakErrorKind::Growth, "{error}");
    let per_call = per_call(&error, Metric::Descriptors);
    assert!((per_call - 0.1).abs() < 0.03, "{error}");
}

#[test]
fn a_watched_counter() {
    let entries = RefCell::new(Vec::new());
    let error = LeakTest::new()
        .watch("entries", || entries.borrow().len() as u64)
        .run(|| entries.borrow_mut().push(()))
        .unwrap_err();
    assert_eq!(error.kind(), LeakErrorKind::Unclosed);
    assert!((per_call(&error, Metric::Watched("entries")) - 1.0).abs() < 0.1);
    assert_eq!(error.to_string(), "leak: one call left entries +1");
}

#[test]
fn a_leak_below_noise() {
    // 32 bytes a call, below up to 4 KB that come and go.
    let mut random = fastrand::Rng::with_seed(1);
    let mut kept: Vec<Vec<u8>> = iter::repeat_n(Vec::new(), 8).collect();
    let error = LeakTest::new()
        .run(|| {
            let place = random.usize(..kept.len());
            kept[place] = vec![1; random.usize(..512)];
            mem::forget(Box::new(1_u128));
        })
        .unwrap_err();
    assert_eq!(error.kind(), LeakErrorKind::Growth, "{error}");
    assert!(
        (per_call(&error, Metric::Rust) - 16.0).abs() < 8.0,
        "{error}"
    );
}

#[cfg(feature = "tokio")]
mod run_async {
    use super::*;

    #[test]
    fn a_task() {
        let error = LeakTest::new()
            .run_async(async || drop(tokio::spawn(std::future::pending::<()>())))
            .unwrap_err();
        assert_eq!(error.kind(), LeakErrorKind::Unclosed);
        assert_eq!(error.to_string(), "leak: one call left tasks +1");
    }

    #[test]
    fn a_task_of_a_multi_threaded_runtime() {
        let error = LeakTest::new()
            .worker_threads(2)
            .run_async(async || drop(tokio::spawn(std::future::pending::<()>())))
            .unwrap_err();
        assert!((per_call(&error, Metric::Tasks) - 1.0).abs() < 0.1);
    }

    #[test]
    fn memory_of_a_connection() {
        use tokio::net::{TcpListener, TcpStream};
        let mut kept = Vec::new();
        let error = LeakTest::new()
            .run_async_with(
                async || TcpListener::bind("127.0.0.1:0").await.unwrap(),
                async |listener| {
                    let address = listener.local_addr().unwrap();
                    let (client, server) =
                        tokio::join!(TcpStream::connect(address), listener.accept());
                    let (client, (server, peer)) = (client.unwrap(), server.unwrap());
                    kept.push(Box::new(peer));
                    (client, server)
                },
            )
            .unwrap_err();
        assert_eq!(error.kind(), LeakErrorKind::Growth, "{error}");
        assert!(per_call(&error, Metric::Rust) >= 32.0, "{error}");
    }

    #[test]
    fn a_socket_is_named() {
        let mut kept = Vec::new();
        let error = LeakTest::new()
            .run_async(async || kept.push(tokio::net::UdpSocket::bind("127.0.0.1:0").await))
            .unwrap_err();
        unclosed(&error, Metric::Descriptors, "socket:[");
    }

    #[test]
    fn a_call_that_never_returns() {
        let error = LeakTest::new()
            .time_limit(Duration::from_millis(100))
            .run_async(async || std::future::pending::<()>().await)
            .unwrap_err();
        assert_eq!(error.kind(), LeakErrorKind::TimeLimit, "{error}");
    }
}
