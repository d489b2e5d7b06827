//! What follows the writer at a distance: the bytes of its segment are taken into the segment's root, the pages
//! ahead of a fast writer are faulted in, and a change of segment is carried out.
//!
//! ```text
//! writer   append ... append ──reached──► append ──change──► append (into the next file) ... sync: waits for it
//! thread                         hash, fault in     │ root │ seal, fdatasync │ header, fdatasync │ rename, sync
//!                                                     directory │ unmap and trim the old file
//! ```
//!
//! While a segment is changed the writer may already store records in the next file: it has no segment's name yet, and
//! nothing in it is durable before the writer's next sync, which waits for the change. So a record never stands in a
//! *segment* before all of the one before it, and its seal, are durable.
//!
//! Where the storage has threads, all of this runs on one of them, which reads the file for itself: what was stored
//! in the map is in the cache that it reads. On a simulated disk the same steps run in the caller, a change as late as
//! it may. A root that is not known in time is left out of the seal; one that could not be computed is an error, and
//! never a wrong root.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use crate::error::IoFacts;
use crate::layout::{Header, NO_ROOT, PAGE_BYTES, Root, SEAL_BYTES, Seal};
use crate::segment::{SegmentFile, open_segment, segment_name};
use crate::storage::{
    SPARE, Source, Storage, StorageFile, StorageNames, StorageRead, TouchAhead, is_shortage,
};

/// The writer says how far it is each time it has stored this much: some hundred microseconds of hashing.
pub(crate) const REACHED_BYTES: u64 = 128 << 10;
/// Bytes read at a time.
const PORTION_BYTES: u64 = 128 << 10;
/// How far ahead of a writer that does not sync pages are faulted in. They are written in vain if it stops there.
const AHEAD_BYTES: u64 = 512 << 10;
/// Commands that may wait. A hint that finds no room is left out; the end of a segment is never a hint.
const COMMANDS_MAX: usize = 64;
/// More than this left to hash is not waited for when a segment is changed.
const LAG_BYTES_MAX: u64 = 1 << 20;

/// A finished segment whose root nobody has computed yet.
#[derive(Clone, Debug)]
pub(crate) struct Unhashed {
    pub(crate) header: Header,
    /// Where its records end.
    pub(crate) end: u64,
}

/// What enters the root of a new segment: a root, and the segments to be hashed upon it.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    pub(crate) root: Root,
    pub(crate) unhashed: Vec<Unhashed>,
}

/// A change of segment.
pub(crate) struct Change<F> {
    /// The file that ends, and where its records do.
    pub(crate) old: F,
    pub(crate) end: u64,
    /// Its seal, but for the root.
    pub(crate) seal: Seal,
    /// The next header, but for the root before.
    pub(crate) header: Header,
    /// The file made ready for it.
    pub(crate) next: F,
    pub(crate) ahead: Option<TouchAhead>,
}

pub(crate) enum Command<F> {
    Backlog(Before),
    Begin { header: Header, ahead: Option<TouchAhead> },
    Reached { offset: u64, fast: bool },
    Change(Box<Change<F>>),
    Trim { file: F, bytes: u64 },
}

/// The thread behind one writer, or what does its work in the caller.
pub(crate) enum Roots<S: Storage> {
    Thread {
        commands: Option<SyncSender<Command<S::File>>>,
        changed: Receiver<Result<(), IoFacts>>,
        stop: Arc<AtomicBool>,
        thread: Option<JoinHandle<()>>,
    },
    Here {
        work: Box<Work<S>>,
        change: Option<Box<Change<S::File>>>,
    },
}

impl<S: Storage> Roots<S> {
    pub(crate) fn new(storage: &S) -> io::Result<Roots<S>> {
        let stop = Arc::new(AtomicBool::new(false));
        let work = Work {
            read: storage.reader(),
            names: storage.names()?,
            stop: stop.clone(),
            before: None,
            backlog: VecDeque::new(),
            hashing: None,
            buffer: Vec::new(),
        };
        if !S::THREADS {
            return Ok(Roots::Here { work: Box::new(work), change: None });
        }
        let (commands, received) = sync_channel(COMMANDS_MAX);
        let (results, changed) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("journal-roots".into())
            .spawn(move || work.follow(&received, &results))?;
        Ok(Roots::Thread { commands: Some(commands), changed, stop, thread: Some(thread) })
    }

    fn give(&mut self, command: Command<S::File>) {
        match self {
            Roots::Thread { commands: Some(commands), .. } => {
                // The thread ends before this value only by a bug, which the next change then tells of.
                let _ = commands.send(command);
            }
            Roots::Thread { commands: None, .. } => {}
            // The backlog is worked off when a root is wanted: few simulated disks live so long.
            Roots::Here { work, .. } => work.carry_out(command),
        }
    }

    /// What the first segment builds on.
    pub(crate) fn build_on(&mut self, before: Before) {
        self.give(Command::Backlog(before));
    }

    /// The first segment has its name, and is hashed from now on.
    pub(crate) fn begin(&mut self, header: &Header, file: &S::File) {
        self.give(Command::Begin { header: header.clone(), ahead: file.ahead() });
    }

