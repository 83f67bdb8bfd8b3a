//! How many instructions this thread runs in user space.

#[cfg(target_os = "linux")]
pub(crate) use linux::Counter;
#[cfg(not(target_os = "linux"))]
pub(crate) use none::Counter;

#[cfg(target_os = "linux")]
mod linux {
    use perf_event::events::Hardware;
    use std::io;

    /// perf_event_open(2), of this thread, without the kernel's own instructions.
    pub(crate) struct Counter(perf_event::Counter);

    impl Counter {
        pub(crate) fn new() -> io::Result<Self> {
            let mut counter = perf_event::Builder::new()
                .kind(Hardware::INSTRUCTIONS)
                .build()?;
            counter.enable()?;
            Ok(Self(counter))
        }

        /// The instructions so far.
        pub(crate) fn read(&mut self) -> io::Result<u64> {
            let count = self.0.read_count_and_time()?;
            // Fewer counters than takers: the kernel let it run for a part of the time only.
            if count.time_running < count.time_enabled {
                return Err(io::Error::other("the processor's counter was shared"));
            }
            Ok(count.count)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod none {
    use std::io;

    pub(crate) enum Counter {}

    impl Counter {
        pub(crate) fn new() -> io::Result<Self> {
            Err(io::Error::other("perf_event_open(2) is Linux's"))
        }

        pub(crate) fn read(&mut self) -> io::Result<u64> {
            match *self {}
        }
    }
}
