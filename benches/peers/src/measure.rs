//! The measurements, interleaved: in each repetition every stage visits every peer, so that a slow minute of the
//! machine hits all of them.
//!
//! ```text
//! append     records one a unit, no sync ──► sync, close ──► bytes on disk ──► reopen, read, compare
//! durable    one record a unit, each synced, each timed
//! groups     64 or 1024 records a unit, each synced
//! ```
//!
//! Each session begins with a fifth more units that are not timed, then rests until the disk has everything: what a
//! peer prepares behind its opening (aegis fills its next segment with zeros) is done when the clock starts, for
//! everybody. So what is timed is the steady state; at the default size nobody changes to another file within it, and
//! what that costs is not seen here. SQLite takes its write-ahead log into the database every 1000 pages, as it always
//! does. `--rest 0` shows what the preparations cost instead.

use crate::log::{Done, Log, Peer, Place, Sync};
use crate::workload::Workload;
use aegis_journal::NewRecord;
use nix::sys::resource::{UsageWho, getrusage};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

/// One timed stretch takes no longer; what was done until then is what counts.
const STRETCH_MAX: Duration = Duration::from_secs(20);
/// How often a stretch without syncs looks at the clock, in units.
const LOOK_EVERY: usize = 1024;
/// Units of a peer that cannot append without syncs, for its replay and its bytes.
const GROUP_FOR_REPLAY: usize = 64;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Records of the append and the replay.
    pub(crate) records: usize,
    /// Durable appends of one record.
    pub(crate) singles: usize,
    /// Durable groups of each size.
    pub(crate) groups: usize,
    /// How often everything is done.
    pub(crate) repetitions: usize,
    /// The rest before each timed stretch, beside waiting for the disk; none at all when it is zero.
    pub(crate) rest: Duration,
}

impl Sizes {
    /// For the table of the README.
    pub(crate) const FULL: Sizes = Sizes {
        records: 300_000,
        singles: 3_000,
        groups: 400,
        repetitions: 5,
        rest: Duration::from_millis(300),
    };
    /// For trying.
    pub(crate) const QUICK: Sizes =
        Sizes { records: 20_000, singles: 200, groups: 20, repetitions: 1, rest: Duration::from_millis(100) };

    /// Records that the longest session needs.
    pub(crate) fn records_max(&self) -> usize {
        [1, 64, 1024]
            .map(|group| with_warm_up(self.groups) * group)
            .into_iter()
            .chain([with_warm_up(self.records), with_warm_up(self.singles)])
            .max()
            .expect("not empty")
    }
}

fn with_warm_up(units: usize) -> usize {
    units + units / 5
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    Append,
    AppendCpu,
    Durable,
    P50,
    P99,
    P999,
    Group64,
    Group1024,
    Replay,
    Bytes,
}

impl Metric {
    pub(crate) const ALL: [Metric; 10] = [
        Metric::Append,
        Metric::AppendCpu,
        Metric::Durable,
        Metric::P50,
        Metric::P99,
        Metric::P999,
        Metric::Group64,
        Metric::Group1024,
        Metric::Replay,
        Metric::Bytes,
    ];
}

/// Everything measured of one peer: one sample a repetition.
pub(crate) struct Figures {
    samples: Vec<(Metric, f64)>,
}

/// Median, least and largest of the samples of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) n: usize,
}

impl Figures {
    fn add(&mut self, metric: Metric, value: f64) {
        self.samples.push((metric, value));
    }

