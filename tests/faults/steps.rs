//! Death at any instruction. A process that recovers a journal, appends, syncs, changes segments and stops is stepped
//! one instruction at a time, all its threads in a drawn order, and what stands in its files in between is what a kill
//! at that instruction would leave.
//!
//! ```text
//! step ──► a system call, or bytes changed through a map? ──► copy of the files ──► recover the copy, read all of it
//!     └──► nothing changed: the verdict of the last copy is this instruction's too
//! ```
//!
//! Lives follow each other on one directory, and many end by a kill at a drawn instruction, so that what is recovered
//! was left by such a death, and the recovery is stepped as well.

use crate::ground::{Budget, Moments, reaches_least};
use crate::ledger::Run;
use aegis_journal::{
    Config, DirStorage, Expect, Identity, MemStorage, NewRecord, OpenError, Opening, Room, Row, Storage,
    create, open,
};
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const IDENTITY: Identity = Identity { journal_id: *b"one step further", schema: 9, mode: 1 };
const EXPECT: Expect = Expect { journal_id: Some(IDENTITY.journal_id), schema: 9, mode: 1 };
const CONFIG: Config = Config { segment_bytes: 64 << 10, knows: |_, _| true, compress: false };
/// Lives on one directory.
const LIVES: u64 = 4;
/// Batches of one life; with the large ones among them it changes segments twice.
const BATCHES: u64 = 36;
/// Instructions that one thread takes before another may, at most.
const BURST: u64 = 3000;
/// A thread that has not come back from a system call after so many looks is waiting for another one.
const LOOKS: u32 = 60;

/// What is written on both sides of the fork: bytes that every record is a slice of.
fn pattern() -> Vec<u8> {
    let mut moments = Moments(7);
    (0..8192 / 8).flat_map(|_| moments.next().to_le_bytes()).collect()
}

fn payload(pattern: &[u8], lsn: u64, life: u64) -> &[u8] {
    let from = (lsn * 31 + life * 17) as usize % 2000;
    let length = if lsn.is_multiple_of(6) { 3000 } else { (lsn * 7 % 90) as usize };
    &pattern[from..from + length]
}

/// What the process says while it is stepped, in memory that both see.
#[repr(C)]
struct Said {
    /// The last record it may have appended.
    appended: AtomicU64,
    /// The last record that it was told is durable.
    durable: AtomicU64,
    /// What it is at: an index into `PHASES`.
    phase: AtomicU64,
}

const PHASES: [&str; 4] = ["open", "append", "sync", "stop"];

fn said() -> &'static Said {
    // SAFETY: fresh shared memory of a page, zeroed, which atomics of these sizes may be. It is never unmapped.
    unsafe {
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let page = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        assert!(page != libc::MAP_FAILED, "shared memory: {}", io::Error::last_os_error());
        &*page.cast::<Said>()
    }
}

/// One life, in the process that is stepped.
fn live(dir: &Path, life: u64, pattern: &[u8], said: &Said) -> Result<(), String> {
    let storage = || DirStorage::new(dir).map_err(|e| e.to_string());
    let mut writer = match open(storage()?, EXPECT, CONFIG) {
        Err(OpenError::NoJournal) => create(storage()?, IDENTITY, CONFIG).map_err(|e| e.to_string())?,
        other => other.and_then(Opening::finish).map_err(|e| e.to_string())?.0,
    };
    for n in 0..BATCHES {
        said.phase.store(1, Ordering::SeqCst);
        let first = writer.next_lsn();
        let count = 1 + n % 3;
        said.appended.store(first + count - 1, Ordering::SeqCst);
        let record = |lsn| NewRecord {
            kind: 1,
            version: 1,
            actor: 1,
            time_ns: life as i64,
            cause: 0,
            payload: payload(pattern, lsn, life),
        };
        let batch = [record(first), record(first + 1), record(first + 2)];
        writer.append(&batch[..count as usize], Room::Normal).map_err(|e| e.to_string())?;
        if n % 3 == 2 {
            said.phase.store(2, Ordering::SeqCst);
            let durable = writer.sync().map_err(|e| e.to_string())?;
            said.durable.store(durable, Ordering::SeqCst);
        }
        if n == BATCHES / 2 {
            let durable = writer.durable_lsn();
            if durable == writer.appended_lsn() {
                writer.checkpoint(durable, [1; 32], b"folded").map_err(|e| e.to_string())?;
            }
        }
    }
    said.phase.store(3, Ordering::SeqCst);
    writer.close().map_err(|e| e.to_string())
}

