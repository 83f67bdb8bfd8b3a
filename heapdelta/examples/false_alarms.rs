//! Measures noisy operations, and counts wrong answers: `false_alarms [tests] [leak] [load]`.
//!
//! It runs so many tests (100 unless given) of operations that allocate unevenly and do not leak: each `Err` is a false
//! alarm. With `leak` each operation leaks 16 bytes a call besides, and each `Ok` is a leak that was missed. With `load`
//! twice as many threads as processors, half of them allocating, run beside it.
//!
//! ```sh
//! cargo run --release -p heapdelta --example false_alarms -- 1000
//! cargo run --release -p heapdelta --example false_alarms -- 1000 load
//! cargo run --release -p heapdelta --example false_alarms -- 100 leak
//! ```

use heapdelta::{CountingAllocator, LeakError, LeakErrorKind, LeakTest, Outcome, Report};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{hint, mem, thread};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

/// An operation that is measured.
type Measure = fn(&dyn Fn()) -> Result<Report, LeakError>;

const OPERATIONS: &[(&str, Measure)] = &[
    ("blocks of random size", random_blocks),
    ("a cache of random entries", random_cache),
    ("a ring of buffers", ring),
    ("strings that are sorted", sorted_strings),
    ("a pool with a random high-water mark", pool),
    ("threads that end", threads),
    ("files that are closed", files),
    ("tasks of one thread", tasks),
    ("tasks of two workers", tasks_of_two_workers),
    ("connections on loopback", connections),
];

/// A machine that others use, too, may need long.
fn test() -> LeakTest<'static> {
    LeakTest::new().time_limit(Duration::from_secs(600))
}

fn random_blocks(leak: &dyn Fn()) -> Result<Report, LeakError> {
    test().run(|| {
        leak();
        let sizes = (0..20).map(|_| fastrand::usize(1..5000));
        sizes.map(|size| vec![1_u8; size]).collect::<Vec<_>>()
    })
}

/// The entries live on from call to call: the memory in use goes up and down.
fn random_cache(leak: &dyn Fn()) -> Result<Report, LeakError> {
    let mut cache = HashMap::new();
    test().warmup(200).run(|| {
        leak();
        cache.insert(fastrand::u8(..32), vec![1_u8; fastrand::usize(1..200)]);
    })
}

fn ring(leak: &dyn Fn()) -> Result<Report, LeakError> {
    let mut ring = VecDeque::new();
    test().warmup(100).run(|| {
        leak();
        ring.push_back(vec![1_u8; fastrand::usize(1..500)]);
        if ring.len() > fastrand::usize(10..20) {
            ring.drain(..ring.len() - 10);
        }
    })
}

fn sorted_strings(leak: &dyn Fn()) -> Result<Report, LeakError> {
    test().run(|| {
        leak();
        let lines = (0..50).map(|_| (fastrand::u64(..), fastrand::u32(..).to_string()));
        lines.collect::<BTreeMap<_, _>>()
    })
}

/// A pool never shrinks, and grows to the most that was ever wanted at once.
fn pool(leak: &dyn Fn()) -> Result<Report, LeakError> {
    let mut pool: Vec<Box<[u8; 100]>> = Vec::new();
    test().run(|| {
        leak();
        let wanted = fastrand::usize(1..30);
        let mut used = pool.split_off(pool.len().saturating_sub(wanted));
        used.resize_with(wanted, || Box::new([0; 100]));
        pool.append(&mut used);
    })
}

fn threads(leak: &dyn Fn()) -> Result<Report, LeakError> {
    test().times(50).run(|| {
        leak();
        let worker = thread::spawn(|| vec![1_u8; fastrand::usize(1..5000)].len());
        worker.join().expect("it does not panic")
    })
}

fn files(leak: &dyn Fn()) -> Result<Report, LeakError> {
    test().run(|| {
        leak();
        std::fs::read_to_string("Cargo.toml").map(|text| text.len())
    })
}

