//! The journal on a file system of our own, which knows what was synced and what was not.
//!
//! ```text
//! a process appends, syncs, rotates, recovers ──► FUSE ──► platter and log of each file
//!                                                   └─► at drawn moments: images that a power cut could leave
//!                                                         └─► verify, read, recover, append: nothing acknowledged is gone
//! ```
//!
//! And the disk can be unreadable in places, fail a sync or the writing before it and then be well again, say that it
//! has synced without having done so, or take seconds for it.

#[path = "fuse/disk.rs"]
mod disk;
#[path = "fuse/ills.rs"]
mod ills;
#[path = "fuse/protocol.rs"]
mod protocol;

use crate::appender::{EXPECT, Lives, append, begin, config};
use crate::ground::{Budget, Moments, is_asked_for, reaches_least};
use crate::ledger::Run;
use aegis_journal::{DirStorage, Finding, OpenError, Row, open, verify_dir};
use disk::{Disk, Image, Snapshot};
use protocol::{Fuse, Watch};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

/// The smallest segments, so that they change often.
const SEGMENT_BYTES: u64 = 64 << 10;
/// Lives of one journal; each begins on an image of the one before.
const LIVES: u64 = 4;
/// Syncs of one life at most.
const SYNCS: u64 = 40;
/// Images of one moment.
const IMAGES: u64 = 4;
/// Threads that recover images.
const CHECKERS: usize = 2;

/// What a forked process tells, in memory that both see.
#[repr(C)]
struct Said {
    /// The last record that it was told is durable.
    durable: AtomicU64,
    /// What else a test wants to know.
    more: [AtomicU64; 4],
}

fn said() -> &'static Said {
    // SAFETY: fresh shared memory of a page, zeroed, which atomics of these sizes may be. It is never unmapped.
    unsafe {
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let page = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        assert!(page != libc::MAP_FAILED, "shared memory: {}", io::Error::last_os_error());
        &*page.cast::<Said>()
    }
}

/// A process of its own that does `work`; killed when this is dropped.
struct Forked(libc::pid_t);

impl Forked {
    fn begin(work: impl FnOnce() -> Result<(), String>) -> Forked {
        // SAFETY: the child runs what follows alone and leaves by `_exit`; it takes no lock that another thread of
        // this process could have held at the fork but the allocator's, which the C library sets right.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "a process: {}", io::Error::last_os_error());
        if pid == 0 {
            // SAFETY: plain calls about the process itself. With a handle on `/dev/fuse` it could wait for ever for a
            // server that has died, and nobody could end it.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0);
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
        Forked(pid)
    }

    /// How it ended: its code, or the signal's number below zero.
    fn ends(mut self) -> i32 {
        let mut status = 0;
        // SAFETY: `status` lives until the call returns.
        let who = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        assert_eq!(who, self.0, "its end: {}", io::Error::last_os_error());
        self.0 = 0;
        if libc::WIFSIGNALED(status) { -libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        if self.0 > 0 {
            // SAFETY: plain calls about a child that was not waited for.
            unsafe {
                libc::kill(self.0, libc::SIGKILL);
                libc::waitpid(self.0, std::ptr::null_mut(), 0);
            }
        }
    }
}

/// One life: recovers, then appends and syncs; some pages are written back early, so that they have several ages. One
/// that is `hasty` tells what it has not synced.
fn live(dir: &Path, life: u64, seed: u64, hasty: bool, said: &Said) -> Result<(), String> {
    let mut moments = Moments(seed);
    let mut writer = begin(dir, config(SEGMENT_BYTES))?;
    for _ in 0..1 + moments.below(SYNCS) {
        let batches = if moments.below(8) == 0 { 30 } else { 1 + moments.below(4) };
        for _ in 0..batches {
            append(&mut writer, 1 + moments.below(5), life).map_err(|e| e.to_string())?;
            if moments.below(6) == 0 {
                write_back(dir);
            }
        }
        if hasty {
            said.durable.store(writer.appended_lsn(), Ordering::SeqCst);
        }
        let durable = writer.sync().map_err(|e| e.to_string())?;
        said.durable.store(durable, Ordering::SeqCst);
        match moments.below(24) {
            0 => writer.checkpoint(durable, [7; 32], &durable.to_le_bytes()).map_err(|e| e.to_string())?,
            1 => writer.mark().map_err(|e| e.to_string())?,
            _ => {}
        }
    }
    if moments.below(4) == 0 {
        return writer.close().map_err(|e| e.to_string());
    }
    // SAFETY: ends the process at once, as a kill does.
    unsafe { libc::_exit(0) }
}

/// Everything dirty goes to the disk, and is not synced.
fn write_back(dir: &Path) {
    use std::os::fd::AsRawFd;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|e| e == "seg" || e == "tmp")
            && let Ok(file) = std::fs::File::open(entry.path())
        {
            let flags = libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
            // SAFETY: the call takes no pointers. What it answers does not matter.
            let _ = unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, flags) };
        }
    }
}

