//! This crate's server, in a process of its own.

use hangup::MonitoredListener;
use hangup::serve::{ServeFolder, serve};
use hangup::tls::TlsListener;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// Serves the folder `root` in `scratch` until it is ended, and prints its addresses, of HTTP and of HTTPS.
pub(crate) fn run(scratch: &Path, one_thread: bool) -> io::Result<()> {
    let mut builder = match one_thread {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build()?.block_on(async {
        let folder = ServeFolder::open(scratch.join("root"))?;
        let listener = MonitoredListener::bind("127.0.0.1:0").await?;
        let tls = MonitoredListener::bind("127.0.0.1:0").await?;
        println!("{}\n{}", listener.local_addr()?, tls.local_addr()?);
        let tls = TlsListener::new(tls, acceptor(scratch)?);
        tokio::spawn(serve(tls, folder.clone()).into_future());
        serve(listener, folder).shutdown_on_signals().await?;
        Ok(())
    })
}

fn acceptor(scratch: &Path) -> io::Result<TlsAcceptor> {
    let certificate = CertificateDer::from(fs::read(scratch.join("certificate.der"))?);
    let key = PrivatePkcs8KeyDer::from(fs::read(scratch.join("key.der"))?);
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .map_err(io::Error::other)?;
    Ok(Arc::new(config).into())
}
