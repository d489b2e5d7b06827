//! A bench that needs another process is that process itself: the same program, called again with a role.
//!
//! So a figure of one process (peak memory, a SIGKILL, a reader elsewhere) needs no second binary.

use std::process::{Child, Command, Stdio};

/// Tells a child what it is; empty for the bench itself.
const ROLE: &str = "AEGIS_BENCH_ROLE";

/// The role and its words, when this process is a child.
pub fn role() -> Option<Vec<String>> {
    let role = std::env::var(ROLE).ok()?;
    Some(role.split('\n').map(str::to_owned).collect())
}

/// Starts this program again in a role, its input and output connected.
///
/// # Panics
/// When it cannot be started.
pub fn start(words: &[&str]) -> Child {
    let program = std::env::current_exe().expect("the path of this program");
    Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(ROLE, words.join("\n"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts again")
}

/// Runs this program in a role to its end; answers the numbers it printed.
///
/// # Panics
/// When it fails or prints anything but numbers.
pub fn run(words: &[&str]) -> Vec<u64> {
    let output = start(words).wait_with_output().expect("a child that ends");
    assert!(output.status.success(), "{words:?} failed");
    let text = String::from_utf8(output.stdout).expect("text");
    text.split_whitespace().map(|word| word.parse().expect("a number")).collect()
}

/// A figure of this process in KiB as the kernel names it: `VmHWM` is the most memory it ever held.
///
/// # Panics
/// When the kernel does not say it.
pub fn memory_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel's word on this process");
    let line = status.lines().find(|line| line.starts_with(name)).expect("a figure of that name");
    line.split_whitespace().nth(1).and_then(|figure| figure.parse().ok()).expect("a figure in KiB")
}
