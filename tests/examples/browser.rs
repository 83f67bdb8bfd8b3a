//! Chromium without a window, driven by the DevTools protocol. All calls block, with a deadline: tests of
//! a runtime make them in `spawn_blocking`.

use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tungstenite::{Error, Message, WebSocket};

/// For each call and each event.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// Chromium lives no longer than this many seconds, even if the test is killed.
const LIFE: &str = "300";
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// One browser at a time: two of them starve each other, and the server beside them, of two cores.
static ALONE: Mutex<()> = Mutex::new(());

/// A running Chromium. Killed when dropped, with all of its processes, and its profile is removed.
pub(crate) struct Browser {
    wire: Mutex<Wire>,
    _process: Process,
    _alone: MutexGuard<'static, ()>,
}

impl Browser {
    /// `None` where there is no Chromium; the test's output says so.
    pub(crate) fn start() -> Option<Self> {
        let answers = |program: &&&str| {
            let mut command = Command::new(program);
            command.arg("--version").stderr(Stdio::null());
            command.output().is_ok_and(|output| output.status.success())
        };
        let Some(program) = NAMES.iter().find(answers) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "there is no chromium, and CI needs it"
            );
            println!("skipped: there is no chromium here");
            return None;
        };
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (process, address) = Process::start(program);
        Some(Self {
            wire: Mutex::new(Wire::connect(&address)),
            _process: process,
            _alone: alone,
        })
    }

    /// Opens a tab, and returns when its page is loaded. `about:blank` is a page too.
    pub(crate) fn open(&self, url: &str) -> Tab<'_> {
        let target = self.call(None, "Target.createTarget", json!({"url": "about:blank"}));
        let target = text(&target["targetId"]);
        let params = json!({"targetId": target, "flatten": true});
        let session = self.call(None, "Target.attachToTarget", params);
        let tab = Tab {
            browser: self,
            target,
            session: text(&session["sessionId"]),
        };
        tab.call("Page.enable", json!({}));
        if url != "about:blank" {
            tab.go(url);
        }
        tab
    }

    /// Lets tabs download into `directory`, which is there.
    pub(crate) fn download_to(&self, directory: &Path) {
        // Downloads to a path with `..` in it are given up without a word.
        let directory = directory.canonicalize().unwrap();
        let params = json!({
            "behavior": "allow", "downloadPath": directory, "eventsEnabled": true
        });
        self.call(None, "Browser.setDownloadBehavior", params);
    }

    /// Waits until the next download begins. Returns what [`cancel`](Self::cancel) asks for.
    pub(crate) fn download_begun(&self) -> String {
        text(&self.event("Browser.downloadWillBegin")["guid"])
    }

    /// As the user does by the button of the list of downloads.
    pub(crate) fn cancel(&self, download: &str) {
        self.call(None, "Browser.cancelDownload", json!({"guid": download}));
    }

    /// Calls a method of the protocol, of the browser or of a tab's session, and returns its result.
    pub(crate) fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        match self.try_call(session, method, params) {
            Ok(result) => result,
            Err(error) => panic!("{method}: {error}"),
        }
    }

    fn try_call(&self, session: Option<&str>, method: &str, params: Value) -> Result<Value, Value> {
        self.wire().call(session, method, params)
    }

    /// Waits for the next event with this name that nobody has waited for. Returns its parameters.
    pub(crate) fn event(&self, name: &str) -> Value {
        self.wire().event(name)
    }

    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tab. It stays open when dropped.
pub(crate) struct Tab<'a> {
    browser: &'a Browser,
    target: String,
    session: String,
}