/// A moment at which the power could fail.
struct Moment {
    snapshot: Snapshot,
    lives: Lives,
    when: String,
    seed: u64,
}

/// What recovering the images showed.
#[derive(Default)]
struct Found {
    images: u64,
    moments: u64,
    /// Images by the row that recovery met: a clean end, a torn tail, pages out of order.
    rows: [u64; 3],
    /// Nothing but what was lost with the first sync.
    empty: u64,
    /// One of the images of this life, with what it must hold, for the next life to begin on.
    next: Option<(Image, Lives)>,
    seen: u64,
    wrong: Option<String>,
}

fn write_out(image: &Image, dir: &Path) {
    for entry in std::fs::read_dir(dir).expect("the directory").flatten() {
        std::fs::remove_file(entry.path()).expect("a file less");
    }
    for (name, bytes) in image {
        std::fs::write(dir.join(name), bytes).expect("a file of the image");
    }
}

/// Recovers what a power cut left: what was acknowledged is there, nothing else but what was appended, and no tear was
/// taken for rot. Returns the row, or `None` where nothing had been made durable.
fn recovers(image: &Image, lives: &Lives, dir: &Path, when: &str) -> Option<Row> {
    write_out(image, dir);
    let before = lives.are_kept(dir, 1, when);
    if lives.durable() > 0 {
        let report = verify_dir(dir, |_| ()).unwrap_or_else(|e| panic!("{when}: {e}"));
        let rot = report.findings.iter().any(|f| matches!(f, Finding::Rot(_)));
        assert!(report.gaps.is_empty() && !rot, "{when}: taken for rot: {report:?}");
    }
    let storage = || DirStorage::new(dir).unwrap_or_else(|e| panic!("{when}: {e}"));
    let opening = match open(storage(), EXPECT, config(SEGMENT_BYTES)) {
        Err(OpenError::NoJournal) if lives.durable() == 0 => return None,
        other => other.unwrap_or_else(|e| panic!("{when}: {e}")),
    };
    let row = opening.report().row;
    let (mut writer, report) = opening.finish().unwrap_or_else(|e| panic!("{when}: {e}"));
    let rot = report.gap.is_some() || !report.known_gaps.is_empty();
    assert!(!rot && matches!(row, Row::B | Row::C | Row::D), "{when}: taken for rot: {report:?}");
    assert_eq!(writer.next_lsn(), before + 1, "{when}: reading and recovering see different ends");
    append(&mut writer, 3, u64::MAX >> 8).unwrap_or_else(|e| panic!("{when}: {e}"));
    let durable = writer.sync().unwrap_or_else(|e| panic!("{when}: {e}"));
    drop(writer);
    let kept = lives.are_kept(dir, 1, when);
    assert_eq!((durable, kept), (before + 3, before + 3), "{when}: appended after the recovery");
    Some(row)
}

/// Recovers the images of moments until there are no more, or one is wrong; that one is kept, if somebody wants it.
fn check(moments: &Mutex<mpsc::Receiver<Moment>>, found: &Mutex<Found>, keep: bool) {
    let dir = tempfile::Builder::new().prefix("aegis-images-").tempdir_in("/dev/shm").expect("a directory");
    let lock = || found.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let next = moments.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(moment) = next else { return };
        let mut draws = Moments(moment.seed);
        for nth in 0..IMAGES {
            let image = moment.snapshot.image(&mut draws);
            let when = format!("{}, image {nth} of {}", moment.when, moment.seed);
            let row = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                recovers(&image, &moment.lives, dir.path(), &when)
            }));
            let mut found = lock();
            let row = match row {
                Ok(row) => row,
                Err(why) => {
                    let mut wrong = why.downcast_ref::<String>().cloned().unwrap_or_else(|| when.clone());
                    if keep {
                        let mut kept = tempfile::Builder::new();
                        let kept = kept.prefix("aegis-image-").disable_cleanup(true).tempdir();
                        let kept = kept.expect("a directory");
                        write_out(&image, kept.path());
                        wrong += &format!(" (the image is kept in {})", kept.path().display());
                    }
                    found.wrong = Some(wrong);
                    return;
                }
            };
            found.images += 1;
            match row {
                Some(Row::B) => found.rows[0] += 1,
                Some(Row::C) => found.rows[1] += 1,
                Some(_) => found.rows[2] += 1,
                None => found.empty += 1,
            }
            found.seen += 1;
            if draws.below(found.seen) == 0 {
                found.next = Some((image, moment.lives.clone()));
            }
        }
        lock().moments += 1;
    }
}

/// A journal that lives on the images of its own lives.
struct Journal {
    number: u64,
    image: Image,
    lives: Lives,
    hasty: bool,
}

