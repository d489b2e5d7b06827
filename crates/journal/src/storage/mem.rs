//! A disk that exists only in memory and misbehaves on demand, the same way every time.
//!
//! A killed process leaves the cache; a power cut leaves, for each unsynced page, any of its versions or a
//! mixture of two at 512-byte sectors, and any prefix of the unsynced directory changes. A sync can fail (the
//! page counts as clean afterwards and the platter keeps the old one, as Linux does), or lie.
//!
//! Used by this crate's tests and by the simulator. Never sleeps, never reads a clock, never draws randomness
//! of its own: a power cut is chosen by the seed it is given.

mod disk;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{
    Entry, Live, LockError, SPARE, Source, Spare, Storage, StorageFile, StorageNames, StorageRead, TouchAhead,
};
use disk::{DirChange, Disk, Inode, PAGE, dead, eio, too_many};

/// The process id a simulated lock names.
const PID: u32 = 4242;

/// How a power cut treats what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerCut {
    /// Chooses among all that may have reached the platter.
    pub seed: u64,
    /// Whether a page may be a mixture of two versions, sector by sector.
    pub torn: bool,
}

/// A handle on a simulated disk. `clone` gives another handle on the same disk, for the process that lives
/// now; [`MemStorage::fork`] gives an independent copy of the disk as it is.
pub struct MemStorage {
    disk: Arc<Mutex<Disk>>,
    process: u64,
    handle: u64,
    spare: Option<io::Result<(MemFile, MemFile)>>,
}

/// Changes names on a simulated disk for the process that it was made by; it never holds the lock.
#[derive(Debug)]
pub struct MemNames(MemStorage);

/// The reading side of a simulated disk. It belongs to no process and survives kills and power cuts.
#[derive(Clone)]
pub struct MemReader {
    disk: Arc<Mutex<Disk>>,
}

/// A file of a simulated disk, open for reading.
#[derive(Clone)]
pub struct MemSource {
    disk: Arc<Mutex<Disk>>,
    inode: u64,
}

/// The platter of a simulated disk, to be read: what no power cut can take back, and nothing else.
#[derive(Clone)]
pub struct MemPlatter {
    disk: Arc<Mutex<Disk>>,
}

/// A file as the platter of a simulated disk has it.
#[derive(Clone)]
pub struct MemPlatterSource {
    disk: Arc<Mutex<Disk>>,
    inode: u64,
}

/// A file of a simulated disk, open for writing by one process.
pub struct MemFile {
    disk: Arc<Mutex<Disk>>,
    process: u64,
    inode: u64,
    mapped: u64,
}

fn guard(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Default for MemStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MemStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemStorage").field("process", &self.process).finish_non_exhaustive()
    }
}

impl Clone for MemStorage {
    fn clone(&self) -> Self {
        let mut disk = guard(&self.disk);
        disk.next_handle += 1;
        MemStorage { disk: self.disk.clone(), process: disk.process, handle: disk.next_handle, spare: None }
    }
}

impl Drop for MemStorage {
    fn drop(&mut self) {
        let mut disk = guard(&self.disk);
        if disk.process == self.process && disk.holder == Some(self.handle) {
            disk.holder = None;
            disk.live = None;
        }
    }
}

/// Control of the disk, for tests and the simulator.
impl MemStorage {
    /// An empty disk.
    pub fn new() -> MemStorage {
        MemStorage { disk: Arc::new(Mutex::new(Disk::default())), process: 0, handle: 0, spare: None }
    }

    /// An independent copy of the disk as it is, with nobody holding its lock.
    pub fn fork(&self) -> MemStorage {
        let mut disk = guard(&self.disk).clone();
        disk.end_process();
        let process = disk.process;
        MemStorage { disk: Arc::new(Mutex::new(disk)), process, handle: 0, spare: None }
    }

    /// An independent copy of the disk as its platter has it: what no power cut can take back, and nothing else.
    pub fn platter(&self) -> MemStorage {
        let copy = self.fork();
        guard(&copy.disk).forget_unsynced();
        copy
    }

    /// The platter as it is at each reading, without a copy.
    pub fn platter_reader(&self) -> MemPlatter {
        MemPlatter { disk: self.disk.clone() }
    }

    /// While `true`, the disk is copied as it is before every changing operation; [`MemStorage::take_images`] hands
    /// the copies out, each a crash between two operations.
    pub fn keep_images(&self, keep: bool) {
        guard(&self.disk).images = keep.then(Vec::new);
    }

