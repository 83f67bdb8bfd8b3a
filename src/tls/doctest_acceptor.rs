// The acceptor of the documentation's examples, which include this file: a server without a certificate.
{
    use hangup::tls::tokio_rustls::{TlsAcceptor, rustls};
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(std::sync::Arc::new(
            rustls::server::ResolvesServerCertUsingSni::new(),
        ));
    TlsAcceptor::from(std::sync::Arc::new(config))
}