    /// The spread of a metric; none when the peer cannot do that.
    pub(crate) fn spread(&self, metric: Metric) -> Option<Spread> {
        let mut all: Vec<f64> = self.samples.iter().filter(|(m, _)| *m == metric).map(|(_, v)| *v).collect();
        all.sort_unstable_by(f64::total_cmp);
        Some(Spread {
            median: *all.get(all.len() / 2)?,
            least: *all.first()?,
            most: *all.last()?,
            n: all.len(),
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    AppendAndReplay,
    Durable,
    Groups(usize, Metric),
}

/// Measures all peers. `root` is a directory on the disk that is meant.
pub(crate) fn run(peers: &[Box<dyn Peer>], sizes: Sizes, root: &Path) -> Done<Vec<Figures>> {
    let workload = Workload::of(sizes.records_max());
    let mut figures: Vec<Figures> = peers.iter().map(|_| Figures { samples: Vec::new() }).collect();
    let stages = [
        Stage::AppendAndReplay,
        Stage::Durable,
        Stage::Groups(64, Metric::Group64),
        Stage::Groups(1024, Metric::Group1024),
    ];
    for repetition in 1..=sizes.repetitions {
        for stage in stages {
            eprintln!("repetition {repetition} of {}: {stage:?}", sizes.repetitions);
            for (peer, figures) in peers.iter().zip(&mut figures) {
                let dir = tempfile::tempdir_in(root)?;
                rustix::fs::syncfs(File::open(root)?)?;
                visit(peer.as_ref(), stage, sizes, &workload, dir.path(), figures)
                    .map_err(|e| format!("{}, {stage:?}: {e}", peer.facts().name))?;
                dir.close()?;
            }
        }
    }
    Ok(figures)
}

fn visit(
    peer: &dyn Peer,
    stage: Stage,
    sizes: Sizes,
    workload: &Workload,
    dir: &Path,
    figures: &mut Figures,
) -> Done {
    match stage {
        Stage::AppendAndReplay => append_and_replay(peer, sizes, workload, dir, figures),
        Stage::Durable => {
            let mut took = Vec::with_capacity(sizes.singles);
            let each = |took_one| took.push(took_one);
            let stretch = durable(peer, 1, sizes.singles, sizes.rest, workload, dir, each)?;
            figures.add(Metric::Durable, stretch.records_per_second());
            took.sort_unstable();
            for (metric, permille) in [(Metric::P50, 500), (Metric::P99, 990), (Metric::P999, 999)] {
                figures.add(metric, took[(took.len() - 1) * permille / 1000].as_nanos() as f64 / 1000.0);
            }
            Ok(())
        }
        Stage::Groups(group, metric) => {
            let stretch = durable(peer, group, sizes.groups, sizes.rest, workload, dir, |_| ())?;
            figures.add(metric, stretch.records_per_second());
            Ok(())
        }
    }
}

/// A timed stretch of appends.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    records: usize,
    wall: Duration,
    cpu: Duration,
}

impl Stretch {
    fn records_per_second(&self) -> f64 {
        self.records as f64 / self.wall.as_secs_f64()
    }
}

/// CPU time of all threads of this process, the kernel's included.
fn cpu_time() -> Done<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let both = usage.user_time() + usage.system_time();
    Ok(Duration::new(both.tv_sec() as u64, both.tv_usec() as u32 * 1000))
}

/// Appends units until they or the time end.
fn stretch(
    log: &mut dyn Log,
    records: &[NewRecord<'_>],
    group: usize,
    look_every: usize,
    mut each: impl FnMut(Duration),
) -> Done<Stretch> {
    let (start, cpu) = (Instant::now(), cpu_time()?);
    let (mut done, mut last) = (0, start);
    for (n, unit) in records.chunks(group).enumerate() {
        log.append(unit)?;
        done += unit.len();
        if (n + 1) % look_every == 0 {
            let now = Instant::now();
            each(now - last);
            last = now;
            if now - start > STRETCH_MAX {
                break;
            }
        }
    }
    Ok(Stretch { records: done, wall: start.elapsed(), cpu: cpu_time()? - cpu })
}

/// Lets everything that was begun before the clock starts end.
fn settle(rest: Duration, dir: &Path) -> Done {
    if !rest.is_zero() {
        std::thread::sleep(rest);
        rustix::fs::syncfs(File::open(dir)?)?;
    }
    Ok(())
}

/// A session of durable units.
fn durable(
    peer: &dyn Peer,
    group: usize,
    units: usize,
    rest: Duration,
    workload: &Workload,
    dir: &Path,
    mut each: impl FnMut(Duration),
) -> Done<Stretch> {
    let records = &workload.records()[..with_warm_up(units) * group];
    let (warm_up, timed) = records.split_at(records.len() - units * group);
    let place =
        Place { dir, payload_bytes: workload.payload_bytes(records.len()), records: records.len() as u64 };
    let mut measured = None;
    peer.write(&place, Sync::Each, &mut |log| {
        stretch(log, warm_up, group, 1, |_| ())?;
        settle(rest, dir)?;
        measured = Some(stretch(log, timed, group, 1, &mut each)?);
        Ok(())
    })?;
    Ok(measured.ok_or("the peer did no work")?)
}

fn append_and_replay(
    peer: &dyn Peer,
    sizes: Sizes,
    workload: &Workload,
    dir: &Path,
    figures: &mut Figures,
) -> Done {
    let records = &workload.records()[..with_warm_up(sizes.records)];
    let (warm_up, timed) = records.split_at(records.len() - sizes.records);
    let place =
        Place { dir, payload_bytes: workload.payload_bytes(records.len()), records: records.len() as u64 };
    let can_defer = peer.facts().can_defer;
    let (sync, group) = if can_defer { (Sync::Later, 1) } else { (Sync::Each, GROUP_FOR_REPLAY) };
    let mut written = 0;
    peer.write(&place, sync, &mut |log| {
        written += stretch(log, warm_up, group, LOOK_EVERY, |_| ())?.records;
        if written < warm_up.len() {
            return Err("the warm-up alone takes too long".into());
        }
        settle(sizes.rest, dir)?;
        let stretch = stretch(log, timed, group, LOOK_EVERY, |_| ())?;
        written += stretch.records;
        if can_defer {
            figures.add(Metric::Append, stretch.records_per_second());
            figures.add(Metric::AppendCpu, stretch.cpu.as_nanos() as f64 / stretch.records as f64);
        }
        Ok(())
    })?;
    figures.add(Metric::Bytes, used_bytes(dir)? as f64 / written as f64);
    let check = workload.check(written);
    let start = Instant::now();
    let check = peer.replay(dir, check)?;
    let took = start.elapsed();
    figures.add(Metric::Replay, check.finish()? as f64 / took.as_secs_f64());
    Ok(())
}

/// Bytes of all files up to the last one that is not zero, in pages: room that was only prepared is not counted, for
/// nobody.
fn used_bytes(dir: &Path) -> Done<u64> {
    const PAGE_BYTES: usize = 4096;
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            bytes += used_bytes(&entry.path())?;
            continue;
        }
        let mut file = File::open(entry.path())?;
        let mut page = [0; PAGE_BYTES];
        let (mut read, mut used) = (0, 0);
        loop {
            let n = file.read(&mut page)?;
            if n == 0 {
                break;
            }
            read += n as u64;
            if page[..n].iter().any(|byte| *byte != 0) {
                used = read;
            }
        }
        bytes += used;
    }
    Ok(bytes)
}