    /// The copies made since the last time, oldest first.
    pub fn take_images(&self) -> Vec<MemStorage> {
        let images = guard(&self.disk).images.as_mut().map(std::mem::take).unwrap_or_default();
        let storage = |disk: Disk| {
            let process = disk.process;
            MemStorage { disk: Arc::new(Mutex::new(disk)), process, handle: 0, spare: None }
        };
        images.into_iter().map(storage).collect()
    }

    /// Changing operations so far: creations, allocations, writes, stores, cuts, syncs, renames, removals.
    pub fn ops(&self) -> u64 {
        guard(&self.disk).ops
    }

    /// Lets `ops` more changing operations happen; each later one fails and changes nothing.
    pub fn crash_after(&self, ops: u64) {
        let mut disk = guard(&self.disk);
        disk.crash_at = Some(disk.ops + ops);
    }

    /// Whether the limit set by `crash_after` was reached.
    pub fn crashed(&self) -> bool {
        let disk = guard(&self.disk);
        disk.crash_at.is_some_and(|at| disk.ops >= at)
    }

    /// The process dies: all its handles are dead, the lock is free, the cache stays. Returns a living handle.
    pub fn kill(&self) -> MemStorage {
        guard(&self.disk).end_process();
        self.clone()
    }

    /// The power fails: as `kill`, and of what was not synced only what `cut` chooses remains.
    pub fn power_cut(&self, cut: PowerCut) -> MemStorage {
        guard(&self.disk).power_cut(cut);
        self.clone()
    }

    /// The power fails after all was written back but one page, never a file's first, that has others behind it;
    /// `None`, and nothing happened, when no file has such a page.
    pub fn power_cut_with_hole(&self, seed: u64) -> Option<MemStorage> {
        let had_one = guard(&self.disk).power_cut_with_hole(seed);
        had_one.then(|| self.clone())
    }

    /// The `nth` sync of a file from now (1 = the next) fails with EIO; its pages count as clean afterwards.
    pub fn fail_sync(&self, nth: u64) {
        let mut disk = guard(&self.disk);
        disk.fail_sync_at = Some(disk.syncs + nth);
    }

    /// The `nth` sync of a file from now reports success and makes nothing durable.
    pub fn lie_sync(&self, nth: u64) {
        let mut disk = guard(&self.disk);
        disk.lie_sync_at = Some(disk.syncs + nth);
    }

    /// Syncs of files so far.
    pub fn syncs(&self) -> u64 {
        guard(&self.disk).syncs
    }

    /// The `nth` allocation from now fails with ENOSPC.
    pub fn fail_allocation(&self, nth: u64) {
        let mut disk = guard(&self.disk);
        disk.fail_allocation_at = Some(disk.allocations + nth);
    }

    /// While `true`, every allocation and every write that would lengthen a file fails with ENOSPC.
    pub fn disk_full(&self, full: bool) {
        guard(&self.disk).full = full;
    }

    /// While `true`, no file can be opened or created and no second handle be had: EMFILE.
    pub fn handles_used_up(&self, used_up: bool) {
        guard(&self.disk).handles_used_up = used_up;
    }

    /// Reading any byte of this 4 KiB page of the file gives EIO from now on.
    pub fn read_error(&self, name: &str, page: u64) {
        let mut disk = guard(&self.disk);
        if let Ok(inode) = disk.lookup(name) {
            disk.inode(inode).unreadable.insert(page);
        }
    }

