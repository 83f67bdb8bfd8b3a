//! `--metrics`: the counters, for Prometheus.

#[cfg(feature = "metrics")]
mod enabled {
    use axum::Router;
    use axum::http::header::CONTENT_TYPE;
    use axum::routing::get;
    use hangup::metrics::STREAM_DURATION;
    use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
    use std::error::Error;
    use std::net::SocketAddr;
    use std::time::Duration;
    use tokio::net::TcpListener;

    /// The bounds of the histogram's buckets, in seconds.
    const BUCKETS: &[f64] = &[0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0];

    /// How often to put away what the histogram has collected, if nobody asks for it.
    const UPKEEP: Duration = Duration::from_secs(10);

    /// Serves the page in the background. Gives its address.
    pub(crate) async fn serve(address: SocketAddr) -> Result<SocketAddr, Box<dyn Error>> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(STREAM_DURATION.to_owned()), BUCKETS)?
            .build_recorder();
        let page = recorder.handle();
        metrics::set_global_recorder(recorder)?;
        hangup::metrics::describe();
        let upkeep = page.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(UPKEEP);
            loop {
                ticks.tick().await;
                upkeep.run_upkeep();
            }
        });

        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| format!("--metrics {address}: {error}"))?;
        let address = listener.local_addr()?;
        let answer =
            || async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4")], page.render()) };
        let site = Router::new().route("/metrics", get(answer));
        tokio::spawn(axum::serve(listener, site).into_future());
        Ok(address)
    }
}

#[cfg(not(feature = "metrics"))]
mod enabled {
    use std::error::Error;
    use std::net::SocketAddr;

    pub(crate) async fn serve(_: SocketAddr) -> Result<SocketAddr, Box<dyn Error>> {
        Err("built without the feature `metrics`".into())
    }
}

pub(crate) use enabled::serve;
