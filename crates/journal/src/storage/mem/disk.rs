//! The simulated disk itself: inodes with a cache, a platter and the versions in between, and a directory
//! whose changes are durable only after a sync.
//!
//! Plain data with a clone; it knows nothing of handles, processes' threads or the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::PowerCut;
use crate::layout::PAGE_BYTES;
use crate::storage::Live;

pub(super) const PAGE: usize = PAGE_BYTES as usize;
const SECTOR: usize = 512;
/// Versions kept per page between syncs; the oldest unsynced ones are forgotten first.
const VERSIONS_MAX: usize = 8;

type Page = Arc<[u8; PAGE]>;

#[derive(Clone, Default)]
pub(super) struct Inode {
    pub(super) bytes: u64,
    cache: BTreeMap<u64, Page>,
    platter: BTreeMap<u64, Page>,
    platter_bytes: u64,
    /// Versions since the last sync, oldest first; the last one is what the cache shows.
    dirty: BTreeMap<u64, Vec<Page>>,
    /// Lengths since the last sync, oldest first.
    lengths: Vec<u64>,
    pub(super) unreadable: BTreeSet<u64>,
}

#[derive(Clone)]
pub(super) enum DirChange {
    Link(String, u64),
    Rename(String, String),
    Remove(String),
}

#[derive(Clone, Default)]
pub(super) struct Disk {
    pub(super) inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    pub(super) names: BTreeMap<String, u64>,
    platter_names: BTreeMap<String, u64>,
    unsynced_names: Vec<DirChange>,
    /// Generation of the living process; handles of an older one are dead.
    pub(super) process: u64,
    pub(super) holder: Option<u64>,
    pub(super) next_handle: u64,
    pub(super) live: Option<Live>,
    pub(super) ops: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) syncs: u64,
    pub(super) fail_sync_at: Option<u64>,
    pub(super) lie_sync_at: Option<u64>,
    pub(super) allocations: u64,
    pub(super) fail_allocation_at: Option<u64>,
    pub(super) full: bool,
    /// No process can open anything more.
    pub(super) handles_used_up: bool,
    /// Copies made before each changing operation, while they are wanted.
    pub(super) images: Option<Vec<Disk>>,
}

/// EIO, as a device gives it.
pub(super) fn eio() -> io::Error {
    io::Error::from_raw_os_error(5)
}

/// EMFILE.
pub(super) fn too_many() -> io::Error {
    io::Error::from_raw_os_error(24)
}

pub(super) fn dead() -> io::Error {
    io::Error::other("the simulated process is dead")
}

struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

fn page_of(pages: &BTreeMap<u64, Page>, index: u64) -> Page {
    pages.get(&index).cloned().unwrap_or_else(|| Arc::new([0; PAGE]))
}

/// Drops what lies behind `bytes`, to the byte.
fn cut_pages(pages: &mut BTreeMap<u64, Page>, bytes: u64) {
    let first_gone = bytes.div_ceil(PAGE_BYTES);
    pages.retain(|index, _| *index < first_gone);
    let within = (bytes % PAGE_BYTES) as usize;
    if within != 0
        && let Some(page) = pages.get_mut(&(bytes / PAGE_BYTES))
    {
        Arc::make_mut(page)[within..].fill(0);
    }
}