/// The files of the stepped process, as they were when they were last looked at.
struct Files {
    dir: PathBuf,
    /// The same in memory, where copies are recovered.
    disk: MemStorage,
    known: BTreeMap<String, Vec<u8>>,
    /// Those that are as long as a segment: stores reach them without a call.
    mapped: Vec<(String, memmap2::Mmap)>,
}

fn belongs(name: &str) -> bool {
    // Neither says anything about a journal that nobody writes.
    name != "lock" && name != "live"
}

impl Files {
    fn new(dir: &Path) -> Files {
        Files { dir: dir.to_owned(), disk: MemStorage::new(), known: BTreeMap::new(), mapped: Vec::new() }
    }

    /// After a system call anything may be different. Returns whether it is.
    fn look_at_all(&mut self) -> bool {
        let mut there = BTreeMap::new();
        for entry in std::fs::read_dir(&self.dir).expect("the directory").flatten() {
            let name = entry.file_name().into_string().expect("a plain name");
            if !belongs(&name) {
                continue;
            }
            // It may be renamed or removed by a call that is still under way.
            let Ok(bytes) = std::fs::read(entry.path()) else { continue };
            there.insert(name, bytes);
        }
        if there == self.known {
            return false;
        }
        for name in self.known.keys().filter(|name| !there.contains_key(*name)) {
            self.disk.remove_file(name);
        }
        self.mapped.clear();
        for (name, bytes) in &there {
            if self.known.get(name) != Some(bytes) {
                self.disk.set_file(name, bytes);
            }
            if bytes.len() as u64 == CONFIG.segment_bytes
                && let Ok(file) = std::fs::File::open(self.dir.join(name))
            {
                // SAFETY: the map is only compared with a copy while the processes that write to the file stand still,
                // and it is dropped before any call of theirs could cut the file: every call is followed by a new look.
                let map = unsafe { memmap2::Mmap::map(&file) }.expect("a map of a segment");
                self.mapped.push((name.clone(), map));
            }
        }
        self.known = there;
        true
    }

    /// After an instruction that is no call only what is mapped can differ.
    fn look_at_maps(&mut self) -> bool {
        let mut changed = false;
        for (name, map) in &self.mapped {
            let known = self.known.get_mut(name).expect("a known file");
            if known[..] != map[..] {
                known.copy_from_slice(map);
                self.disk.set_file(name, known);
                changed = true;
            }
        }
        changed
    }

    /// What a kill here leaves is recovered and read.
    fn recovers(&self, said: &Said, pattern: &[u8], nested: bool, when: &dyn Fn() -> String) {
        let copy = self.disk.fork();
        let (durable, appended) = (said.durable.load(Ordering::SeqCst), said.appended.load(Ordering::SeqCst));
        let mut opening = match open(copy.clone(), EXPECT, CONFIG) {
            Err(OpenError::NoJournal) if durable == 0 => return,
            other => other.unwrap_or_else(|e| panic!("{}: {e}", when())),
        };
        let last = read(&mut opening, pattern, durable, appended, when);
        if nested {
            let (writer, _) = opening.finish().unwrap_or_else(|e| panic!("{}: {e}", when()));
            assert_eq!(writer.next_lsn(), last + 1, "{}: recovered", when());
            drop(writer);
            let mut again =
                open(copy.kill(), EXPECT, CONFIG).unwrap_or_else(|e| panic!("{}: again: {e}", when()));
            let kept = read(&mut again, pattern, durable, appended, when);
            assert_eq!(kept, last, "{}: recovered again", when());
        }
    }
}

