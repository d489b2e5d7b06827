//! What the tests of real faults stand on: permission to run, budgets, chosen moments, and file systems of their own
//! that can be cut off.
//!
//! Every mount lies in a mount namespace of the test's own thread, and its device frees itself with the last handle:
//! whatever way a test ends, the kernel clears it away.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Whether a privileged test may run. Where it was not asked for, why it does not is printed.
pub(crate) fn is_asked_for(what: &str) -> bool {
    let asked = std::env::var("AEGIS_REAL_FAULTS").is_ok_and(|value| value == "1");
    if !asked {
        println!("{what}: skipped, since it needs root and devices; AEGIS_REAL_FAULTS=1 asks for it");
    }
    asked
}

/// A number from the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|e| panic!("{name} is a number: {e}")))
}

/// How long a test goes on: until a count or, with `AEGIS_SECONDS`, until its budget is used.
pub(crate) struct Budget {
    count: u64,
    began: Instant,
    until: Option<Instant>,
}

impl Budget {
    /// The count is `name` of the environment, or `default`.
    pub(crate) fn new(name: &str, default: u64) -> Budget {
        let began = Instant::now();
        let until = number("AEGIS_SECONDS").map(|seconds| began + Duration::from_secs(seconds));
        Budget { count: number(name).unwrap_or(default), began, until }
    }

    pub(crate) fn goes_on(&self, done: u64) -> bool {
        self.until.map_or(done < self.count, |until| Instant::now() < until)
    }

    /// How many more there may be; a great many where time bounds them.
    pub(crate) fn left(&self, done: u64) -> u64 {
        self.until.map_or(self.count.saturating_sub(done), |_| u64::from(u32::MAX))
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

/// The committed minimum of the stage that runs this test.
pub(crate) fn reaches_least(done: u64, what: &str) {
    if let Some(least) = number("AEGIS_LEAST") {
        assert!(done >= least, "{done} {what}, but at least {least} are committed to");
    }
}

/// SplitMix64.
pub(crate) struct Moments(pub(crate) u64);

impl Moments {
    /// From `AEGIS_FAULTS_SEED`, or always the same.
    pub(crate) fn new() -> Moments {
        Moments(number("AEGIS_FAULTS_SEED").unwrap_or(20_261_130))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Removes control groups that tests left which were killed. One with anybody in it stays.
pub(crate) fn clear(root: &Path, prefix: &str) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix)) {
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

pub(crate) fn ok(result: libc::c_int, what: &str) {
    if result < 0 {
        panic!(
            "{what}: {} (AEGIS_REAL_FAULTS=1 needs root, loop devices and mounts)",
            io::Error::last_os_error()
        );
    }
}

pub(crate) fn text(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().to_str().expect("a plain path")).expect("no zero byte")
}

/// Gives the calling thread, and every process it starts, mounts of their own.
pub(crate) fn own_mounts() {
    let (root, none) = (text("/"), text("none"));
    // SAFETY: both calls take no pointers but the strings, which live until they return.
    unsafe {
        ok(libc::unshare(libc::CLONE_NEWNS), "a mount namespace");
        let flags = libc::MS_REC | libc::MS_PRIVATE;
        let result = libc::mount(none.as_ptr(), root.as_ptr(), std::ptr::null(), flags, std::ptr::null());
        ok(result, "private mounts");
    }
}

/// A loop device over an image in memory.
struct LoopDevice {
    path: PathBuf,
    /// With the last handle the device is free again.
    _device: File,
}

#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_bytes: u32,
    /// `struct loop_info64` up to its flags.
    before: [u64; 5],
    numbers: [u32; 3],
    flags: u32,
    names: [u8; 160],
    init: [u64; 2],
    reserved: [u64; 8],
}

const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
const LOOP_CONFIGURE: libc::c_ulong = 0x4C0A;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

impl LoopDevice {
    fn new(image: &Path) -> LoopDevice {
        let open = |path: &Path| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        let control = open(Path::new("/dev/loop-control"));
        let backing = open(image);
        for _ in 0..50 {
            // SAFETY: this request takes no argument.
            let free = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
            ok(free, "a free loop device");
            let path = PathBuf::from(format!("/dev/loop{free}"));
            let device = open(&path);
            let config = LoopConfig {
                fd: backing.as_raw_fd() as u32,
                block_bytes: 0,
                before: [0; 5],
                numbers: [0; 3],
                flags: LO_FLAGS_AUTOCLEAR,
                names: [0; 160],
                init: [0; 2],
                reserved: [0; 8],
            };
            // SAFETY: `config` is laid out as the kernel's `struct loop_config` and lives until the call returns.
            let set = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
            if set == 0 {
                return LoopDevice { path, _device: device };
            }
            // Somebody else was quicker.
            let error = io::Error::last_os_error();
            assert_eq!(error.raw_os_error(), Some(libc::EBUSY), "{}: {error}", path.display());
        }
        panic!("no loop device stayed free");
    }
}

/// A kind of file system and how it is mounted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    make: &'static [&'static str],
    mount: &'static str,
    options: &'static str,
}