impl Inode {
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let index = at / PAGE_BYTES;
            let within = (at % PAGE_BYTES) as usize;
            let n = rest.len().min(PAGE - within);
            let mut page = page_of(&self.cache, index);
            Arc::make_mut(&mut page)[within..within + n].copy_from_slice(&rest[..n]);
            self.cache.insert(index, page.clone());
            let versions = self.dirty.entry(index).or_default();
            versions.push(page);
            if versions.len() > VERSIONS_MAX {
                versions.remove(0);
            }
            at += n as u64;
            rest = &rest[n..];
        }
        if at > self.bytes {
            self.set_bytes(at);
        }
    }

    pub(super) fn set_bytes(&mut self, bytes: u64) {
        if bytes < self.bytes {
            let first_gone = bytes.div_ceil(PAGE_BYTES);
            cut_pages(&mut self.cache, bytes);
            self.dirty.retain(|index, _| *index < first_gone);
        }
        self.bytes = bytes;
        self.lengths.push(bytes);
    }

    /// Everything the cache holds reaches the platter.
    pub(super) fn sync(&mut self) {
        for (index, versions) in std::mem::take(&mut self.dirty) {
            let newest = versions.last().expect("a dirty page has a version").clone();
            self.platter.insert(index, newest);
        }
        self.settle_length(self.bytes);
    }

    /// The sync failed: its pages count as clean, the cache shows them, and the platter never gets them.
    pub(super) fn sync_failed(&mut self) {
        self.dirty.clear();
    }

    fn settle_length(&mut self, bytes: u64) {
        self.platter_bytes = bytes;
        self.lengths.clear();
        cut_pages(&mut self.platter, bytes);
    }

    pub(super) fn forget_cache(&mut self) {
        self.cache = self.platter.clone();
        self.bytes = self.platter_bytes;
        self.dirty.clear();
        self.lengths.clear();
    }

    /// Pages, but the first, that may be lost while one behind them is not.
    fn before_others(&self) -> impl Iterator<Item = u64> {
        let last = self.dirty.keys().next_back().copied().unwrap_or(0);
        self.dirty.keys().copied().filter(move |index| *index > 0 && *index < last)
    }

    fn power_cut(&mut self, cut: PowerCut, draw: &mut Draw) {
        for (index, versions) in std::mem::take(&mut self.dirty) {
            let mut choices = vec![page_of(&self.platter, index)];
            choices.extend(versions);
            let mut chosen = choices[draw.below(choices.len())].clone();
            if cut.torn && draw.below(4) == 0 {
                let other = choices[draw.below(choices.len())].clone();
                let page = Arc::make_mut(&mut chosen);
                for sector in 0..PAGE / SECTOR {
                    if draw.below(2) == 0 {
                        let range = sector * SECTOR..(sector + 1) * SECTOR;
                        page[range.clone()].copy_from_slice(&other[range]);
                    }
                }
            }
            self.platter.insert(index, chosen);
        }
        let mut lengths = vec![self.platter_bytes];
        lengths.append(&mut self.lengths);
        let bytes = lengths[draw.below(lengths.len())];
        self.settle_length(bytes);
        self.forget_cache();
    }

    /// Copies cached bytes; the range lies within the file.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_from(&self.cache, offset, buffer)
    }

    /// Copies bytes of the platter, as many as there are.
    pub(super) fn read_platter(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self.platter_bytes.min(offset + buffer.len() as u64);
        let wanted = end.saturating_sub(offset) as usize;
        self.read_from(&self.platter, offset, &mut buffer[..wanted])?;
        Ok(wanted)
    }

    pub(super) const fn platter_bytes(&self) -> u64 {
        self.platter_bytes
    }

    fn read_from(&self, pages: &BTreeMap<u64, Page>, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            let index = at / PAGE_BYTES;
            if self.unreadable.contains(&index) {
                return Err(eio());
            }
            let within = (at % PAGE_BYTES) as usize;
            let n = (buffer.len() - done).min(PAGE - within);
            match pages.get(&index) {
                Some(page) => buffer[done..done + n].copy_from_slice(&page[within..within + n]),
                None => buffer[done..done + n].fill(0),
            }
            done += n;
        }
        Ok(())
    }

    pub(super) fn content(&self) -> Vec<u8> {
        let mut out = vec![0; self.bytes as usize];
        for (index, page) in &self.cache {
            let at = *index as usize * PAGE;
            if at < out.len() {
                let n = PAGE.min(out.len() - at);
                out[at..at + n].copy_from_slice(&page[..n]);
            }
        }
        out
    }
}