impl Tab<'_> {
    /// Calls a method of the protocol.
    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        self.browser.call(Some(&self.session), method, params)
    }

    /// Whether the page has such an element, asked without a script.
    pub(crate) fn has(&self, selector: &str) -> bool {
        let ask = |method, params| self.browser.try_call(Some(&self.session), method, params);
        // An error: another page came meanwhile.
        let found = ask("DOM.getDocument", json!({})).and_then(|root| {
            let root = &root["root"]["nodeId"];
            let params = json!({"nodeId": root, "selector": selector});
            ask("DOM.querySelector", params)
        });
        found.is_ok_and(|found| found["nodeId"] != 0)
    }

    /// Loads a page, and returns when it is there.
    pub(crate) fn go(&self, url: &str) {
        let loaded = self.call("Page.navigate", json!({"url": url}));
        assert_eq!(loaded["errorText"], Value::Null, "{url}");
        self.wait(
            &format!("{url} to load"),
            "document.readyState == 'complete'",
        );
    }

    /// Follows a link that is no page: a download begins.
    pub(crate) fn download(&self, url: &str) -> String {
        self.call("Page.navigate", json!({"url": url}));
        self.browser.download_begun()
    }

    /// The value of an expression, or of the promise that it is.
    pub(crate) fn evaluate(&self, expression: &str) -> Value {
        match self.try_evaluate(expression) {
            Ok(value) => value,
            Err(error) => panic!("{expression}: {error}"),
        }
    }

    fn try_evaluate(&self, expression: &str) -> Result<Value, Value> {
        let params = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true
        });
        let session = Some(self.session.as_str());
        let answer = self.browser.try_call(session, "Runtime.evaluate", params)?;
        match &answer["exceptionDetails"] {
            Value::Null => Ok(answer["result"]["value"].clone()),
            exception => panic!("{expression}: {exception}"),
        }
    }

    /// Waits until an expression is true, or anything else that JavaScript takes for it, and returns it.
    pub(crate) fn wait(&self, what: &str, expression: &str) -> Value {
        // Told to the page in one piece, so that it is the page that waits.
        let looking = format!(
            "new Promise(resolve => {{
                const until = Date.now() + 1000;
                const look = () => {{
                    const value = {expression};
                    if (value || Date.now() > until) resolve(value); else setTimeout(look, 10);
                }};
                look();
            }})"
        );
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            // An error: another page came meanwhile.
            if let Ok(value) = self.try_evaluate(&looking)
                && !matches!(value, Value::Null | Value::Bool(false))
                && value != ""
                && value != 0
            {
                return value;
            }
        }
        panic!("still waiting for {what} after {DEADLINE:?}")
    }

    /// Presses a key of the keyboard, by its name, its code on Windows and the text that it types.
    pub(crate) fn press(&self, key: &str, code: u32, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let params = json!({
                "type": kind, "key": key, "windowsVirtualKeyCode": code, "text": text
            });
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    /// What the browser has noted about the page since `Log.enable` was called: errors, and what its
    /// policy forbids.
    pub(crate) fn said(&self) -> Vec<Value> {
        let mut wire = self.browser.wire();
        let (said, others) = wire.events.drain(..).partition(|event| {
            event["method"] == "Log.entryAdded" && event["sessionId"] == self.session
        });
        wire.events = others;
        Vec::from(said)
    }

    /// The size of the window in CSS pixels, and whether it is a phone's.
    pub(crate) fn resize(&self, width: u32, height: u32, phone: bool) {
        let scale = if phone { 2 } else { 1 };
        let params = json!({
            "width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone
        });
        self.call("Emulation.setDeviceMetricsOverride", params);
    }

    /// What a media query is to find: `prefers-color-scheme` is `dark`, say.
    pub(crate) fn prefer(&self, feature: &str, value: &str) {
        let params = json!({"features": [{"name": feature, "value": value}]});
        self.call("Emulation.setEmulatedMedia", params);
    }

    /// Bounds what the tab gets, in bytes a second.
    pub(crate) fn throttle(&self, rate: u32) {
        self.call("Network.enable", json!({}));
        let params = json!({
            "offline": false, "latency": 0, "downloadThroughput": rate, "uploadThroughput": -1
        });
        self.call("Network.emulateNetworkConditions", params);
    }

    /// A PNG of what the window shows.
    pub(crate) fn screenshot(&self, path: &Path) {
        let shot = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let png = data_encoding::BASE64.decode(text(&shot["data"]).as_bytes());
        fs::write(path, png.unwrap()).unwrap();
    }

    /// As the user closes it.
    pub(crate) fn close(self) {
        let params = json!({"targetId": self.target});
        self.browser.call(None, "Target.closeTarget", params);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Begins a call again that a stop of the process has interrupted: a call with a timeout then fails with EINTR (signal(7)).
struct Restarted(TcpStream);

impl Read for Restarted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl Write for Restarted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What is said to the browser, and what it says.
struct Wire {
    socket: WebSocket<Restarted>,
    calls: u64,
    /// Events that nobody has waited for.
    events: VecDeque<Value>,
}

impl Wire {
    fn connect(address: &str) -> Self {
        let host = address.strip_prefix("ws://").unwrap();
        let stream = TcpStream::connect(host.split('/').next().unwrap()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        let (socket, _) = tungstenite::client(address, Restarted(stream)).unwrap();
        Self {
            socket,
            calls: 0,
            events: VecDeque::new(),
        }
    }

    fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Result<Value, Value> {
        self.calls += 1;
        let mut call = json!({"id": self.calls, "method": method, "params": params});
        if let Some(session) = session {
            call["sessionId"] = session.into();
        }
        self.socket.send(Message::text(call.to_string())).unwrap();
        let deadline = Instant::now() + DEADLINE;
        loop {
            let mut message = self.read(method, deadline);
            if message["id"] == self.calls {
                return match message["error"].take() {
                    Value::Null => Ok(message["result"].take()),
                    error => Err(error),
                };
            }
            self.events.push_back(message);
        }
    }

    fn event(&mut self, name: &str) -> Value {
        let deadline = Instant::now() + DEADLINE;
        let of_name = |message: &Value| message["method"] == name;
        if let Some(place) = self.events.iter().position(of_name) {
            return self.events.remove(place).unwrap()["params"].take();
        }
        loop {
            let mut message = self.read(name, deadline);
            if of_name(&message) {
                return message["params"].take();
            }
            self.events.push_back(message);
        }
    }

    fn read(&mut self, what: &str, deadline: Instant) -> Value {
        loop {
            assert!(Instant::now() < deadline, "no {what} after {DEADLINE:?}");
            match self.socket.read() {
                Ok(Message::Text(message)) => return serde_json::from_str(&message).unwrap(),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }
}

/// Chromium's processes, and their profile.
struct Process {
    child: Child,
    profile: PathBuf,
}

impl Process {
    /// Returns the address that the protocol is spoken at, too.
    fn start(program: &str) -> (Self, String) {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let started = STARTED.fetch_add(1, Ordering::Relaxed);
        let profile = format!("browser-{}-{started}", std::process::id());
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(profile);
        fs::create_dir_all(&profile).unwrap();
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", LIFE, program]);
        command.args([
            "--headless=new",
            "--remote-debugging-port=0",
            "--disable-background-networking",
            "--disable-background-timer-throttling",
            "--disable-backgrounding-occluded-windows",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-renderer-backgrounding",
            "--disable-sync",
            "--hide-scrollbars",
            "--mute-audio",
            "--no-default-browser-check",
            "--no-first-run",
            "--no-proxy-server",
        ]);
        if geteuid().is_root() {
            command.arg("--no-sandbox");
        }
        command.arg(format!("--user-data-dir={}", profile.display()));
        let mut child = command
            .process_group(0)
            .env("HOME", &profile)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stderr.take().unwrap());
        // Made first, so that a panic below kills it.
        let process = Self { child, profile };
        let (sender, addresses) = channel();
        // Reads on to the end: a full pipe would block Chromium.
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("DevTools listening on ") {
                    let _ = sender.send(address.to_owned());
                }
            }
        });
        let address = addresses
            .recv_timeout(DEADLINE)
            .unwrap_or_else(|error| panic!("{program} does not listen: {error}"));
        (process, address)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.child);
        // It may have ended.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
        // A process of Chromium's that dies this moment may still be writing.
        for _ in 0..10 {
            if fs::remove_dir_all(&self.profile).is_ok() {
                break;
            }
        }
    }
}