/// `data=journal` is missing: there a store through a map that meets the cut stops this kernel itself, in
/// `jbd2_journal_dirty_metadata`, and no program can be blamed for what is left.
pub(crate) const KINDS: [Kind; 3] = [
    Kind {
        name: "ext4 ordered",
        make: &["mkfs.ext4", "-q", "-F", "-E", "nodiscard"],
        mount: "ext4",
        options: "data=ordered,errors=remount-ro",
    },
    Kind {
        name: "ext4 writeback",
        make: &["mkfs.ext4", "-q", "-F", "-E", "nodiscard"],
        mount: "ext4",
        options: "data=writeback",
    },
    Kind { name: "xfs", make: &["mkfs.xfs", "-q", "-f", "-K"], mount: "xfs", options: "" },
];

/// It copies what it writes, and so knows neither the call that cuts the power nor the promise that allocated space can be
/// written.
pub(crate) const BTRFS: Kind =
    Kind { name: "btrfs", make: &["mkfs.btrfs", "-q", "-f"], mount: "btrfs", options: "" };

/// A mounted file system of its own, small enough for memory. Unmounted, and its device freed, when it is dropped.
pub(crate) struct Ground {
    kind: Kind,
    device: Option<LoopDevice>,
    path: PathBuf,
    mounted: bool,
    dir: TempDir,
}

impl Ground {
    /// Makes and mounts one of `mib` MiB. To be called on the thread that uses it and starts what uses it.
    pub(crate) fn new(kind: Kind, mib: u64) -> Ground {
        own_mounts();
        let dir = tempfile::Builder::new()
            .prefix("aegis-faults-")
            .tempdir_in("/dev/shm")
            .expect("a directory in memory");
        let image = dir.path().join("image");
        File::create(&image).and_then(|file| file.set_len(mib << 20)).expect("an image");
        let path = dir.path().join("mounted");
        std::fs::create_dir(&path).expect("a mount point");
        let made = Command::new(kind.make[0]).args(&kind.make[1..]).arg(&image).output();
        let made = made.unwrap_or_else(|e| panic!("{}: {e}", kind.make[0]));
        assert!(made.status.success(), "{:?}: {}", kind.make, String::from_utf8_lossy(&made.stderr));
        let device = LoopDevice::new(&image);
        let mut ground = Ground { kind, device: Some(device), path, mounted: false, dir };
        ground.mount();
        ground
    }

