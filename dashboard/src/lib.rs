//! A live page of a server's connections, the responses on them, and why they ended.
//!
//! For servers that use axum and [`hangup`]. The page shows each open connection with the progress of its response, the
//! bytes that the client has not acknowledged, and whether it has stalled. It also shows why responses and connections
//! ended. The same data is available as counters for Prometheus, and as one log line for each response.
//!
//! The entry point of this crate is [`Dashboard`].
//!
//! ```no_run
//! use axum::Router;
//! use axum::middleware::from_fn_with_state;
//! use axum::routing::get;
//! use hangup::MonitoredListener;
//! use hangup::axum::Peer;
//! use hangup_dashboard::{Dashboard, record};
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let dashboard = Dashboard::new();
//!     let app = Router::new()
//!         .route("/", get(|| async { "hello" }))
//!         .layer(from_fn_with_state(dashboard.clone(), record))
//!         .nest_service("/_hangup", dashboard.router());
//!
//!     println!("{}", dashboard.link("http://127.0.0.1:8080/_hangup"));
//!     let listener = MonitoredListener::bind("127.0.0.1:8080").await?;
//!     axum::serve(listener, app.into_make_service_with_connect_info::<Peer>()).await
//! }
//! ```
//!
//! # Who may see it
//!
//! The page shows who is connected and what they request. [`Dashboard::router`] therefore requires a secret [`Token`],
//! wherever it is mounted. [`Dashboard::unprotected_router`] does not: serve it on a separate listener.
//!
//! # What the figures mean
//!
//! * *Sent*: HTTP has taken the bytes from the response's body. The last of them may still be in HTTP's buffer, in
//!   the socket's, or on the way.
//! * *In flight*: bytes of the connection that our system has accepted and the client's system has not acknowledged
//!   yet. Linux only.
//! * *Stalled*: something is in flight, and for two seconds nothing was sent or acknowledged.
//! * *Complete*: HTTP has taken all of the body, and on the page also: the client's system has acknowledged it. A
//!   response that is sent to its end is *sent* until then, and *cut short* if the client leaves before.

mod access;
mod board;
mod body;
mod connection;
mod dashboard;
mod ended_response;
mod feed;
mod page;
mod prometheus;
mod record;
mod request;
mod response;
mod router;
mod token;

pub use dashboard::{Builder, Dashboard};
pub use ended_response::EndedResponse;
pub use record::record;
pub use token::{Token, TokenError};
