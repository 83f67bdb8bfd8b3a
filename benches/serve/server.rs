//! The servers that are compared, each a process of its own: nginx and ours with a worker for each core, ours with
//! one thread too, lighttpd as it is.

use hangup::MonitoredListener;
use hangup::serve::{ServeFolder, serve};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One of them, running.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Server {
    /// This crate's: this program again, by `run_ours`.
    pub(crate) fn ours(folder: &Path, how: &str) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(how)
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line)?;
        Ok(Self {
            name: match how {
                "--serve" => "hangup::serve",
                _ => "hangup::serve, one thread",
            },
            address: line.trim().parse().map_err(io::Error::other)?,
            child,
        })
    }

    pub(crate) fn nginx(folder: &Path, scratch: &Path) -> io::Result<Self> {
        let address = free_port()?;
        let config = scratch.join("nginx.conf");
        let (root, scratch) = (folder.display(), scratch.display());
        fs::write(
            &config,
            format!(
                "worker_processes auto; pid {scratch}/nginx.pid; error_log /dev/null; daemon off; \
                 events {{ worker_connections 4096; }} \
                 http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; \
                 client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy; \
                 fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi; \
                 scgi_temp_path {scratch}/scgi; \
                 server {{ listen {address} backlog=4096; root {root}; }} }} user root;"
            ),
        )?;
        let command = Command::new("nginx").arg("-c").arg(&config).spawn();
        Self::begin("nginx", address, command)
    }

    pub(crate) fn lighttpd(folder: &Path, scratch: &Path) -> io::Result<Self> {
        let address = free_port()?;
        let config = scratch.join("lighttpd.conf");
        fs::write(
            &config,
            format!(
                "server.document-root = \"{}\"\nserver.bind = \"127.0.0.1\"\nserver.port = {}\n\
                 server.network-backend = \"sendfile\"\nserver.max-keep-alive-requests = 0\n\
                 server.max-connections = 4096\nserver.max-fds = 10000\n\
                 server.max-worker = 0\nserver.errorlog = \"/dev/null\"\n",
                folder.display(),
                address.port()
            ),
        )?;
        let command = Command::new("lighttpd")
            .arg("-D")
            .arg("-f")
            .arg(&config)
            .spawn();
        Self::begin("lighttpd", address, command)
    }

    fn begin(
        name: &'static str,
        address: SocketAddr,
        child: io::Result<Child>,
    ) -> io::Result<Self> {
        let server = Self {
            name,
            address,
            child: child?,
        };
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            if Instant::now() > end {
                return Err(io::Error::other(format!("{name} does not listen")));
            }
            std::thread::yield_now();
        }
        Ok(server)
    }

    /// The process and its children.
    fn processes(&self) -> Vec<u32> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        [id].into_iter().chain(children).collect()
    }

    /// The processor's time that it has used.
    pub(crate) fn cpu(&self) -> Duration {
        let ticks: u64 = self.processes().into_iter().map(ticks).sum();
        // USER_HZ is 100 on every Linux that is in use.
        Duration::from_millis(ticks * 10)
    }

    /// Its resident memory in bytes, without what its processes share.
    pub(crate) fn memory(&self) -> u64 {
        let private = |id: u32| {
            let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
            let lines = rollup.lines().filter(|line| line.starts_with("Private_"));
            let kilobytes =
                lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
            kilobytes.sum::<u64>() * 1024
        };
        self.processes().into_iter().map(private).sum()
    }
}

fn ticks(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let times = fields.split_whitespace().skip(11).take(2);
    times.filter_map(|time| time.parse::<u64>().ok()).sum()
}

fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx's master takes its workers with it on a signal that it can hear.
        let id = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Serves a folder until it is killed, and prints its address.
pub(crate) fn run_ours(folder: &Path, one_thread: bool) -> io::Result<()> {
    let runtime = match one_thread {
        true => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
        false => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?,
    };
    runtime.block_on(async {
        let listener = MonitoredListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let folder = ServeFolder::open(folder)?;
        serve(listener, folder).shutdown_on_signals().await?;
        Ok(())
    })
}