async fn some_tasks() {
    let sizes = (0..fastrand::usize(1..5)).map(|_| fastrand::usize(1..2000));
    let tasks: Vec<_> = sizes
        .map(|size| {
            tokio::spawn(async move {
                let block = vec![1_u8; size];
                tokio::task::yield_now().await;
                block.len()
            })
        })
        .collect();
    // The first is awaited, the others end by themselves.
    for task in tasks.into_iter().take(1) {
        task.await.expect("it does not panic");
    }
}

fn tasks(leak: &dyn Fn()) -> Result<Report, LeakError> {
    test().run_async(async || {
        leak();
        some_tasks().await;
    })
}

fn tasks_of_two_workers(leak: &dyn Fn()) -> Result<Report, LeakError> {
    test().worker_threads(2).run_async(async || {
        leak();
        some_tasks().await;
    })
}

fn connections(leak: &dyn Fn()) -> Result<Report, LeakError> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    test().times(25).run_async_with(
        async || TcpListener::bind("127.0.0.1:0").await.expect("a port"),
        async |listener| {
            leak();
            let address = listener.local_addr().expect("it is bound");
            let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
            let (mut client, mut server) = (client.expect("loopback"), server.expect("loopback").0);
            let block = vec![1; fastrand::usize(1..5000)];
            client.write_all(&block).await.expect("it is open");
            drop(client);
            let mut read = Vec::new();
            server.read_to_end(&mut read).await.expect("a FIN");
        },
    )
}

/// Keeps every processor busy, and the allocator too, until it is told to stop.
fn load(stop: &Arc<AtomicBool>) {
    let processors = thread::available_parallelism().map_or(2, usize::from);
    for index in 0..2 * processors {
        let stop = stop.clone();
        thread::spawn(move || {
            let mut kept = vec![Vec::new(); 16];
            let mut turns = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                turns = hint::black_box(turns + 1);
                if index % 2 == 0 && turns % 1000 == 0 {
                    let place = fastrand::usize(..kept.len());
                    kept[place] = vec![1_u8; fastrand::usize(1..1000)];
                }
            }
        });
    }
}

fn main() -> ExitCode {
    let mut tests = 100_usize;
    let (mut leaks, mut loaded) = (false, false);
    for argument in std::env::args().skip(1) {
        match (argument.as_str(), argument.parse()) {
            ("leak", _) => leaks = true,
            ("load", _) => loaded = true,
            (_, Ok(number)) => tests = number,
            _ => {
                eprintln!("{argument}: a number of tests, `leak` or `load` is wanted");
                return ExitCode::FAILURE;
            }
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    if loaded {
        load(&stop);
    }
    let leak = move || {
        if leaks {
            // The optimiser removes a block that nobody looks at.
            mem::forget(hint::black_box(Box::new([1_u64; 2])));
        }
    };
    let begun = Instant::now();
    let (mut wrong, mut unsteady) = (0, 0);
    let mut each: BTreeMap<&str, (u32, u32, Duration)> = BTreeMap::new();
    for number in 0..tests {
        let (name, measure) = OPERATIONS[number % OPERATIONS.len()];
        fastrand::seed(number as u64);
        let started = Instant::now();
        let answer = measure(&leak);
        let is_leak = matches!(&answer, Err(error) if error.kind() == LeakErrorKind::Growth);
        let is_wrong = is_leak != leaks || (answer.is_err() && !is_leak);
        let entry = each.entry(name).or_default();
        entry.0 += 1;
        entry.1 += u32::from(is_wrong);
        entry.2 += started.elapsed();
        wrong += u32::from(is_wrong);
        match answer {
            Ok(report) if is_wrong => println!("{name}, seed {number}: missed\n{report}"),
            Err(error) if is_wrong => println!("{name}, seed {number}:\n{error}"),
            Ok(report) => unsteady += u32::from(report.outcome() == Outcome::Unsteady),
            Err(_) => {}
        }
    }
    stop.store(true, Ordering::Relaxed);
    for (name, (tests, wrong, time)) in each {
        let average = time.as_secs_f64() / f64::from(tests);
        println!("{name}: {wrong} of {tests} wrong, {average:.2} s a test");
    }
    let what = if leaks {
        "missed leaks"
    } else {
        "false alarms"
    };
    let seconds = begun.elapsed().as_secs();
    println!("{wrong} {what} in {tests} tests, {unsteady} unsteady, {seconds} s");
    if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
