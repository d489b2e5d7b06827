//! The kernel's side door for file systems, `/dev/fuse`: requests are read from it, answers written to it. Spoken here
//! without a library: what a journal needs is two dozen messages, and a library would bring eleven others.
//!
//! The mount lies in a mount namespace of the calling thread, and the connection ends with the last handle on the
//! device: whatever way a test ends, the kernel clears both away.

use super::disk::{Change, Disk, Image, Node, ROOT};
use crate::ground::{ok, own_mounts, text};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// As much as the kernel writes with one request.
const WRITE_MAX: usize = 128 << 10;
/// Threads that answer: one may wait in a slow sync while others go on.
const THREADS: usize = 3;
/// Seconds that the kernel may believe what it was told: nobody else changes anything.
const VALID: u64 = 3600;
/// The cache outlives a file's last handle. A file system without this would hide what a failed write leaves in it.
const KEEP_CACHE: u32 = 2;

/// What looks on: called under the disk's lock before a sync takes effect, and after every other change.
pub(crate) type Watch = Box<dyn FnMut(&Disk, bool) + Send>;

struct Shared {
    disk: Mutex<(Disk, Option<Watch>)>,
    over: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (Disk, Option<Watch>)> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mounted file system of our own; gone when this is dropped.
pub(crate) struct Fuse {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    path: PathBuf,
    _dir: Option<TempDir>,
}

impl Fuse {
    /// Mounts a disk with these files somewhere. To be called on the thread that uses it and starts what uses it; those
    /// that store through maps are other processes: a store of this one could wait for an answer that waits for memory
    /// of this one.
    pub(crate) fn new(image: &Image, watch: Option<Watch>) -> Fuse {
        let dir = tempfile::Builder::new().prefix("aegis-fuse-").tempdir().expect("a directory");
        let mut fuse = Fuse::at(dir.path(), image, watch);
        fuse._dir = Some(dir);
        fuse
    }

