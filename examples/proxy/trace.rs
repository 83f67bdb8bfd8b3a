//! `--trace`: the ends of streams on standard error, each in the span of its connection.

#[cfg(feature = "tracing")]
mod enabled {
    use std::error::Error;
    use std::future::Future;
    use std::io::{self, IsTerminal};
    use std::net::SocketAddr;
    use tracing::{Instrument, Level, info_span};

    pub(crate) fn start() -> Result<(), Box<dyn Error>> {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_max_level(Level::DEBUG);
        Ok(tracing::subscriber::set_global_default(
            subscriber.finish(),
        )?)
    }

    /// Runs `future` in the span of the client at `address`: the streams that it makes begin there.
    pub(crate) fn in_span<F: Future>(
        address: SocketAddr,
        future: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        future.instrument(info_span!("connection", client = %address))
    }
}

#[cfg(not(feature = "tracing"))]
mod enabled {
    use std::error::Error;
    use std::net::SocketAddr;

    pub(crate) fn start() -> Result<(), Box<dyn Error>> {
        Err("built without the feature `tracing`".into())
    }

    pub(crate) fn in_span<F>(_: SocketAddr, future: F) -> F {
        future
    }
}

pub(crate) use enabled::{in_span, start};
