//! TLS on both sides: a server that sends, and a client that says how the server left.
//!
//! ```sh
//! cargo run --example cookbook_tls_pair                       # the server, and one client of its own
//! openssl s_client -quiet -connect 127.0.0.1:8443 </dev/null  # another one
//! ```

use hangup::tls::tokio_rustls::rustls::crypto::ring::default_provider;
use hangup::tls::tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use hangup::tls::{self, TlsListener};
use hangup::{MonitoredListener, MonitoredStream};
use std::{env, error::Error, net::SocketAddr, sync::Arc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".into()])?;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let server = ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], made.signing_key.into())?;
    let client = ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();

    let address = env::args().nth(1).unwrap_or("127.0.0.1:8443".into());
    let listener = MonitoredListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    tokio::spawn(receive(listener.local_addr()?, Arc::new(client)));
    let mut listener = TlsListener::new(listener, Arc::new(server).into());
    loop {
        let (mut stream, client) = listener.accept_retrying().await;
        tokio::spawn(async move {
            let _ = stream.write_all(b"hello over TLS\n").await;
            // A bare FIN is told as the peer's close: only a read finds that the close_notify is missing.
            println!("{client}: stopped: {}", stream.closed().await);
        });
    }
}

async fn receive(server: SocketAddr, config: Arc<ClientConfig>) -> std::io::Result<()> {
    let name = "localhost".try_into().expect("it is a name");
    let stream = MonitoredStream::<TcpStream>::connect(server).await?;
    let mut stream = tls::connect(&config.into(), name, stream).await?;
    let mut greeting = [0; 15];
    stream.read_exact(&mut greeting).await?;
    print!("the client: {}", String::from_utf8_lossy(&greeting));
    // The orderly end: close_notify, then FIN.
    stream.shutdown().await
}
