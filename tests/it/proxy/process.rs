//! A child process that ends with its guard, and whose log is shown when it fails us.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take to come up.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How long a child may take to leave when asked to.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(10);

/// A running child. Dropping it asks it to leave, then makes it.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// What can be done to a process from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    Kill,
    Stop,
    Continue,
    Hangup,
    Terminate,
}

impl Process {
    /// Start it with both outputs in `log`.
    pub(crate) fn start(name: &str, command: &mut Command, log: &Path) -> Process {
        Process::start_with_input(name, command, log, Stdio::null())
    }

    /// The same with something to read.
    pub(crate) fn start_with_input(name: &str, command: &mut Command, log: &Path, input: Stdio) -> Process {
        let out = File::options().create(true).append(true).open(log).expect("a log file");
        let child = command
            .stdin(input)
            .stdout(out.try_clone().expect("a second handle"))
            .stderr(out)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error} ({command:?})"));
        Process { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// Ask until it is ready; fail at once when it has exited, and with its log when it takes too long.
    pub(crate) fn wait_until(&mut self, what: &str, ready: impl FnMut() -> bool) {
        if let Err(why) = self.try_wait_until(what, ready) {
            panic!("{why}\n{}", self.log());
        }
    }

    /// As [`Process::wait_until`], but the caller decides what a failure means.
    pub(crate) fn try_wait_until(&mut self, what: &str, mut ready: impl FnMut() -> bool) -> Result<(), String> {
        let deadline = Deadline::after(READY_WITHIN);
        loop {
            if let Some(status) = self.exited() {
                return Err(format!("{} exited ({status}) before {what}", self.name));
            }
            if ready() {
                return Ok(());
            }
            if deadline.passed() {
                return Err(format!("{}: no {what} within {READY_WITHIN:?}", self.name));
            }
            thread::sleep(POLL);
        }
    }

    /// Send a signal. `kill` is asked to, since a signal needs `unsafe` otherwise.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.exited().is_some() {
            return;
        }
        let flag = match signal {
            Signal::Kill => "-KILL",
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
            Signal::Hangup => "-HUP",
            Signal::Terminate => "-TERM",
        };
        let done = Command::new("kill").args([flag, &self.child.id().to_string()]).status();
        assert!(done.as_ref().is_ok_and(ExitStatus::success), "kill {flag} {}: {done:?}", self.name);
    }

    /// End it without a word, and wait until it is gone.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::Kill);
        self.child.wait().expect("a child to wait for");
    }

    /// Wait until it has ended by itself.
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let deadline = Deadline::after(READY_WITHIN);
        loop {
            if let Some(status) = self.exited() {
                return status;
            }
            assert!(!deadline.passed(), "{} does not end\n{}", self.name, self.log());
            thread::sleep(POLL);
        }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written.
    pub(crate) fn log(&self) -> String {
        #[expect(clippy::disallowed_methods, reason = "the log of a child of ours")]
        let octets = std::fs::read(&self.log).unwrap_or_default();
        format!("--- {} says:\n{}\n---", self.name, String::from_utf8_lossy(&octets))
    }

    fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child to ask for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exited().is_some() {
            return;
        }
        // A stopped process hears nothing until it is continued.
        let pid = self.child.id().to_string();
        for flag in ["-TERM", "-CONT"] {
            let _ = Command::new("kill").args([flag, &pid]).stderr(Stdio::null()).status();
        }
        let deadline = Deadline::after(LEAVE_WITHIN);
        while !deadline.passed() {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(POLL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The end of one's patience.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "the harness waits for other processes")]
    pub(crate) fn after(patience: Duration) -> Deadline {
        Deadline(Instant::now() + patience)
    }

    #[expect(clippy::disallowed_methods, reason = "the harness waits for other processes")]
    pub(crate) fn passed(self) -> bool {
        Instant::now() >= self.0
    }
}
