//! What an idle watched connection costs, in a program of its own: without the feature `all` it is built with `hangup`'s
//! default features, which is none.
//!
//! `idle COUNT…` prints a line for each figure and each number of connections: name, number and value.

#[expect(dead_code, reason = "nothing is closed here")]
mod crowd;

use hangup::MonitoredStream;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [crowd::ARGUMENT, count, address] =
        arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        return Ok(crowd::run(count.parse()?, address.parse()?)?);
    }
    crowd::raise_limit();
    let group = MemoryGroup::new();
    // Its clock is paused: when nothing is left to do, it goes on to the next timer at once.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()?;
    for count in arguments {
        let count = count.parse()?;
        if count > crowd::limit() {
            println!("limit {count} {}", crowd::limit());
            continue;
        }
        runtime.block_on(measure(count, group.as_ref().ok()))?;
    }
    if let Err(error) = group {
        println!("kernel 0 {error}");
    }
    Ok(())
}

/// What the process has, all connections together.
struct Used {
    heap: usize,
    kernel: Option<u64>,
    descriptors: usize,
    tasks: usize,
}

impl Used {
    fn now(group: Option<&MemoryGroup>) -> io::Result<Self> {
        let heap = HEAP.stats();
        Ok(Self {
            heap: heap.bytes_allocated - heap.bytes_deallocated,
            kernel: group.map(MemoryGroup::kernel).transpose()?,
            descriptors: fs::read_dir("/proc/self/fd")?.count(),
            tasks: Handle::current().metrics().num_alive_tasks(),
        })
    }
}

async fn measure(count: usize, group: Option<&MemoryGroup>) -> Result<(), Box<dyn Error>> {
    let (_crowd, streams) = crowd::Crowd::connect(count + 1)?;
    let mut bare = Vec::with_capacity(count + 1);
    for stream in streams {
        stream.set_nonblocking(true)?;
        bare.push(TcpStream::from_std(stream)?);
    }
    // The first one makes the runtime's watcher, which is not any one connection's.
    let first = bare.pop().ok_or("no connection")?;
    let _first = MonitoredStream::new(first)?;
    let bare_wake_ups = wake_ups_of_a_day().await;
    // Room for what is in place, so that only what is on the heap counts.
    let mut watched = Vec::with_capacity(count);
    let before = Used::now(group)?;
    for stream in bare {
        let stream = MonitoredStream::new(stream)?;
        let monitor = stream.monitor();
        watched.push((stream, monitor));
    }
    let after = Used::now(group)?;
    let each = |more: f64| more / count as f64;
    // The room of the bare streams is given back, and the streams are as large in their new place.
    let place = (count + 1) * size_of::<TcpStream>();
    println!(
        "heap {count} {:.1}",
        each((after.heap + place) as f64 - before.heap as f64)
    );
    if let Some((after, before)) = after.kernel.zip(before.kernel) {
        println!("kernel {count} {:.0}", each(after as f64 - before as f64));
    }
    println!(
        "descriptors {count} {}",
        after.descriptors - before.descriptors
    );
    println!("tasks {count} {}", after.tasks - before.tasks);
    let wake_ups = wake_ups_of_a_day().await;
    println!("wakeups {count} {}", wake_ups.saturating_sub(bare_wake_ups));
    Ok(())
}

/// How often the runtime goes to sleep in a day of its paused clock. A timer of a connection would wake it.
async fn wake_ups_of_a_day() -> u64 {
    let parked = || Handle::current().metrics().worker_park_count(0);
    let before = parked();
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    parked() - before
}

/// A group of processes of its own (memory controller of cgroups(7), version 1), which counts the kernel's memory.
struct MemoryGroup {
    path: PathBuf,
    parent: PathBuf,
}

impl MemoryGroup {
    fn new() -> io::Result<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let parent = groups
            .lines()
            .find_map(|line| line.split_once(":memory:/"))
            .ok_or_else(|| io::Error::other("no memory controller of cgroups, version 1"))?;
        let parent = PathBuf::from("/sys/fs/cgroup/memory").join(parent.1);
        let path = parent.join(format!("hangup-idle-{}", std::process::id()));
        fs::create_dir(&path)?;
        let group = Self { path, parent };
        group.enter(&group.path)?;
        group.kernel()?;
        Ok(group)
    }

    fn enter(&self, group: &std::path::Path) -> io::Result<()> {
        fs::write(group.join("cgroup.procs"), std::process::id().to_string())
    }

    /// Bytes.
    fn kernel(&self) -> io::Result<u64> {
        let text = fs::read_to_string(self.path.join("memory.kmem.usage_in_bytes"))?;
        text.trim().parse().map_err(io::Error::other)
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = self.enter(&self.parent);
        let _ = fs::remove_dir(&self.path);
    }
}