    /// Everything before `offset` is stored. `fast` when none of it waits for a sync.
    pub(crate) fn reached(&mut self, offset: u64, fast: bool) {
        if let Roots::Thread { commands: Some(commands), .. } = self {
            let _ = commands.try_send(Command::Reached { offset, fast });
        }
    }

    /// Begins a change of segment; none is under way.
    pub(crate) fn change(&mut self, change: Change<S::File>) {
        match self {
            Roots::Thread { .. } => self.give(Command::Change(Box::new(change))),
            Roots::Here { change: waiting, .. } => *waiting = Some(Box::new(change)),
        }
    }

    /// The result of the change under way; `None` when it is not there yet and must not be waited for.
    pub(crate) fn changed(&mut self, wait: bool) -> Option<Result<(), IoFacts>> {
        match self {
            Roots::Here { work, change } if wait => change.take().map(|change| {
                while work.work_off() {}
                work.change(*change)
            }),
            Roots::Here { .. } => None,
            Roots::Thread { changed, .. } => {
                let result = if wait {
                    changed.recv().map_err(|_| TryRecvError::Disconnected)
                } else {
                    changed.try_recv()
                };
                match result {
                    Ok(result) => Some(result),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => {
                        let e = io::Error::other("the thread that changes segments ended without a result");
                        Some(Err(IoFacts::new("change", "a segment", &e)))
                    }
                }
            }
        }
    }

    /// A sealed segment is cut behind its seal.
    pub(crate) fn trim(&mut self, file: S::File, bytes: u64) {
        self.give(Command::Trim { file, bytes });
    }
}

impl<S: Storage> Drop for Roots<S> {
    fn drop(&mut self) {
        if let Roots::Thread { commands, stop, thread, .. } = self {
            stop.store(true, Ordering::Relaxed);
            *commands = None;
            if let Some(thread) = thread.take() {
                // Its panic, if it had one, was its own; nothing durable depends on it.
                let _ = thread.join();
            }
        }
    }
}

struct Hashing<F> {
    header: Header,
    /// Opened when it is first read.
    source: Option<F>,
    /// It begins with the header when the first portion is read.
    hasher: Option<blake3::Hasher>,
    /// Everything before this offset is in the hasher.
    taken: u64,
    ahead: Option<TouchAhead>,
    touched: u64,
}

impl<F> Hashing<F> {
    /// The root of all that was taken in, upon the one before.
    fn root(self, before: &Root) -> Root {
        let hasher = self.hasher.unwrap_or_else(|| self.header.root_hasher());
        self.header.root(hasher, before)
    }
}

type HashingOf<S> = Hashing<SegmentFile<<<S as Storage>::Read as StorageRead>::Source>>;

/// The steps themselves.
pub(crate) struct Work<S: Storage> {
    read: S::Read,
    names: S::Names,
    /// Hashing is no longer worth its time.
    stop: Arc<AtomicBool>,
    /// The root that the oldest segment of the backlog builds on, or the present one; `None` when it cannot be known.
    before: Option<Root>,
    /// Finished segments whose roots come before that of the present one, with their ends.
    backlog: VecDeque<(HashingOf<S>, u64)>,
    hashing: Option<HashingOf<S>>,
    buffer: Vec<u8>,
}

impl<S: Storage> Work<S> {
    /// Carries out commands until the writer is gone; the backlog while there are none.
    fn follow(mut self, commands: &Receiver<Command<S::File>>, results: &SyncSender<Result<(), IoFacts>>) {
        loop {
            let command = match commands.try_recv() {
                Ok(command) => command,
                Err(TryRecvError::Empty) if self.work_off() => continue,
                Err(TryRecvError::Empty) => match commands.recv() {
                    Ok(command) => command,
                    Err(_) => return,
                },
                Err(TryRecvError::Disconnected) => return,
            };
            match command {
                Command::Change(change) => {
                    // A writer that has gone away asks for nothing any more.
                    let _ = results.send(self.change(*change));
                }
                Command::Backlog(_)
                | Command::Begin { .. }
                | Command::Reached { .. }
                | Command::Trim { .. } => {
                    self.carry_out(command);
                }
            }
        }
    }

    fn carry_out(&mut self, command: Command<S::File>) {
        match command {
            Command::Backlog(Before { root, unhashed }) => {
                self.before = Some(root);
                for Unhashed { header, end } in unhashed {
                    let hashing = self.hashing(header, None);
                    self.backlog.push_back((hashing, end));
                }
            }
            Command::Begin { header, ahead } => self.hashing = Some(self.hashing(header, ahead)),
            Command::Reached { offset, fast } => self.reached(offset, fast),
            // What is not trimmed now is trimmed by the next opening.
            Command::Trim { mut file, bytes } => drop(file.truncate(bytes)),
            Command::Change(_) => {}
        }
    }

    fn hashing(&self, header: Header, ahead: Option<TouchAhead>) -> HashingOf<S> {
        Hashing { header, source: None, hasher: None, taken: PAGE_BYTES, ahead, touched: 0 }
    }

