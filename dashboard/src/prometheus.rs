//! The counters in the format that Prometheus reads (OpenMetrics 1.0).

use crate::ended_response::EndedResponse;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hangup::CloseReason;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

type Label = [(&'static str, &'static str); 1];

pub(crate) struct Metrics {
    registry: Registry,
    open: Gauge,
    opened: Counter,
    closed: Family<Label, Counter>,
    responses: Family<Label, Counter>,
    sent: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("hangup_dashboard");
        let (open, opened, closed) = (Gauge::default(), Counter::default(), Family::default());
        let (responses, sent) = (Family::default(), Counter::default());
        registry.register(
            "connections_open",
            "Connections that are open",
            open.clone(),
        );
        registry.register("connections_opened", "Connections so far", opened.clone());
        let text = "Connections that have closed, by reason";
        registry.register("connections_closed", text, closed.clone());
        let text = "Responses that have ended, complete or cut short";
        registry.register("responses", text, responses.clone());
        let text = "Bytes of the bodies of ended responses that HTTP has taken";
        registry.register_with_unit("response_body", text, Unit::Bytes, sent.clone());
        Self {
            registry,
            open,
            opened,
            closed,
            responses,
            sent,
        }
    }

    pub(crate) fn connection_opened(&self) {
        self.open.inc();
        self.opened.inc();
    }

    pub(crate) fn connection_closed(&self, reason: Option<&CloseReason>) {
        self.open.dec();
        let name = reason.map_or("unknown", CloseReason::name);
        self.closed.get_or_create(&[("reason", name)]).inc();
    }

    pub(crate) fn response_ended(&self, response: &EndedResponse) {
        let outcome = if response.is_complete() {
            "complete"
        } else {
            "cut_short"
        };
        self.responses.get_or_create(&[("outcome", outcome)]).inc();
        self.sent.inc_by(response.sent());
    }

    pub(crate) fn answer(&self) -> Response {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        ([(CONTENT_TYPE, kind)], text).into_response()
    }
}
