//! actix-web: a watch-only handle for each connection, and a report that is not finished for a client that has left.
//!
//! ```sh
//! cargo run -p hangup-cookbook --bin actix_web
//! curl http://127.0.0.1:8080/
//! ```
//!
//! actix-web opens its sockets itself and only shows them, so they cannot be wrapped. It keeps the handle with the
//! connection, and drops both together. Linux only.

use actix_web::dev::Extensions;
use actix_web::error::ErrorInternalServerError;
use actix_web::rt::System;
use actix_web::rt::net::TcpStream;
use actix_web::rt::time::sleep;
use actix_web::{App, HttpRequest, HttpServer, web};
use hangup::WatchOnly;
use std::any::Any;
use std::time::Duration;
use std::{env, io};

/// Called by actix-web with each connection that it has accepted.
fn watch(connection: &dyn Any, extensions: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else {
        return; // TLS: `TlsStream<TcpStream>`
    };
    match WatchOnly::new(stream) {
        Ok(watch) => drop(extensions.insert(watch)),
        Err(error) => eprintln!("not watched: {error}"),
    }
}

async fn report(request: HttpRequest) -> actix_web::Result<&'static str> {
    let Some(watch) = request.conn_data::<WatchOnly>() else {
        return Err(ErrorInternalServerError("the connection is not watched"));
    };
    let monitor = watch.monitor();
    println!("at work");
    // A task of its own: actix-web drops this handler when its own read fails.
    let work = actix_web::rt::spawn(async move {
        let work = sleep(Duration::from_secs(60));
        let ended = monitor.run_until_closed(work).await;
        ended.inspect_err(|reason| println!("stopped: {reason}"))
    });
    let ended = work.await.map_err(ErrorInternalServerError)?;
    ended.map_err(ErrorInternalServerError)?;
    Ok("the report\n")
}

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let server = HttpServer::new(|| App::new().route("/", web::to(report)))
        .on_connect(watch)
        .bind(address)?;
    for address in server.addrs() {
        println!("listening on {address}");
    }
    System::new().block_on(server.run())
}