fn read<S: Storage>(
    opening: &mut Opening<S>,
    pattern: &[u8],
    durable: u64,
    appended: u64,
    when: &dyn Fn() -> String,
) -> u64 {
    let report = opening.report();
    let rot = report.gap.is_some() || !report.known_gaps.is_empty();
    assert!(!rot && matches!(report.row, Row::B | Row::C | Row::D), "{}: taken for rot: {report:?}", when());
    let last = opening.last_lsn();
    assert!(last >= durable, "{}: record {durable} was told as durable, {last} is the last", when());
    assert!(last <= appended.max(durable), "{}: record {last} was never appended", when());
    let mut next = 1;
    let all = opening.records::<()>(1, |record| {
        assert_eq!(record.lsn, next, "{}: a hole", when());
        let as_appended = record.payload == payload(pattern, record.lsn, record.time_ns as u64);
        assert!(as_appended, "{}: record {next} holds something else", when());
        next += 1;
        ControlFlow::Continue(())
    });
    all.unwrap_or_else(|e| panic!("{}: {e}", when()));
    assert_eq!(next, last + 1, "{}: records read", when());
    last
}

/// How a stepped thread stands.
enum Stood {
    Stopped,
    /// In a call that waits.
    Away,
}

/// What a thread does next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Plain,
    /// A system call that ends by itself.
    Call,
    /// One that may wait for another thread or for a time.
    Wait,
}

/// What a wait told.
enum News {
    /// It made its step.
    Stepped,
    /// It stands before a signal of its own, which it is to have with its next step.
    Signal(i32),
    Gone,
}

/// The process that is stepped. Killed when this is dropped.
struct Stepped {
    pid: libc::pid_t,
    threads: BTreeMap<libc::pid_t, Stood>,
    /// Signals that a thread is to have with its next step.
    signals: BTreeMap<libc::pid_t, i32>,
    ended: Option<i32>,
}