    /// Content of a file as the cache shows it.
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        let disk = guard(&self.disk);
        disk.names.get(name).map(|inode| disk.inodes[inode].content())
    }

    /// Replaces or creates a file, durably: damage at rest.
    pub fn set_file(&self, name: &str, bytes: &[u8]) {
        let mut inode = Inode::default();
        inode.write(0, bytes);
        inode.sync();
        let mut disk = guard(&self.disk);
        let number = disk.new_inode(inode);
        disk.set_name_at_rest(name, Some(number));
    }

    /// Changes bytes of a file at rest, on the platter and in the cache.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn patch(&self, name: &str, offset: u64, bytes: &[u8]) {
        let mut disk = guard(&self.disk);
        let inode = disk.lookup(name).expect("a file to damage");
        let inode = disk.inode(inode);
        inode.write(offset, bytes);
        inode.sync();
    }

    /// Removes a file, durably.
    pub fn remove_file(&self, name: &str) {
        guard(&self.disk).set_name_at_rest(name, None);
    }

    /// Names of all files.
    pub fn names(&self) -> Vec<String> {
        guard(&self.disk).names.keys().cloned().collect()
    }

    fn new_file(&self, inode: u64) -> MemFile {
        MemFile { disk: self.disk.clone(), process: self.process, inode, mapped: 0 }
    }

    fn make_spare(&mut self, bytes: u64) -> io::Result<(MemFile, MemFile)> {
        let mut file = self.create(SPARE)?;
        let made = file.allocate(bytes).and_then(|()| file.sync()).and_then(|()| file.map(bytes));
        match made.and_then(|()| file.second()) {
            Ok(second) => Ok((file, second)),
            Err(e) => {
                // Give the space back; the failure to report is the first one.
                let _ = self.remove(SPARE);
                Err(e)
            }
        }
    }
}

impl Storage for MemStorage {
    const THREADS: bool = false;
    type Read = MemReader;
    type File = MemFile;

    fn reader(&self) -> MemReader {
        MemReader { disk: self.disk.clone() }
    }

    type Names = MemNames;

    fn names(&self) -> io::Result<MemNames> {
        Ok(MemNames(MemStorage {
            disk: self.disk.clone(),
            process: self.process,
            handle: u64::MAX,
            spare: None,
        }))
    }

    fn lock(&mut self) -> Result<(), LockError> {
        let mut disk = guard(&self.disk);
        if disk.process != self.process {
            return Err(LockError::Io(dead()));
        }
        if disk.holder.is_some() {
            return Err(LockError::Held { pid: Some(PID) });
        }
        disk.holder = Some(self.handle);
        Ok(())
    }

    fn create(&mut self, name: &str) -> io::Result<MemFile> {
        let mut disk = guard(&self.disk);
        disk.step(self.process)?;
        if disk.handles_used_up {
            return Err(too_many());
        }
        let inode = disk.new_inode(Inode::default());
        disk.change_names(DirChange::Link(name.to_owned(), inode));
        Ok(self.new_file(inode))
    }

    fn open_file(&mut self, name: &str) -> io::Result<MemFile> {
        let disk = guard(&self.disk);
        if disk.process != self.process {
            return Err(dead());
        }
        if disk.handles_used_up {
            return Err(too_many());
        }
        Ok(self.new_file(disk.lookup(name)?))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = guard(&self.disk);
        disk.step(self.process)?;
        disk.lookup(from)?;
        disk.change_names(DirChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut disk = guard(&self.disk);
        disk.step(self.process)?;
        disk.lookup(name)?;
        disk.change_names(DirChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        let mut disk = guard(&self.disk);
        disk.step(self.process)?;
        disk.sync_names();
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        Ok(guard(&self.disk).full.then_some(0))
    }

    fn spare_begin(&mut self, bytes: u64) {
        let made = self.make_spare(bytes);
        self.spare = Some(made);
    }

    fn spare_take(&mut self, _wait: bool) -> Spare<MemFile> {
        match self.spare.take() {
            None => Spare::None,
            Some(Ok((file, second))) => Spare::Ready(file, second),
            Some(Err(e)) => Spare::Failed(e),
        }
    }

    fn publish(&mut self, live: Live) {
        let mut disk = guard(&self.disk);
        if disk.process == self.process && disk.holder == Some(self.handle) {
            disk.live = Some(live);
        }
    }
}

impl StorageNames for MemNames {
    type File = MemFile;

    fn create(&mut self, name: &str) -> io::Result<MemFile> {
        self.0.create(name)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn step_back(&self) {}

    fn give_way(&mut self) {}

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.0.sync_dir()
    }
}

impl StorageRead for MemReader {
    type Source = MemSource;

    fn list(&self) -> io::Result<Vec<Entry>> {
        let disk = guard(&self.disk);
        let entry =
            |(name, inode): (&String, &u64)| Entry { name: name.clone(), bytes: disk.inodes[inode].bytes };
        Ok(disk.names.iter().map(entry).collect())
    }

    fn open(&self, name: &str) -> io::Result<MemSource> {
        let disk = guard(&self.disk);
        if disk.handles_used_up {
            return Err(too_many());
        }
        let inode = disk.lookup(name)?;
        drop(disk);
        Ok(MemSource { disk: self.disk.clone(), inode })
    }

    fn live(&self) -> io::Result<Option<Live>> {
        Ok(guard(&self.disk).live)
    }

    fn writer_is_alive(&self) -> io::Result<bool> {
        Ok(guard(&self.disk).holder.is_some())
    }
}

impl Source for MemSource {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut disk = guard(&self.disk);
        let inode = disk.inode(self.inode);
        let end = inode.bytes.min(offset + buffer.len() as u64);
        let wanted = end.saturating_sub(offset) as usize;
        inode.read(offset, &mut buffer[..wanted])?;
        Ok(wanted)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(guard(&self.disk).inode(self.inode).bytes)
    }

    fn settle(&self) -> io::Result<()> {
        let mut disk = guard(&self.disk);
        match disk.sync_step() {
            Err(()) => {
                disk.inode(self.inode).sync_failed();
                return Err(eio());
            }
            Ok(true) => disk.inode(self.inode).sync(),
            Ok(false) => {}
        }
        disk.inode(self.inode).forget_cache();
        Ok(())
    }
}

impl StorageRead for MemPlatter {
    type Source = MemPlatterSource;