    /// The same over this directory.
    pub(crate) fn at(path: &Path, image: &Image, watch: Option<Watch>) -> Fuse {
        own_mounts();
        let device =
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/fuse");
        let device = device.unwrap_or_else(|e| panic!("/dev/fuse: {e} (AEGIS_REAL_FAULTS=1 needs it)"));
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other",
            device.as_raw_fd()
        );
        let (kind, target, options) = (text("fuse"), text(path), text(options));
        // SAFETY: the strings live until the call returns.
        let result =
            unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) };
        ok(result, "a file system of our own");
        let shared =
            Arc::new(Shared { disk: Mutex::new((Disk::new(image), watch)), over: AtomicBool::new(false) });
        let device = Arc::new(device);
        let threads = (0..THREADS).map(|_| {
            let (shared, device) = (shared.clone(), device.clone());
            std::thread::spawn(move || serve(&shared, &device))
        });
        Fuse { threads: threads.collect(), shared, path: path.to_owned(), _dir: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn disk<T>(&self, look: impl FnOnce(&mut Disk) -> T) -> T {
        look(&mut self.shared.lock().0)
    }

    fn unmount(&self) {
        let target = text(self.path());
        let asked = Instant::now();
        // SAFETY: the string lives until the calls return.
        while unsafe { libc::umount2(target.as_ptr(), 0) } != 0 {
            if asked.elapsed() > Duration::from_secs(5) {
                // SAFETY: as above. Somebody has a file there: the name goes now, and with the device's last handle the
                // rest.
                let _ = unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        self.unmount();
        self.shared.over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A request's bytes, taken from the front.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        head
    }

    fn u32(&mut self) -> u32 {
        self.take(4).try_into().map_or(0, u32::from_le_bytes)
    }

    fn u64(&mut self) -> u64 {
        self.take(8).try_into().map_or(0, u64::from_le_bytes)
    }

    fn name(&mut self) -> String {
        let end = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        let name = String::from_utf8_lossy(self.take(end)).into_owned();
        self.take(1);
        name
    }
}

type Answer = Result<Vec<u8>, i32>;

fn serve(shared: &Shared, mut device: &File) {
    let mut buffer = vec![0; WRITE_MAX + 8192];
    while !shared.over.load(Ordering::SeqCst) {
        let mut wait = libc::pollfd { fd: device.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: `wait` lives until the call returns.
        let ready = unsafe { libc::poll(&raw mut wait, 1, 20) };
        if ready <= 0 {
            continue;
        }
        // Another thread may have been quicker.
        let read = match device.read(&mut buffer) {
            Ok(read) => read,
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => return,
            Err(_) => continue,
        };
        let mut words = Words(&buffer[..read]);
        let (_, what, unique, node) = (words.u32(), words.u32(), words.u64(), words.u64());
        words.take(16);
        // Forgotten, interrupted: nobody waits for an answer.
        if matches!(what, 2 | 36 | 42) {
            continue;
        }
        let answer = answer(shared, what, node, words);
        let (error, body) = match answer {
            Ok(body) => (0, body),
            Err(error) => (-error, Vec::new()),
        };
        let mut out = Vec::with_capacity(16 + body.len());
        out.extend((16 + body.len() as u32).to_le_bytes());
        out.extend(error.to_le_bytes());
        out.extend(unique.to_le_bytes());
        out.extend(body);
        // Whoever asked may have been killed meanwhile.
        let _ = device.write_all(&out);
    }
}

fn answer(shared: &Shared, what: u32, node: u64, mut words: Words<'_>) -> Answer {
    match what {
        26 => Ok(greet()),
        38 | 18 | 29 | 25 => Ok(Vec::new()),
        17 => Ok(room()),
        20 => sync(shared, node),
        _ => {
            let mut guard = shared.lock();
            let (disk, watch) = &mut *guard;
            let (answer, changed) = about(disk, what, node, &mut words);
            if changed && let Some(watch) = watch {
                watch(disk, false);
            }
            answer
        }
    }
}

/// Version 7.31, and nothing that is not needed: no write-back cache, so what is written through a handle comes at once.
fn greet() -> Vec<u8> {
    const BIG_WRITES: u32 = 1 << 5;
    let mut out = Vec::new();
    for word in [7u32, 31, 0, BIG_WRITES] {
        out.extend(word.to_le_bytes());
    }
    out.extend([16u16, 12].into_iter().flat_map(u16::to_le_bytes));
    out.extend((WRITE_MAX as u32).to_le_bytes());
    out.extend(1u32.to_le_bytes());
    out.resize(64, 0);
    out
}

fn room() -> Vec<u8> {
    let mut out: Vec<u8> =
        [1u64 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20].into_iter().flat_map(u64::to_le_bytes).collect();
    out.extend([4096u32, 255, 4096, 0].into_iter().flat_map(u32::to_le_bytes));
    out.resize(80, 0);
    out
}

fn sync(shared: &Shared, node: u64) -> Answer {
    let delay = shared.lock().0.knobs.delay;
    let began = Instant::now();
    while began.elapsed() < delay && !shared.over.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut guard = shared.lock();
    let (disk, watch) = &mut *guard;
    if let Some(watch) = watch {
        watch(disk, true);
    }
    disk.syncs += 1;
    if strikes(&mut disk.knobs.fails_sync) {
        return Err(libc::EIO);
    }
    disk.sync(node);
    Ok(Vec::new())
}

/// Counts down; whether this is the one.
fn strikes(left: &mut Option<u64>) -> bool {
    match left {
        Some(0) => {
            *left = None;
            true
        }
        Some(more) => {
            *more -= 1;
            false
        }
        None => false,
    }
}

fn attributes(disk: &Disk, number: u64) -> Answer {
    let (mode, size, links) = match disk.node(number).ok_or(libc::ENOENT)? {
        Node::File(file) => (libc::S_IFREG | file.mode, file.now.len() as u64, disk.links(number)),
        Node::Dir(dir) => (libc::S_IFDIR | dir.mode, 0, 2),
    };
    let mut out: Vec<u8> =
        [number, size, size.div_ceil(512), 0, 0, 0].into_iter().flat_map(u64::to_le_bytes).collect();
    out.extend([0u32, 0, 0, mode, links, 0, 0, 0, 4096, 0].into_iter().flat_map(u32::to_le_bytes));
    Ok(out)
}

fn entry(disk: &Disk, number: u64) -> Answer {
    let mut out: Vec<u8> = [number, 0, VALID, VALID, 0].into_iter().flat_map(u64::to_le_bytes).collect();
    out.extend(attributes(disk, number)?);
    Ok(out)
}

fn attribute_answer(disk: &Disk, number: u64) -> Answer {
    let mut out: Vec<u8> = [VALID, 0].into_iter().flat_map(u64::to_le_bytes).collect();
    out.extend(attributes(disk, number)?);
    Ok(out)
}

fn opened() -> Vec<u8> {
    let mut out = 0u64.to_le_bytes().to_vec();
    out.extend(KEEP_CACHE.to_le_bytes());
    out.extend([0; 4]);
    out
}

/// A request about one node, and whether it changed the disk.
fn about(disk: &mut Disk, what: u32, node: u64, words: &mut Words<'_>) -> (Answer, bool) {
    match what {
        // Look up, attributes, open, open a directory.
        1 => {
            let name = words.name();
            let found = disk.dir(node).and_then(|dir| dir.names.get(&name).copied());
            (found.ok_or(libc::ENOENT).and_then(|number| entry(disk, number)), false)
        }
        3 => (attribute_answer(disk, node), false),
        14 | 27 => (disk.node(node).map(|_| opened()).ok_or(libc::ENOENT), false),
        15 => (read(disk, node, words), false),
        28 => (list(disk, node, words), false),
        30 => {
            disk.sync_dir(node);
            (Ok(Vec::new()), true)
        }
        // Change attributes, make, remove, rename, write, allocate.
        4 => {
            let changed = set(disk, node, words);
            (attribute_answer(disk, node), changed)
        }
        9 => {
            let (mode, _) = (words.u32(), words.u32());
            (made(disk, node, &words.name(), mode & 0o777, true), true)
        }
        35 => {
            let (_, mode, _, _) = (words.u32(), words.u32(), words.u32(), words.u32());
            let made = made(disk, node, &words.name(), mode & 0o777, false);
            let with_handle = made.map(|mut out| {
                out.extend(opened());
                out
            });
            (with_handle, true)
        }
        10 | 11 => (if disk.remove(node, &words.name()) { Ok(Vec::new()) } else { Err(libc::ENOENT) }, true),
        12 | 45 => {
            let other = words.u64();
            if what == 45 && words.u64() & 0xffff_ffff != 0 {
                return (Err(libc::EINVAL), false);
            }
            let (from, to) = (words.name(), words.name());
            (if disk.rename(node, &from, other, &to) { Ok(Vec::new()) } else { Err(libc::ENOENT) }, true)
        }
        16 => {
            let (_, at, size) = (words.u64(), words.u64(), words.u32());
            words.take(20);
            if strikes(&mut disk.knobs.fails_write) {
                return (Err(libc::EIO), false);
            }
            let bytes = words.take(size as usize).to_vec();
            if !disk.change(node, Change::Write { at, bytes }) {
                return (Err(libc::ENOENT), false);
            }
            let mut out = size.to_le_bytes().to_vec();
            out.extend([0; 4]);
            (Ok(out), true)
        }
        43 => {
            let (_, at, length, mode) = (words.u64(), words.u64(), words.u64(), words.u32());
            if mode != 0 {
                return (Err(libc::EOPNOTSUPP), false);
            }
            let short = disk.file(node).is_some_and(|file| (file.now.len() as u64) < at + length);
            if short {
                disk.change(node, Change::Size(at + length));
            }
            (Ok(Vec::new()), short)
        }
        _ => (Err(libc::ENOSYS), false),
    }
}

fn made(disk: &mut Disk, parent: u64, name: &str, mode: u32, is_dir: bool) -> Answer {
    if disk.dir(parent).is_some_and(|dir| dir.names.contains_key(name)) {
        return Err(libc::EEXIST);
    }
    let number = disk.make(parent, name, mode, is_dir).ok_or(libc::ENOENT)?;
    entry(disk, number)
}

fn set(disk: &mut Disk, node: u64, words: &mut Words<'_>) -> bool {
    const MODE: u32 = 1;
    const SIZE: u32 = 8;
    let (valid, _, _, size) = (words.u32(), words.u32(), words.u64(), words.u64());
    words.take(8 * 4 + 4 * 3);
    let mode = words.u32() & 0o777;
    if valid & MODE != 0 {
        match disk.node_mut(node) {
            Some(Node::File(file)) => file.mode = mode,
            Some(Node::Dir(dir)) => dir.mode = mode,
            None => {}
        }
    }
    valid & SIZE != 0 && disk.change(node, Change::Size(size))
}

fn read(disk: &mut Disk, node: u64, words: &mut Words<'_>) -> Answer {
    let (_, at, size) = (words.u64(), words.u64(), u64::from(words.u32()));
    let unreadable = disk.knobs.unreadable.clone();
    let file = disk.file(node).ok_or(libc::ENOENT)?;
    if unreadable.is_some_and(|(name, part)| name == file.name && at < part.end && part.start < at + size) {
        return Err(libc::EIO);
    }
    let from = (at as usize).min(file.now.len());
    let until = ((at + size) as usize).min(file.now.len());
    Ok(file.now[from..until].to_vec())
}

fn list(disk: &mut Disk, node: u64, words: &mut Words<'_>) -> Answer {
    let (_, from, size) = (words.u64(), words.u64(), words.u32() as usize);
    let dir = disk.dir(node).ok_or(libc::ENOTDIR)?;
    let names: Vec<(String, u64)> = dir.names.iter().map(|(name, &number)| (name.clone(), number)).collect();
    let mut out = Vec::new();
    for (at, (name, number)) in names.iter().enumerate().skip(from as usize) {
        let kind = match disk.node(*number) {
            Some(Node::Dir(_)) => libc::S_IFDIR,
            _ => libc::S_IFREG,
        };
        let length = (24 + name.len()).next_multiple_of(8);
        if out.len() + length > size {
            break;
        }
        let end = out.len() + length;
        out.extend(number.to_le_bytes());
        out.extend((at as u64 + 1).to_le_bytes());
        out.extend((name.len() as u32).to_le_bytes());
        out.extend((kind >> 12).to_le_bytes());
        out.extend(name.as_bytes());
        out.resize(end, 0);
    }
    Ok(out)
}

/// The root's number is the protocol's.
const _: () = assert!(ROOT == 1);
