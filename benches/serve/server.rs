//! The servers that are compared, each a process of its own: nginx and ours with a worker for each core, ours with
//! one thread too, lighttpd as it is.

use super::process::Process;
use super::scratch::Scratch;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};

/// One of them, running.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    /// For HTTPS.
    pub(crate) tls: Option<SocketAddr>,
    pub(crate) process: Process,
}

impl Server {
    /// This crate's: this program again.
    pub(crate) fn ours(scratch: &Scratch, how: &str) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(how)
            .arg(&scratch.path)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().expect("piped");
        let process = Process::new(child);
        let mut lines = BufReader::new(output).lines();
        let mut address = || {
            let line = lines.next().transpose()?.unwrap_or_default();
            line.parse().map_err(io::Error::other)
        };
        Ok(Self {
            name: match how {
                "--serve" => "hangup::serve, two threads",
                _ => "hangup::serve, one thread",
            },
            address: address()?,
            tls: Some(address()?),
            process,
        })
    }

    pub(crate) fn nginx(scratch: &Scratch) -> io::Result<Self> {
        let (address, tls) = (free_port()?, free_port()?);
        let (root, path) = (scratch.root(), &scratch.path);
        let (root, path) = (root.display(), path.display());
        let config = scratch.write(
            "nginx.conf",
            &format!(
                "worker_processes auto; pid {path}/nginx.pid; error_log /dev/null; daemon off; \
                 events {{ worker_connections 4096; }} \
                 http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; \
                 client_body_temp_path {path}/body; proxy_temp_path {path}/proxy; \
                 fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; \
                 scgi_temp_path {path}/scgi; ssl_protocols TLSv1.2 TLSv1.3; \
                 ssl_certificate {path}/certificate.pem; ssl_certificate_key {path}/key.pem; \
                 server {{ listen {address} backlog=4096; listen {tls} ssl http2 backlog=4096; \
                 root {root}; }} }} user root;"
            ),
        )?;
        let child = Command::new("nginx").arg("-c").arg(&config).spawn()?;
        Ok(Self {
            name: "nginx, two workers",
            address,
            tls: Some(tls),
            process: Process::new(child).listens(address)?,
        })
    }

    pub(crate) fn lighttpd(scratch: &Scratch) -> io::Result<Self> {
        let address = free_port()?;
        let config = scratch.write(
            "lighttpd.conf",
            &format!(
                "server.document-root = \"{}\"\nserver.bind = \"127.0.0.1\"\nserver.port = {}\n\
                 server.network-backend = \"sendfile\"\nserver.max-keep-alive-requests = 0\n\
                 server.max-connections = 4096\nserver.max-fds = 10000\n\
                 server.max-worker = 0\nserver.errorlog = \"/dev/null\"\n",
                scratch.root().display(),
                address.port()
            ),
        )?;
        let child = Command::new("lighttpd")
            .arg("-D")
            .arg("-f")
            .arg(&config)
            .spawn()?;
        Ok(Self {
            name: "lighttpd, one process",
            address,
            tls: None,
            process: Process::new(child).listens(address)?,
        })
    }

    /// In Rust too, on hyper, with a worker for each core.
    pub(crate) fn static_web_server(scratch: &Scratch) -> io::Result<Self> {
        let address = free_port()?;
        let child = Command::new("static-web-server")
            .args(["--host", "127.0.0.1", "--log-level", "error"])
            .args(["--cache-control-headers", "false"])
            .args(["--port", &address.port().to_string()])
            .arg("--root")
            .arg(scratch.root())
            .spawn()?;
        Ok(Self {
            name: "static-web-server",
            address,
            tls: None,
            process: Process::new(child).listens(address)?,
        })
    }

    /// HAProxy in TCP mode, in front of `backend`.
    pub(crate) fn haproxy(scratch: &Scratch, backend: SocketAddr) -> io::Result<Self> {
        let address = free_port()?;
        let config = scratch.write(
            "haproxy.cfg",
            &format!(
                "global\n maxconn 4096\ndefaults\n mode tcp\n timeout connect 5s\n \
                 timeout client 60s\n timeout server 60s\nlisten all\n bind {address}\n \
                 server one {backend}\n"
            ),
        )?;
        let child = Command::new("haproxy")
            .arg("-db")
            .arg("-q")
            .arg("-f")
            .arg(&config)
            .spawn()?;
        Ok(Self {
            name: "HAProxy, two threads",
            address,
            tls: None,
            process: Process::new(child).listens(address)?,
        })
    }

    /// The example `proxy`, in front of `backend`.
    pub(crate) fn proxy(backend: SocketAddr) -> io::Result<Self> {
        let address = free_port()?;
        // Beside the folder of this program.
        let example = std::env::current_exe()?.with_file_name("../examples/proxy");
        let child = Command::new(example)
            .arg(address.to_string())
            .arg(backend.to_string())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self {
            name: "example proxy, two threads",
            address,
            tls: None,
            process: Process::new(child).listens(address)?,
        })
    }

    /// The URL of `path`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