impl Journal {
    /// One life on the image that stands; another one stands then. Returns how many syncs it made of files.
    fn lives_on(
        &mut self,
        life: u64,
        moments: &mut Moments,
        found: &Arc<Mutex<Found>>,
    ) -> Result<u64, String> {
        let said = said();
        said.durable.store(self.lives.durable(), Ordering::SeqCst);
        let (send, receive) = mpsc::sync_channel(2);
        let receive = Arc::new(Mutex::new(receive));
        let keep = !self.hasty;
        let checkers: Vec<_> = (0..CHECKERS)
            .map(|_| {
                let (receive, found) = (receive.clone(), found.clone());
                std::thread::spawn(move || check(&receive, &found, keep))
            })
            .collect();
        let mut draws = Moments(moments.next());
        let (known, number) = (self.lives.clone(), self.number);
        let watch: Watch = Box::new(move |disk: &Disk, before_sync| {
            if draws.below(if before_sync { 4 } else { 24 }) > 0 {
                return;
            }
            let mut lives = known.clone();
            // Before the disk is copied: what is told later needs what is written later.
            lives.told(life, said.durable.load(Ordering::SeqCst));
            let when = format!("journal {number}, life {life}");
            // Nobody listens any more after something went wrong.
            let _ = send.send(Moment { snapshot: disk.snapshot(), lives, when, seed: draws.next() });
        });
        let fuse = Fuse::new(&self.image, Some(watch));
        let (dir, seed, hasty) = (fuse.path().to_owned(), moments.next(), self.hasty);
        // It alone hears what the watch sends: with it gone, so that nobody waits for more.
        drop(receive);
        let ended = Forked::begin(|| live(&dir, life, seed, hasty, said)).ends();
        let (syncs, last) = fuse.disk(|disk| (disk.syncs, disk.snapshot()));
        drop(fuse);
        for checker in checkers {
            checker.join().expect("a checker that ends");
        }
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wrong) = found.wrong.take() {
            return Err(wrong);
        }
        assert_eq!(ended, 0, "journal {number}, life {life}: the appending process ended with {ended}");
        found.seen = 0;
        let mut told = self.lives.clone();
        told.told(life, said.durable.load(Ordering::SeqCst));
        // The next life begins on what a cut in this one left, wherever in it, or at its very end.
        (self.image, self.lives) = match found.next.take() {
            Some(next) if moments.below(4) > 0 => next,
            _ => (last.image(moments), told),
        };
        Ok(syncs)
    }
}

#[test]
fn whatever_a_power_cut_leaves_of_the_pages_nothing_acknowledged_is_lost() {
    if !is_asked_for("images of power cuts") {
        return;
    }
    let run = Run::begin("images of power cuts");
    let budget = Budget::new("AEGIS_IMAGES", 400);
    let mut moments = Moments::new();
    let found = Arc::new(Mutex::new(Found::default()));
    let images = || found.lock().unwrap_or_else(PoisonError::into_inner).images;
    let (mut lived, mut number, mut records, mut syncs) = (0, 0, 0, 0);
    while budget.goes_on(images()) {
        number += 1;
        let mut journal = Journal { number, image: Image::new(), lives: Lives::default(), hasty: false };
        for life in 1..=LIVES {
            let before = journal.lives.durable();
            syncs += journal.lives_on(life, &mut moments, &found).unwrap_or_else(|wrong| panic!("{wrong}"));
            records += journal.lives.durable() - before;
            lived += 1;
        }
    }
    let found = found.lock().unwrap_or_else(PoisonError::into_inner);
    let [clean, torn, out_of_order] = found.rows;
    println!(
        "{} images of power cuts at {} moments of {lived} lives of {number} journals ({records} acknowledged records, {syncs} syncs of files): {clean} ended clean, {torn} torn, {out_of_order} with pages out of order, {} before anything was durable; 0 lost, 0 taken for rot, {:.0} s, {:.0} images/s",
        found.images,
        found.moments,
        found.empty,
        budget.seconds(),
        found.images as f64 / budget.seconds()
    );
    reaches_least(found.images, "images of power cuts");
    run.held(found.images, "images", Some(records));
}

#[test]
fn the_images_find_a_writer_that_tells_before_it_has_synced() {
    if !is_asked_for("images under a hasty writer") {
        return;
    }
    let mut moments = Moments::new();
    let found = Arc::new(Mutex::new(Found::default()));
    let mut journal = Journal { number: 1, image: Image::new(), lives: Lives::default(), hasty: true };
    let wrong = (1..=LIVES).find_map(|life| journal.lives_on(life, &mut moments, &found).err());
    let wrong = wrong.expect("no image showed what the writer did");
    assert!(wrong.contains("was told as durable"), "{wrong}");
}
