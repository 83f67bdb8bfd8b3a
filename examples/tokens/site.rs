//! The page, and the answers that it asks for.

use crate::answer::{Outcome, answer};
use crate::options::Generator;
use axum::Router;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use futures::StreamExt;
use futures::stream::once;
use hangup::axum::Peer;
use std::convert::Infallible;
use std::future::ready;
use tokio::sync::mpsc::UnboundedSender;

type Site = (Generator, UnboundedSender<Outcome>);

pub(crate) fn router(generator: Generator, outcomes: UnboundedSender<Outcome>) -> Router {
    Router::new()
        .route("/", get(Html(include_str!("page.html"))))
        .route("/tokens", get(tokens))
        .with_state((generator, outcomes))
}

async fn tokens(State((generator, outcomes)): State<Site>, peer: Peer) -> impl IntoResponse {
    let tokens = answer(peer, generator, outcomes).map(|token| Event::default().data(token));
    // Without it the browser would take the end for a lost connection. An event without data it drops.
    let end = once(ready(Event::default().event("end").data("end")));
    Sse::new(tokens.chain(end).map(Ok::<_, Infallible>))
}
