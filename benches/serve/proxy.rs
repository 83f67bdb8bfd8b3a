//! The example `proxy` beside HAProxy, each in front of nginx.

use super::client::{download, wrk};
use super::scratch::Scratch;
use super::server::Server;
use super::{median, present};
use std::io;
use std::time::Duration;

const ROUNDS: usize = 7;

/// Medians come of these.
#[derive(Default)]
struct Figures {
    keep_alive: Vec<f64>,
    keep_alive_cpu: Vec<f64>,
    each: Vec<f64>,
    each_cpu: Vec<f64>,
    bulk: Vec<f64>,
    bulk_cpu: Vec<f64>,
}

pub(crate) fn measure(scratch: &Scratch) -> io::Result<()> {
    let Some(nginx) = present(Server::nginx(scratch)) else {
        return Ok(());
    };
    let backend = nginx.address;
    let proxies = [
        Server::proxy(backend),
        Server::haproxy(scratch, backend),
        Ok(nginx),
    ];
    let proxies: Vec<_> = proxies.into_iter().filter_map(present).collect();
    let mut figures: Vec<_> = proxies.iter().map(|_| Figures::default()).collect();
    for _ in 0..ROUNDS {
        for (proxy, figures) in proxies.iter().zip(&mut figures) {
            figures.round(proxy)?;
        }
    }
    println!(
        "\n| in front of nginx | requests/s, keep-alive | CPU µs each | requests/s, a connection each \
         | CPU µs each | GiB/s | CPU ms a GiB |\n|---|---|---|---|---|---|---|"
    );
    for (proxy, figures) in proxies.iter().zip(&figures) {
        let name = match proxy.address == backend {
            true => "nothing: nginx itself",
            false => proxy.name,
        };
        println!(
            "| {name} | {:.0} | {:.1} | {:.0} | {:.1} | {:.2} | {:.0} |",
            median(&figures.keep_alive),
            median(&figures.keep_alive_cpu),
            median(&figures.each),
            median(&figures.each_cpu),
            median(&figures.bulk),
            median(&figures.bulk_cpu),
        );
    }
    Ok(())
}

impl Figures {
    fn round(&mut self, proxy: &Server) -> io::Result<()> {
        // As long as wrk runs.
        let seconds = 2.0;
        let each = |used: Duration, rate: f64| used.as_secs_f64() * 1e6 / (rate * seconds);
        let url = proxy.url("/small");
        let before = proxy.process.cpu();
        if let Some(rate) = wrk(&url, &[]) {
            self.keep_alive.push(rate);
            let used = proxy.process.cpu() - before;
            self.keep_alive_cpu.push(each(used, rate));
        }
        let before = proxy.process.cpu();
        if let Some(rate) = wrk(&url, &["-H", "Connection: close"]) {
            self.each.push(rate);
            let used = proxy.process.cpu() - before;
            self.each_cpu.push(each(used, rate));
        }
        let before = proxy.process.cpu();
        let took = download(proxy.address)? + download(proxy.address)?;
        self.bulk.push(2.0 / took.as_secs_f64());
        let used = proxy.process.cpu() - before;
        self.bulk_cpu.push(used.as_secs_f64() * 1000.0 / 2.0);
        Ok(())
    }
}
