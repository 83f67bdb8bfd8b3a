//! The counters of all streams, for Prometheus to scrape.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::time::Duration;

/// A connection lasts for one request or for a long download: seconds, in powers of ten.
const LASTED: [f64; 7] = [0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0];
/// How often what was recorded is summed up if nobody scrapes it: it takes memory until then.
const UPKEEP: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) struct Prometheus(PrometheusHandle);

impl Prometheus {
    /// Has the streams counted that are made from now on.
    pub(crate) fn install() -> Self {
        let handle = PrometheusBuilder::new()
            .set_buckets(&LASTED)
            .and_then(PrometheusBuilder::install_recorder)
            .expect("there are buckets, and this is the first recorder");
        hangup::metrics::describe();
        let upkeep = handle.clone();
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(UPKEEP);
            loop {
                interval.tick().await;
                upkeep.run_upkeep();
            }
        });
        Self(handle)
    }

    pub(crate) fn answer(&self) -> Response {
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        ([(CONTENT_TYPE, kind)], self.0.render()).into_response()
    }
}