impl Stepped {
    fn begin(work: impl FnOnce() -> Result<(), String>) -> Stepped {
        // SAFETY: the child runs what follows alone and leaves by `_exit`; it takes no lock that another thread of
        // this process could have held at the fork but the allocator's, which the C library sets right.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "a process: {}", io::Error::last_os_error());
        if pid == 0 {
            // SAFETY: plain calls about the process itself.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
                libc::raise(libc::SIGSTOP);
            }
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let code = match ended {
                Ok(Ok(())) => 0,
                Ok(Err(e)) => {
                    eprintln!("{e}");
                    74
                }
                Err(_) => 101,
            };
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(code) };
        }
        let mut stepped = Stepped { pid, threads: BTreeMap::new(), signals: BTreeMap::new(), ended: None };
        let mut status = 0;
        // SAFETY: `status` lives until the calls return; the child is ours.
        unsafe {
            assert_eq!(libc::waitpid(pid, &raw mut status, libc::__WALL), pid, "the first stop");
            let options = libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
            let set = libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options);
            assert_eq!(set, 0, "stepping: {}", io::Error::last_os_error());
        }
        stepped.threads.insert(pid, Stood::Stopped);
        stepped
    }

    /// What the thread does next. The fork left our own code at the same addresses.
    fn next_of(&self, thread: libc::pid_t) -> Next {
        let register = |at: usize| {
            // SAFETY: reads a register of a thread that stands still.
            unsafe { libc::ptrace(libc::PTRACE_PEEKUSER, thread, at, 0) }
        };
        let rip = register(std::mem::offset_of!(libc::user_regs_struct, rip)) as usize;
        if rip == 0 || rip == usize::MAX {
            return Next::Wait;
        }
        // SAFETY: the thread executes there, and no code was mapped since the fork, so two bytes are there for us, too.
        let bytes = unsafe { std::ptr::read_unaligned(rip as *const [u8; 2]) };
        if bytes != [0x0f, 0x05] {
            return Next::Plain;
        }
        let number = register(std::mem::offset_of!(libc::user_regs_struct, rax));
        match number {
            libc::SYS_futex | libc::SYS_nanosleep | libc::SYS_clock_nanosleep => Next::Wait,
            // Not over before all threads are, and those have to be waited for.
            libc::SYS_exit_group | libc::SYS_exit => Next::Wait,
            _ => Next::Call,
        }
    }

    fn wait(&mut self, whom: libc::pid_t, flags: i32) -> Option<(libc::pid_t, News)> {
        let mut status = 0;
        // Only of this thread's children: other tests have theirs.
        let flags = flags | libc::__WALL | libc::__WNOTHREAD;
        // SAFETY: `status` lives until the call returns.
        let who = unsafe { libc::waitpid(whom, &raw mut status, flags) };
        if who <= 0 {
            return None;
        }
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            self.threads.remove(&who);
            if who == self.pid {
                let signal = -libc::WTERMSIG(status);
                self.ended = Some(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { signal });
            }
            return Some((who, News::Gone));
        }
        let signal = libc::WSTOPSIG(status);
        // A thread's first stop may come before the news of its birth.
        let new = self.threads.insert(who, Stood::Stopped).is_none();
        if signal == libc::SIGTRAP || (new && signal == libc::SIGSTOP) {
            return Some((who, News::Stepped));
        }
        Some((who, News::Signal(signal)))
    }

    /// One step of a thread that stands still. Returns whether it is over; otherwise the thread waits in a call.
    fn step(&mut self, thread: libc::pid_t, next: Next) -> bool {
        let signal = self.signals.remove(&thread).unwrap_or(0);
        // SAFETY: the thread stands still and is ours to step.
        let stepping = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, thread, 0, signal) };
        if stepping != 0 {
            // It was killed, or the process ends.
            self.threads.insert(thread, Stood::Away);
            return false;
        }
        self.threads.insert(thread, Stood::Away);
        let mut looks = 0;
        loop {
            let waits = next == Next::Wait;
            let flags = if waits { libc::WNOHANG } else { 0 };
            match self.wait(thread, flags) {
                Some((_, News::Signal(signal))) => {
                    self.signals.insert(thread, signal);
                    return true;
                }
                Some(_) => return true,
                None if !waits || looks >= LOOKS => return false,
                None => {
                    looks += 1;
                    if looks > 5 {
                        std::thread::sleep(std::time::Duration::from_micros(5));
                    } else {
                        std::thread::yield_now();
                    }
                }
            }
        }
    }

    /// Takes what threads that were away have to tell; waits for one when all are. Returns whether any came back.
    fn gather(&mut self) -> bool {
        let mut back = false;
        while self.ended.is_none() {
            let all_away = !self.threads.values().any(|stood| matches!(stood, Stood::Stopped));
            let flags = if all_away { 0 } else { libc::WNOHANG };
            match self.wait(-1, flags) {
                Some((who, News::Signal(signal))) => {
                    self.signals.insert(who, signal);
                    back = true;
                }
                Some(_) => back = true,
                None => break,
            }
        }
        back
    }
}

impl Drop for Stepped {
    fn drop(&mut self) {
        if self.ended.is_some() {
            return;
        }
        // SAFETY: the process is ours and not yet waited for.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        while self.ended.is_none() {
            if self.wait(-1, 0).is_none() {
                break;
            }
        }
    }
}

#[derive(Default)]
struct Count {
    steps: u64,
    phases: [u64; 4],
    calls: u64,
    images: u64,
    lives: u64,
    killed: u64,
}

/// The walk through all lives.
struct Walk<'a> {
    said: &'a Said,
    pattern: &'a [u8],
    budget: Budget,
    moments: Moments,
    count: Count,
}