    /// A file system in memory with `bytes` and no device.
    pub(crate) fn memory(bytes: u64) -> Ground {
        own_mounts();
        let kind = Kind { name: "tmpfs", make: &[], mount: "tmpfs", options: "" };
        let dir = tempfile::Builder::new().prefix("aegis-faults-").tempdir().expect("a directory");
        let path = dir.path().to_owned();
        let (source, target, options) = (text("tmpfs"), text(&path), text(format!("size={bytes}")));
        // SAFETY: the strings live until the call returns.
        let result = unsafe {
            libc::mount(source.as_ptr(), target.as_ptr(), source.as_ptr(), 0, options.as_ptr().cast())
        };
        ok(result, "a file system in memory");
        Ground { kind, device: None, path, mounted: true, dir }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn mount(&mut self) {
        let device = self.device.as_ref().expect("a device");
        let (source, target) = (text(&device.path), text(&self.path));
        let (mount, options) = (text(self.kind.mount), text(self.kind.options));
        // SAFETY: the strings live until the call returns.
        let result = unsafe {
            libc::mount(source.as_ptr(), target.as_ptr(), mount.as_ptr(), 0, options.as_ptr().cast())
        };
        ok(result, self.kind.name);
        self.mounted = true;
    }

    /// Mounts it for reading only, or for writing again, under whoever has it open.
    pub(crate) fn read_only(&self, yes: bool) -> io::Result<()> {
        let target = text(&self.path);
        let flags = libc::MS_REMOUNT | if yes { libc::MS_RDONLY } else { 0 };
        // SAFETY: the string lives until the call returns; the others may be null when a mount is changed.
        let result = unsafe {
            libc::mount(std::ptr::null(), target.as_ptr(), std::ptr::null(), flags, std::ptr::null())
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The file system meets an error of its own and turns read-only under whoever has files open. ext4 only.
    pub(crate) fn fails_itself(&self) {
        let device = self.device.as_ref().expect("a device");
        let name = device.path.file_name().expect("a name").to_str().expect("a plain name");
        let trigger = format!("/sys/fs/ext4/{name}/trigger_fs_error");
        std::fs::write(&trigger, "a fault on purpose").unwrap_or_else(|e| panic!("{trigger}: {e}"));
    }

    /// Fills the last byte. Removing the file that is returned ends it.
    pub(crate) fn fill(&self) -> PathBuf {
        use std::io::Write;
        let path = self.path.join("ballast");
        let mut file = File::create(&path).expect("a file to fill the disk with");
        let free = rustix::fs::statvfs(&self.path).expect("the free space");
        let bytes = free.f_bavail * free.f_frsize;
        // Some of it is needed for the file system's own books.
        let _ = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes.max(1) * 9 / 10);
        std::io::Seek::seek(&mut file, io::SeekFrom::End(0)).expect("its end");
        for bytes in [1 << 20, 64 << 10, 4096] {
            let zeros = vec![0; bytes];
            while file.write_all(&zeros).is_ok() {}
        }
        let _ = file.sync_all();
        path
    }

    /// The power fails: from here on nothing reaches the device any more, and what its log holds in memory is lost.
    pub(crate) fn cut(&self) {
        const SHUTDOWN: libc::c_ulong = 0x8004_587D;
        let no_log_flush: u32 = 2;
        let root = File::open(&self.path).expect("the mounted root");
        // SAFETY: the request reads one number, which lives until the call returns.
        let result = unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN, &raw const no_log_flush) };
        ok(result, "a power cut");
    }

    fn unmount(&mut self) {
        let target = text(&self.path);
        let asked = Instant::now();
        loop {
            // SAFETY: the string lives until the call returns.
            if unsafe { libc::umount2(target.as_ptr(), 0) } == 0 {
                break;
            }
            let error = io::Error::last_os_error();
            let busy = error.raw_os_error() == Some(libc::EBUSY);
            assert!(busy && asked.elapsed() < Duration::from_secs(10), "umount: {error}");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.mounted = false;
    }

    /// The power is back: the file system recovers from its own log.
    pub(crate) fn again(&mut self) {
        self.unmount();
        // The device too: it would keep what only its cache held, which no power cut spares, and ext4 then meets bitmaps
        // of a change that never was.
        self.device = None;
        self.device = Some(LoopDevice::new(&self.dir.path().join("image")));
        self.mount();
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if self.mounted {
            let target = text(&self.path);
            // SAFETY: the string lives until the call returns. Whoever still has a file there keeps it; the name goes.
            let _ = unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
        }
    }
}