fn apply(names: &mut BTreeMap<String, u64>, change: &DirChange) {
    match change {
        DirChange::Link(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        DirChange::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
        DirChange::Remove(name) => {
            names.remove(name);
        }
    }
}

impl Disk {
    /// Counts one changing operation of `process`; an error when the process is dead or dies now.
    pub(super) fn step(&mut self, process: u64) -> io::Result<()> {
        if self.process != process || self.crash_at.is_some_and(|at| self.ops >= at) {
            return Err(dead());
        }
        if let Some(mut images) = self.images.take() {
            images.push(self.clone());
            self.images = Some(images);
        }
        self.ops += 1;
        Ok(())
    }

    /// Counts a sync: `Err` when it fails, else whether it tells the truth.
    pub(super) fn sync_step(&mut self) -> Result<bool, ()> {
        self.syncs += 1;
        if self.fail_sync_at == Some(self.syncs) { Err(()) } else { Ok(self.lie_sync_at != Some(self.syncs)) }
    }

    pub(super) fn new_inode(&mut self, inode: Inode) -> u64 {
        let number = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(number, inode);
        number
    }

    pub(super) fn change_names(&mut self, change: DirChange) {
        apply(&mut self.names, &change);
        self.unsynced_names.push(change);
    }

    pub(super) fn sync_names(&mut self) {
        self.platter_names = self.names.clone();
        self.unsynced_names.clear();
    }

    pub(super) fn set_name_at_rest(&mut self, name: &str, inode: Option<u64>) {
        for names in [&mut self.names, &mut self.platter_names] {
            match inode {
                Some(inode) => names.insert(name.to_owned(), inode),
                None => names.remove(name),
            };
        }
        self.drop_unnamed();
    }

    pub(super) fn end_process(&mut self) {
        self.process += 1;
        self.holder = None;
        self.live = None;
        self.crash_at = None;
    }

    pub(super) fn inode(&mut self, inode: u64) -> &mut Inode {
        self.inodes.get_mut(&inode).expect("an open file has an inode")
    }

    pub(super) fn lookup(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Only the platter remains.
    pub(super) fn forget_unsynced(&mut self) {
        self.unsynced_names.clear();
        self.names = self.platter_names.clone();
        self.drop_unnamed();
        self.inodes.values_mut().for_each(Inode::forget_cache);
    }

    fn drop_unnamed(&mut self) {
        let named: BTreeSet<u64> = self.names.values().chain(self.platter_names.values()).copied().collect();
        self.inodes.retain(|inode, _| named.contains(inode));
    }

    pub(super) fn platter_lookup(&self, name: &str) -> io::Result<u64> {
        self.platter_names.get(name).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Names and lengths of files as the platter has them.
    pub(super) fn platter_files(&self) -> impl Iterator<Item = (&String, u64)> {
        let bytes = |inode: &u64| self.inodes.get(inode).map_or(0, Inode::platter_bytes);
        self.platter_names.iter().map(move |(name, inode)| (name, bytes(inode)))
    }

    /// The power fails after all was written back but one page with others behind it; false, and nothing happens,
    /// when no file has such a page.
    pub(super) fn power_cut_with_hole(&mut self, seed: u64) -> bool {
        let all: Vec<(u64, u64)> =
            self.inodes.iter().flat_map(|(n, inode)| inode.before_others().map(|page| (*n, page))).collect();
        if all.is_empty() {
            return false;
        }
        self.end_process();
        let (hole, page) = all[Draw(seed).below(all.len())];
        self.inode(hole).dirty.remove(&page);
        self.sync_names();
        self.drop_unnamed();
        for inode in self.inodes.values_mut() {
            inode.sync();
            inode.forget_cache();
        }
        true
    }

    pub(super) fn power_cut(&mut self, cut: PowerCut) {
        self.end_process();
        let mut draw = Draw(cut.seed);
        let changes = std::mem::take(&mut self.unsynced_names);
        // File systems that journal their directories keep changes in order: some prefix of them survives.
        let kept = draw.below(changes.len() + 1);
        for change in &changes[..kept] {
            apply(&mut self.platter_names, change);
        }
        self.names = self.platter_names.clone();
        self.drop_unnamed();
        for inode in self.inodes.values_mut() {
            inode.power_cut(cut, &mut draw);
        }
    }
}