impl Walk<'_> {
    fn phase(&self) -> usize {
        self.said.phase.load(Ordering::SeqCst) as usize % PHASES.len()
    }

    /// Recovers a copy of what changed.
    fn check(&mut self, files: &Files, life: u64, steps: u64) {
        self.count.images += 1;
        let phase = PHASES[self.phase()];
        let when = || format!("life {life}, {phase}, instruction {steps}");
        files.recovers(self.said, self.pattern, self.count.images.is_multiple_of(8), &when);
    }

    /// Steps one life to its end, or to the instruction where it is killed. Returns whether it ended.
    fn through(&mut self, mut process: Stepped, files: &mut Files, life: u64, kill_at: Option<u64>) -> bool {
        let (mut steps, mut left, mut current) = (0, 0, process.pid);
        loop {
            if process.gather() && files.look_at_all() {
                self.check(files, life, steps);
            }
            if let Some(code) = process.ended {
                assert_eq!(code, 0, "life {life} ended with {code} after {steps} instructions");
                return true;
            }
            let stopped = process.threads.iter().filter(|(_, stood)| matches!(stood, Stood::Stopped));
            let free: Vec<libc::pid_t> = stopped.map(|(&thread, _)| thread).collect();
            if free.is_empty() {
                continue;
            }
            if left == 0 || !free.contains(&current) {
                current = free[self.moments.below(free.len() as u64) as usize];
                left = 1 + self.moments.below(BURST);
            }
            // Until its burst or a call ends, nobody else moves.
            while left > 0 {
                let next = process.next_of(current);
                let over = process.step(current, next);
                (steps, left) = (steps + 1, left - 1);
                self.count.steps += 1;
                self.count.calls += u64::from(next != Next::Plain);
                self.count.phases[self.phase()] += 1;
                let changed = if next == Next::Plain { files.look_at_maps() } else { files.look_at_all() };
                if changed {
                    self.check(files, life, steps);
                }
                let out_of_time = steps.is_multiple_of(1024) && !self.budget.goes_on(self.count.steps);
                if kill_at == Some(steps) || out_of_time {
                    self.count.killed += 1;
                    return false;
                }
                if !over || !matches!(process.threads.get(&current), Some(Stood::Stopped)) {
                    left = 0;
                } else if next != Next::Plain {
                    break;
                }
            }
        }
    }
}

#[test]
fn death_at_any_instruction_loses_nothing() {
    // A tracer and what it steps take turns: on one processor none of them wakes another one up.
    // SAFETY: the set is plain data and lives until the call returns.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        let mut may: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut may);
        let last = (0..libc::CPU_SETSIZE as usize).rev().find(|&cpu| libc::CPU_ISSET(cpu, &may)).unwrap_or(0);
        libc::CPU_SET(last, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
    let pattern = pattern();
    let run = Run::begin("death at any instruction");
    let mut walk = Walk {
        said: said(),
        pattern: &pattern,
        budget: Budget::new("AEGIS_STEPS", 600_000),
        moments: Moments::new(),
        count: Count::default(),
    };
    while walk.budget.goes_on(walk.count.steps) {
        let place =
            ["/dev/shm", "/tmp"].into_iter().find(|place| Path::new(place).is_dir()).expect("a place");
        let root = tempfile::Builder::new().prefix("aegis-steps-").tempdir_in(place).expect("a directory");
        let dir = root.path().join("journal");
        std::fs::DirBuilder::new().mode(0o700).create(&dir).expect("a directory");
        let mut files = Files::new(&dir);
        let said = walk.said;
        said.appended.store(0, Ordering::SeqCst);
        said.durable.store(0, Ordering::SeqCst);
        // How long a life is: the first one is not killed.
        let mut whole = 0;
        for life in 1..=LIVES {
            said.phase.store(0, Ordering::SeqCst);
            let before = walk.count.steps;
            let struck = whole > 0 && !walk.moments.next().is_multiple_of(4);
            let kill_at = struck.then(|| 1 + walk.moments.below(whole));
            let process = Stepped::begin(|| live(&dir, life, &pattern, said));
            if walk.through(process, &mut files, life, kill_at) {
                whole = walk.count.steps - before;
            }
            walk.count.lives += 1;
            files.look_at_all();
            files.recovers(said, &pattern, true, &|| format!("life {life}, after its end"));
            if !walk.budget.goes_on(walk.count.steps) {
                break;
            }
        }
    }
    let (count, seconds) = (&walk.count, walk.budget.seconds());
    let phases: Vec<String> =
        PHASES.iter().zip(count.phases).map(|(phase, n)| format!("{phase} {n}")).collect();
    println!(
        "{} instructions stepped ({}; {} system calls), each a crash point, {} distinct images recovered, {} lives of which {} were killed, 0 lost, 0 taken for rot, {seconds:.0} s, {:.0} crash points/s",
        count.steps,
        phases.join(", "),
        count.calls,
        count.images,
        count.lives,
        count.killed,
        count.steps as f64 / seconds
    );
    reaches_least(count.steps, "instructions");
    run.held(count.steps, "instructions", None);
}
