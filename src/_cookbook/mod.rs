//! Recipes: whole programs of 30 to 80 lines.
//!
//! They are in the folder `examples/` of the repository, built and run by its tests: a client leaves each server once in order and once
//! by a reset. `cargo run --all-features --example cookbook_NAME` runs one; those that need a framework of their own are
//! binaries of the package `hangup-cookbook`.
//!
//! May use nothing: there are only pages here, and rustdoc alone reads them. Nobody uses it.
//!
//! | recipe | what it shows |
//! |---|---|
//! | [`log_tail`] | `tail -f` for any number of TCP clients: a quiet log, and so no write that could fail. |
//! | [`sse_thread`] | Server-sent events from a thread that computes or blocks, with axum. Features: `axum`. |
//! | [`split_halves`] | One task reads while another one writes. |
//! | [`hyper_server`] | hyper without a framework. Features: `http`. |
//! | [`reverse_proxy`] | A reverse proxy that gives up its request when the client leaves. Features: `axum`. |
//! | [`connection_pool`] | A pooled HTTP client. Features: `hyper-client`. |
//! | [`tls_pair`] | A TLS server, and a TLS client. Features: `ring`. |
//! | [`outbox_tls_json`] | JSON messages over TLS that survive the loss of their connection. Features: `json`, `ring`. |
//! | [`websocket`] | A WebSocket broadcast, with axum. Features: `axum`. |
//! | [`tonic_stream`] | A gRPC stream that ends with its client, with tonic. |
//! | [`warp`] | warp's filters over monitored connections. |
//! | [`poem`] | poem over monitored connections. |
//! | [`actix_web`] | actix-web, which owns its sockets: a watch-only handle. Linux only. |
//! | [`tokio_postgres`] | A long query that tells at once when, and why, its server is gone. |
//! | [`yes`] | A program that ends when nobody reads its standard output. Linux only. |
//! | [`child_process`] | The input of a child process. Linux only. |
//! | [`graceful_shutdown`] | A graceful shutdown that endless streams cannot hold up. Features: `axum`. |
//! | [`testing`] | Tests of a handler, without a socket. Features: `test-util`. |

macro_rules! recipes {
    ($($name:ident: $about:literal, $file:literal;)*) => { $(
        #[doc = concat!($about, "\n\n```ignore\n", include_str!(concat!("../../examples/", $file)), "```")]
        pub mod $name {}
    )* };
}

recipes! {
    log_tail: "`tail -f` for any number of TCP clients: a quiet log, and so no write that could fail.", "cookbook/log_tail.rs";
    sse_thread: "Server-sent events from a thread that computes or blocks, with axum. Features: `axum`.", "cookbook/sse_thread.rs";
    split_halves: "One task reads while another one writes.", "cookbook/split_halves.rs";
    hyper_server: "hyper without a framework. Features: `http`.", "cookbook/hyper_server.rs";
    reverse_proxy: "A reverse proxy that gives up its request when the client leaves. Features: `axum`.", "cookbook/reverse_proxy.rs";
    connection_pool: "A pooled HTTP client. Features: `hyper-client`.", "cookbook/connection_pool.rs";
    tls_pair: "A TLS server, and a TLS client. Features: `ring`.", "cookbook/tls_pair.rs";
    outbox_tls_json: "JSON messages over TLS that survive the loss of their connection. Features: `json`, `ring`.", "cookbook/outbox_tls_json.rs";
    websocket: "A WebSocket broadcast, with axum. Features: `axum`.", "cookbook/websocket.rs";
    tonic_stream: "A gRPC stream that ends with its client, with tonic.", "cookbook/tonic_stream.rs";
    warp: "warp's filters over monitored connections.", "cookbook/warp.rs";
    poem: "poem over monitored connections.", "cookbook/poem.rs";
    actix_web: "actix-web, which owns its sockets: a watch-only handle. Linux only.", "cookbook/actix_web.rs";
    tokio_postgres: "A long query that tells at once when, and why, its server is gone.", "cookbook/tokio_postgres.rs";
    yes: "A program that ends when nobody reads its standard output. Linux only.", "yes.rs";
    child_process: "The input of a child process. Linux only.", "cookbook/child_process.rs";
    graceful_shutdown: "A graceful shutdown that endless streams cannot hold up. Features: `axum`.", "cookbook/graceful_shutdown.rs";
    testing: "Tests of a handler, without a socket. Features: `test-util`.", "cookbook/testing.rs";
}
