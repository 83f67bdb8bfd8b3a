//! Async operations, on a runtime of the test's own.

use crate::error::{LeakError, LeakErrorKind};
use crate::leak_test::LeakTest;
use crate::measure::{Subject, measure};
use crate::report::Report;
use crate::sys;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// What blocking tasks of the operation get to end in, when the test is over.
const SHUTDOWN: Duration = Duration::from_secs(1);

impl LeakTest<'_> {
    /// Runs async operations on a multi-threaded runtime of so many workers, not on the calling thread alone.
    pub fn worker_threads(mut self, workers: usize) -> Self {
        self.worker_threads = Some(workers);
        self
    }

    /// Measures an async operation on a tokio runtime of its own: one thread, with I/O and time, unless
    /// [`worker_threads`](Self::worker_threads) says otherwise. After each call the other tasks get a turn.
    ///
    /// # Errors
    /// A [`LeakError`] that says what leaks, or why it could not be measured. Within another runtime, and if no runtime
    /// can be built, its kind is [`LeakErrorKind::Settings`].
    ///
    /// # Examples
    /// ```
    /// use heapdelta::{LeakTest, Metric};
    ///
    /// LeakTest::new().run_async(async || tokio::task::yield_now().await)?;
    ///
    /// let error = LeakTest::new()
    ///     .run_async(async || drop(tokio::spawn(std::future::pending::<()>())))
    ///     .unwrap_err();
    /// assert!(error.finding(Metric::Tasks).is_some());
    /// # Ok::<(), heapdelta::LeakError>(())
    /// ```
    pub fn run_async<T>(&self, mut operation: impl AsyncFnMut() -> T) -> Result<Report, LeakError> {
        self.run_async_with(async || (), async move |()| operation().await)
    }

    /// As [`run_async`](Self::run_async), with what all calls share, made on the same runtime: a listener, a connection.
    ///
    /// # Errors
    /// As [`run_async`](Self::run_async).
    ///
    /// # Examples
    /// ```
    /// use heapdelta::LeakTest;
    /// use tokio::net::{TcpListener, TcpStream};
    ///
    /// LeakTest::new().run_async_with(
    ///     async || TcpListener::bind("127.0.0.1:0").await.expect("a free port"),
    ///     async |listener| {
    ///         let address = listener.local_addr().expect("it is bound");
    ///         let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    ///         client.and(server).expect("loopback")
    ///     },
    /// )?;
    /// # Ok::<(), heapdelta::LeakError>(())
    /// ```
    pub fn run_async_with<C, T>(
        &self,
        setup: impl AsyncFnOnce() -> C,
        mut operation: impl AsyncFnMut(&mut C) -> T,
    ) -> Result<Report, LeakError> {
        self.check()?;
        let runtime = self.runtime()?;
        let mut context = runtime.block_on(setup());
        let result = measure(
            self,
            &mut Subject {
                call: &mut |calls, deadline| {
                    let all = async {
                        for _ in 0..calls {
                            drop(operation(&mut context).await);
                            tokio::task::yield_now().await;
                        }
                    };
                    runtime
                        .block_on(async { tokio::time::timeout_at(deadline.into(), all).await })
                        .is_ok()
                },
                idle: &mut |time| runtime.block_on(async { tokio::time::sleep(time).await }),
                tasks: &|| Some(runtime.metrics().num_alive_tasks() as u64),
            },
        );
        runtime.block_on(async { drop(context) });
        runtime.shutdown_timeout(SHUTDOWN);
        result
    }

    fn runtime(&self) -> Result<Runtime, LeakError> {
        let refused = |message| LeakError::new(LeakErrorKind::Settings, message);
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(refused(
                "a leak test blocks, and cannot run within a runtime: use `#[test]`, not `#[tokio::test]`".to_owned(),
            ));
        }
        let mut builder = match self.worker_threads {
            Some(0) => {
                return Err(refused(
                    "worker_threads is 0: it must be at least 1".to_owned(),
                ));
            }
            Some(workers) => {
                let mut builder = Builder::new_multi_thread();
                // A worker parks before it is idle, so that its cache is full whenever memory is read.
                builder
                    .worker_threads(workers)
                    .on_thread_park(sys::fill_thread_cache);
                builder
            }
            None => Builder::new_current_thread(),
        };
        builder
            .enable_all()
            .build()
            .map_err(|error| refused(format!("no runtime could be built: {error}")))
    }
}