    fn list(&self) -> io::Result<Vec<Entry>> {
        let disk = guard(&self.disk);
        let entry = |(name, bytes): (&String, u64)| Entry { name: name.clone(), bytes };
        Ok(disk.platter_files().map(entry).collect())
    }

    fn open(&self, name: &str) -> io::Result<MemPlatterSource> {
        let inode = guard(&self.disk).platter_lookup(name)?;
        Ok(MemPlatterSource { disk: self.disk.clone(), inode })
    }

    fn live(&self) -> io::Result<Option<Live>> {
        Ok(None)
    }

    fn writer_is_alive(&self) -> io::Result<bool> {
        Ok(false)
    }
}

impl Source for MemPlatterSource {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        guard(&self.disk).inode(self.inode).read_platter(offset, buffer)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(guard(&self.disk).inode(self.inode).platter_bytes())
    }

    fn settle(&self) -> io::Result<()> {
        Ok(())
    }
}

impl StorageFile for MemFile {
    fn second(&self) -> io::Result<MemFile> {
        if guard(&self.disk).handles_used_up {
            return Err(too_many());
        }
        Ok(MemFile { disk: self.disk.clone(), process: self.process, inode: self.inode, mapped: 0 })
    }

    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        let mut disk = guard(&self.disk);
        disk.step(self.process)?;
        disk.allocations += 1;
        if disk.full || disk.fail_allocation_at == Some(disk.allocations) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        disk.inode(self.inode).set_bytes(bytes);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = guard(&self.disk);
        disk.step(self.process)?;
        let full = disk.full;
        let inode = disk.inode(self.inode);
        if full && offset + bytes.len() as u64 > inode.bytes {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        inode.write(offset, bytes);
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        assert_eq!(self.mapped, 0, "a mapped file is never cut");
        let mut disk = guard(&self.disk);
        disk.step(self.process)?;
        disk.inode(self.inode).set_bytes(bytes);
        Ok(())
    }

    fn map(&mut self, bytes: u64) -> io::Result<()> {
        let mut disk = guard(&self.disk);
        if disk.process != self.process {
            return Err(dead());
        }
        if disk.inode(self.inode).bytes < bytes {
            return Err(io::Error::other("the file is shorter than its map would be"));
        }
        self.mapped = bytes;
        Ok(())
    }

    fn store(&mut self, offset: u64, bytes: &[u8]) {
        assert!(offset + bytes.len() as u64 <= self.mapped, "a store leaves the map");
        let mut disk = guard(&self.disk);
        // Page by page, because a process can die between two of them.
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = rest.len().min(PAGE - (at % PAGE as u64) as usize);
            if disk.step(self.process).is_err() {
                return;
            }
            disk.inode(self.inode).write(at, &rest[..n]);
            at += n as u64;
            rest = &rest[n..];
        }
    }

    fn ahead(&self) -> Option<TouchAhead> {
        None
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn unmap(&mut self) {
        self.mapped = 0;
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = guard(&self.disk);
        disk.step(self.process)?;
        match disk.sync_step() {
            Err(()) => {
                disk.inode(self.inode).sync_failed();
                return Err(eio());
            }
            Ok(true) => disk.inode(self.inode).sync(),
            Ok(false) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