    /// Hashes a portion of the backlog; `false` when there is none that could be hashed now. Rot in it is not this file's to judge: the root
    /// is not known then, and neither is any that builds on it.
    fn work_off(&mut self) -> bool {
        let Some((mut hashing, end)) = self.backlog.pop_front() else { return false };
        if self.stop.load(Ordering::Relaxed) || self.before.is_none() {
            self.before = None;
            return true;
        }
        let until = (hashing.taken + PORTION_BYTES).min(end);
        match self.take_until(&mut hashing, until) {
            Err(_) => self.before = None,
            Ok(()) if hashing.taken < end => {
                let opened = hashing.source.is_some();
                self.backlog.push_front((hashing, end));
                return opened;
            }
            Ok(()) => self.before = self.before.map(|before| hashing.root(&before)),
        }
        true
    }

    fn reached(&mut self, offset: u64, fast: bool) {
        let Some(mut hashing) = self.hashing.take() else { return };
        if let Some(touch) = &hashing.ahead
            && fast
        {
            let from = hashing.touched.max(offset);
            hashing.touched = offset + AHEAD_BYTES;
            touch(from, hashing.touched.saturating_sub(from));
        }
        // A failure is met again, and told, when the segment ends.
        let _ = self.take_until(&mut hashing, offset);
        self.hashing = Some(hashing);
    }

    /// The root of the present segment, or `None` when it would be waited for; then it joins the backlog.
    fn finish(&mut self, end: u64) -> Result<Option<Root>, IoFacts> {
        let Some(mut hashing) = self.hashing.take() else {
            self.before = None;
            return Ok(None);
        };
        hashing.ahead = None;
        let far = end.saturating_sub(hashing.taken) > LAG_BYTES_MAX;
        if !self.backlog.is_empty() || far || self.stop.load(Ordering::Relaxed) {
            self.backlog.push_back((hashing, end));
            return Ok(None);
        }
        self.take_until(&mut hashing, end)?;
        if hashing.taken < end {
            // Told to stop in the middle, or no handle to read it with: later, if there is a later.
            self.backlog.push_back((hashing, end));
            return Ok(None);
        } else {
            self.before = self.before.map(|before| hashing.root(&before));
        }
        Ok(self.before)
    }

    fn change(&mut self, change: Change<S::File>) -> Result<(), IoFacts> {
        let Change { mut old, end, seal, mut header, mut next, ahead } = change;
        let facts = |operation, number| move |e: io::Error| IoFacts::new(operation, segment_name(number), &e);
        let number = header.number - 1;
        let root = self.finish(end)?.unwrap_or(NO_ROOT);
        header.root_before = root;
        old.write_at(end, &Seal { root, ..seal }.encode()).map_err(facts("seal", number))?;
        old.sync().map_err(facts("sync records and seal of", number))?;
        let number = header.number;
        next.write_at(0, &header.encode()).map_err(facts("write the header of", number))?;
        next.sync().map_err(facts("sync", number))?;
        self.names.rename(SPARE, &segment_name(number)).map_err(facts("rename", number))?;
        self.names.sync_dir().map_err(facts("sync the directory of", number))?;
        self.hashing = Some(self.hashing(header, ahead));
        old.unmap();
        self.carry_out(Command::Trim { file: old, bytes: end + SEAL_BYTES });
        Ok(())
    }

    /// Hashes up to `end`, or less far when the writer is going away or the process has no handle left to read with.
    fn take_until(&mut self, hashing: &mut HashingOf<S>, end: u64) -> Result<(), IoFacts> {
        if hashing.source.is_none() {
            let number = hashing.header.number;
            match open_segment(&self.read, number) {
                Ok(source) => hashing.source = Some(source),
                // It says nothing of the file, and a root that is not known in time is left out.
                Err(e) if is_shortage(&e) => return Ok(()),
                Err(e) => return Err(IoFacts::new("open", segment_name(number), &e)),
            }
        }
        let Some(source) = &hashing.source else { return Ok(()) };
        let page = PAGE_BYTES as usize;
        if self.buffer.is_empty() {
            self.buffer = vec![0; PORTION_BYTES as usize + page];
        }
        let address = self.buffer.as_ptr().addr();
        let skew = address.next_multiple_of(page) - address;
        while hashing.taken < end && !self.stop.load(Ordering::Relaxed) {
            // As in the scan: a page of the file at a page of the memory.
            let within = (hashing.taken % PAGE_BYTES) as usize;
            let wanted = (PORTION_BYTES as usize - within).min((end - hashing.taken) as usize);
            let target = &mut self.buffer[skew + within..skew + within + wanted];
            let read = source.read_at(hashing.taken, target);
            let name = segment_name(hashing.header.number);
            let n = read.map_err(|e| IoFacts::new("read back", name.as_str(), &e))?;
            if n < wanted {
                let e = io::Error::other("the file is shorter than what was stored in it");
                return Err(IoFacts::new("read back", name, &e));
            }
            hashing.hasher.get_or_insert_with(|| hashing.header.root_hasher()).update(target);
            hashing.taken += wanted as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
