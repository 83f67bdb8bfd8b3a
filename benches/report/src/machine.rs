//! Where and when it is measured.

use std::fs;
use std::process::Command;

/// One line: processor, kernel and versions.
pub(crate) fn describe() -> String {
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok())
        .map_or(0, |kib| kib.div_ceil(1 << 20));
    let kernel = rustix::system::uname();
    let release = kernel.release().to_string_lossy();
    let rustc = output("rustc", &["--version"]);
    format!(
        "A virtual machine or computer with {cores} cores ({model}) and {memory} GiB, Linux {release}, {}, \
         hangup {}, SQLite {}, {}.",
        rustc.unwrap_or_else(|| "an unknown rustc".to_owned()),
        hangup_version(),
        rusqlite::version(),
        nginx().unwrap_or_else(|| "no nginx".to_owned()),
    )
}

/// `YYYY-MM-DD`, in UTC.
pub(crate) fn date() -> String {
    output("date", &["--utc", "+%F"]).unwrap_or_else(|| "unknown date".to_owned())
}

/// How many threads were runnable, the mean of the last minute.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("unknown").to_owned()
}

fn hangup_version() -> &'static str {
    let manifest = include_str!("../../../Cargo.toml");
    let line = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = "));
    line.map_or("", |version| version.trim_matches('"'))
}

fn nginx() -> Option<String> {
    // It prints to the standard error.
    let output = Command::new("nginx").arg("-v").output().ok()?;
    let text = String::from_utf8(output.stderr).ok()?;
    let version = text.trim().rsplit('/').next()?;
    Some(format!("nginx {version}"))
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
