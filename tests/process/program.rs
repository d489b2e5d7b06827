//! Starting the program: its command line, its output, and waiting for it within bounds.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything; a whole run of a debug build on a busy machine stays far below.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(5);

/// A directory of one test, with the data directories in it; removed at the end, kept when the test fails.
pub(crate) struct Stage {
    dir: TempDir,
    /// Options of every `run`.
    pub(crate) options: Vec<String>,
}

impl Stage {
    pub(crate) fn new(options: &[&str]) -> Stage {
        let dir = tempfile::Builder::new().prefix("aegis-process-").tempdir().expect("a temporary directory");
        Stage { dir, options: options.iter().map(|&o| o.to_owned()).collect() }
    }

    /// A small market: the first hours of the recorded candles, with the settings of act 1.
    pub(crate) fn small(rows: usize) -> Stage {
        let mut stage = Stage::new(&["--seed", "7", "--json"]);
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fixtures/market/binance_spot_BTCUSDT_1h_2017_2024.csv.gz");
        let packed = File::open(&fixture).expect("the recorded candles");
        let text = std::io::read_to_string(flate2::read::GzDecoder::new(packed)).expect("unpacked candles");
        let head: Vec<&str> = text.lines().take(rows + 1).collect();
        let market = stage.write("market.csv", &(head.join("\n") + "\n"));
        let config = stage.write(
            "aegis.toml",
            "[journal]\nsegment_mib = 1\ncheckpoint_records = 3000\n[acts.market.engine]\nreconcile = \"1d\"\nentry_valid = \"2h\"\n\
             [acts.market.engine.plan]\ninitial = \"5%\"\ntrail = \"4%\"\ntake_profit = \"25%\"\n",
        );
        for (option, path) in [("--market", market), ("--config", config)] {
            stage.options.push(option.to_owned());
            stage.options.push(path.display().to_string());
        }
        stage
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        File::create(&path).and_then(|mut f| f.write_all(text.as_bytes())).expect("a file of the test");
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The arguments of `run` on the data directory with this name.
    pub(crate) fn run(&self, data: &str) -> Vec<String> {
        let mut words = vec!["run".to_owned(), "--data".to_owned(), self.path(data).display().to_string()];
        words.extend(self.options.iter().cloned());
        words
    }

    /// Any command on the data directory with this name, to its end.
    pub(crate) fn on(&self, data: &str, words: &[&str]) -> Output {
        let mut command = aegis();
        command.args(words).arg("--data").arg(self.path(data));
        command.output().expect("the program starts")
    }

    /// Starts `run`; its output goes to files, so that it never waits for a reader.
    pub(crate) fn start(&self, data: &str, more: &[&str]) -> Running {
        let mut command = aegis();
        command.args(self.run(data)).args(more);
        self.spawn(command)
    }

    pub(crate) fn spawn(&self, mut command: Command) -> Running {
        let out = |name: &str| File::create(self.path(name)).expect("a file for output");
        command.stdout(out("stdout")).stderr(out("stderr"));
        // SAFETY: one system call between fork and exec: it ends with the thread of its test, whatever ends that.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            })
        };
        let child = command.spawn().expect("the program starts");
        Running { child, started: Instant::now(), stdout: self.path("stdout"), stderr: self.path("stderr") }
    }

    /// Runs to the end; it must end well.
    pub(crate) fn complete(&self, data: &str, more: &[&str]) -> String {
        let mut running = self.start(data, more);
        let status = running.wait(PATIENCE);
        assert!(status.success(), "`aegis run` ended with {status}: {}", running.said());
        std::fs::read_to_string(&running.stdout).expect("its output")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.dir.disable_cleanup(true);
            eprintln!("the journals are kept in {}", self.dir.path().display());
        }
    }
}

/// The program under test.
pub(crate) fn aegis() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aegis"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AEGIS_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A process; killed if the test ends before it does.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) started: Instant,
    pub(crate) stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child that was not waited for");
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// SIGKILL, and how it ended: by that, or on its own before.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("its end")
    }

    pub(crate) fn wait(&mut self, most: Duration) -> ExitStatus {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status;
            }
            assert!(asked.elapsed() < most, "it did not end within {most:?}: {}", self.said());
            std::thread::sleep(LOOK);
        }
    }

    /// What it wrote to standard error.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until it is so.
pub(crate) fn until(what: &str, most: Duration, mut so: impl FnMut() -> bool) {
    let asked = Instant::now();
    while !so() {
        assert!(asked.elapsed() < most, "{what}: not within {most:?}");
        std::thread::sleep(LOOK);
    }
}

/// Both outputs, for a message.
pub(crate) fn told(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
