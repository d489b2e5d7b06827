//! Rot and torn tails: what each peer makes of records that it acknowledged and that were damaged afterwards.
//!
//! ```text
//! write, each record synced ──► image before the last record ┐
//!                          └──► image behind it, as a kill leaves it ──► one damage ──► a process opens and reads it
//! close ──────────────────────► image, closed ────────────────────────► one damage ──► the same
//! ```
//!
//! The damage is drawn from the number of the trial: none at all, a bit anywhere in what is written, a sector of zeros, a tail that is
//! cut off, or the last write torn, which was not acknowledged. Judged is what the peer's caller sees: an error names
//! damage; records that are missing, or others in their place, without an error do not. Each trial opens its image in a
//! process of its own, so that one that aborts or hangs is counted as that.

use crate::log::{Done, Log, Peer, Place, Sync};
use crate::peers;
use crate::table;
use crate::workload::{Check, Workload};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Records of a log.
const RECORDS: usize = 500;
/// What a disk writes whole.
const SECTOR: usize = 512;
/// Bytes that a cut takes off at most.
const CUT_MAX: u64 = 4096;
/// An opening that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// The word that makes this program the process of one trial.
pub(crate) const TRIAL: &str = "--rot-trial";

/// How the log of a peer is opened and read after a damage.
pub(crate) struct Opener {
    /// Behind the peer's name, when it can be opened in several ways.
    pub(crate) how: &'static str,
    /// Who wrote it.
    pub(crate) peer: Box<dyn Peer>,
    /// Opens it as a restart does and shows every record.
    pub(crate) restart: fn(&dyn Peer, &Path, Check) -> Done<Check>,
}

/// What is done to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    None,
    Bit,
    Sector,
    Cut,
    Torn,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// All records, or an error that says what is wrong.
    Right,
    /// Acknowledged records are missing, and nothing was said.
    Short,
    /// Others came back in their place.
    Wrong,
    /// An error although nothing that was acknowledged is damaged.
    Refused,
    /// A panic, an abort, or no end at all.
    Crash,
}

const ENDS: [End; 5] = [End::Right, End::Short, End::Wrong, End::Refused, End::Crash];
const DAMAGES: [Damage; 5] = [Damage::None, Damage::Bit, Damage::Sector, Damage::Cut, Damage::Torn];

/// A file up to its last byte that is not zero, and its whole length.
#[derive(Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    len: u64,
}

type Image = BTreeMap<PathBuf, Content>;

/// Splitmix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }
}

/// All files below a directory. SQLite's index of its log is left out: it is memory that happens to have a name.
fn image(root: &Path) -> Done<Image> {
    let mut found = Image::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if !path.to_string_lossy().ends_with("-shm") {
                let mut bytes = fs::read(&path)?;
                let len = bytes.len() as u64;
                bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
                found.insert(path.strip_prefix(root)?.to_path_buf(), Content { bytes, len });
            }
        }
    }
    Ok(found)
}

fn lay(image: &Image, root: &Path) -> Done {
    if root.exists() {
        fs::remove_dir_all(root)?;
    }
    fs::create_dir_all(root)?;
    for (name, content) in image {
        let path = root.join(name);
        fs::create_dir_all(path.parent().ok_or("a file lies in a directory")?)?;
        fs::write(&path, &content.bytes)?;
        fs::File::options().write(true).open(&path)?.set_len(content.len)?;
    }
    Ok(())
}

/// The file and the place in it of a byte among all that are written.
fn anywhere(image: &Image, draw: &mut Draw) -> Option<(PathBuf, usize)> {
    let mut at = draw.below(image.values().map(|content| content.bytes.len() as u64).sum()) as usize;
    for (name, content) in image {
        if at < content.bytes.len() {
            return Some((name.clone(), at));
        }
        at -= content.bytes.len();
    }
    None
}

/// The last write got to the disk up to some byte.
fn torn(before: &Image, behind: &Image, draw: &mut Draw) -> Image {
    let byte = |image: &Image, name: &Path, at: usize| {
        image.get(name).and_then(|content| content.bytes.get(at)).copied().unwrap_or(0)
    };
    let mut changed = Vec::new();
    for (name, content) in behind {
        let was = before.get(name).map_or(0, |content| content.bytes.len());
        let differs = |at: &usize| byte(before, name, *at) != byte(behind, name, *at);
        changed.extend((0..content.bytes.len().max(was)).filter(differs).map(|at| (name, at)));
    }
    let mut image = before.clone();
    for (name, at) in &changed[..draw.below(changed.len() as u64 + 1) as usize] {
        let content = image.entry((*name).clone()).or_default();
        if content.bytes.len() <= *at {
            content.bytes.resize(at + 1, 0);
        }
        content.bytes[*at] = byte(behind, name, *at);
        content.len = content.len.max(*at as u64 + 1);
    }
    image
}

fn damaged(damage: Damage, before: &Image, behind: &Image, draw: &mut Draw) -> Image {
    let mut image = behind.clone();
    match damage {
        Damage::None => {}
        Damage::Bit => {
            if let Some((name, at)) = anywhere(&image, draw)
                && let Some(content) = image.get_mut(&name)
            {
                content.bytes[at] ^= 1 << draw.below(8);
            }
        }
        Damage::Sector => {
            // A place whose sector is not of zeros already.
            for _ in 0..100 {
                let Some((name, at)) = anywhere(&image, draw) else { break };
                let Some(content) = image.get_mut(&name) else { break };
                let end = (at / SECTOR * SECTOR + SECTOR).min(content.bytes.len());
                let sector = &mut content.bytes[at / SECTOR * SECTOR..end];
                if sector.iter().any(|byte| *byte != 0) {
                    sector.fill(0);
                    break;
                }
            }
        }
        Damage::Cut => {
            if let Some(content) = image.values_mut().max_by_key(|content| content.bytes.len()) {
                let used = content.bytes.len() as u64;
                let left = used - (1 + draw.below(CUT_MAX.min(used)));
                content.bytes.truncate(left as usize);
                content.len = left;
            }
        }
        Damage::Torn => image = torn(before, behind, draw),
    }
    image
}

/// What opening and reading an image comes to, in this process.
pub(crate) fn judge(opener: &Opener, dir: &Path, damage: Damage) -> End {
    let check = Workload::of(RECORDS).check(RECORDS);
    let read = catch_unwind(AssertUnwindSafe(|| (opener.restart)(opener.peer.as_ref(), dir, check)));
    let acknowledged = if damage == Damage::Torn { RECORDS - 1 } else { RECORDS };
    match read {
        Err(_) => End::Crash,
        Ok(Err(_)) if matches!(damage, Damage::None | Damage::Torn) => End::Refused,
        Ok(Err(_)) => End::Right,
        Ok(Ok(check)) => match check.seen() {
            None => End::Wrong,
            Some(count) if count < acknowledged => End::Short,
            Some(_) => End::Right,
        },
    }
}

/// The process of one trial: the opener's number, the damage's, the directory. Its exit code is the end.
pub(crate) fn trial(mut args: impl Iterator<Item = String>) -> Option<u8> {
    let opener = peers::openers().into_iter().nth(args.next()?.parse().ok()?)?;
    let damage = *DAMAGES.get(args.next()?.parse::<usize>().ok()?)?;
    std::panic::set_hook(Box::new(|_| {}));
    let end = judge(&opener, Path::new(&args.next()?), damage);
    ENDS.iter().position(|known| *known == end).and_then(|at| u8::try_from(10 + at).ok())
}

fn apart(opener: usize, damage: usize, dir: &Path) -> Done<End> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([TRIAL, &opener.to_string(), &damage.to_string()])
        .arg(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            let end = status.code().and_then(|code| usize::try_from(code - 10).ok());
            return Ok(end.and_then(|at| ENDS.get(at)).copied().unwrap_or(End::Crash));
        }
        if began.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(End::Crash);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Three images of one log: before the last record, behind it, closed.
fn images(peer: &dyn Peer, dir: &Path) -> Done<[Image; 3]> {
    let workload = Workload::of(RECORDS);
    let records = workload.records();
    let place = Place { dir, payload_bytes: workload.payload_bytes(RECORDS), records: RECORDS as u64 };
    let mut taken = Vec::new();
    let mut work = |log: &mut dyn Log| {
        for (at, unit) in records.chunks(1).enumerate() {
            if at == RECORDS - 1 {
                taken.push(image(dir)?);
            }
            log.append(unit)?;
        }
        taken.push(image(dir)?);
        Ok(())
    };
    peer.write(&place, Sync::Each, &mut work)?;
    taken.push(image(dir)?);
    taken.try_into().map_err(|_| "the log was written in another way".into())
}

/// How the trials of one cell ended.
type Cell = BTreeMap<End, usize>;

/// One opener's rows: of an image that a kill left, and of one that was closed.
pub(crate) struct Rows {
    title: String,
    cells: [Vec<Cell>; 2],
}

/// Runs so many trials of each damage for each opener, in a directory that is made and removed.
pub(crate) fn run(openers: &[Opener], trials: u64, root: &Path, apart_from_us: bool) -> Done<Vec<Rows>> {
    let mut rows = Vec::new();
    for (number, opener) in openers.iter().enumerate() {
        let (log, dir) = (root.join("log"), root.join("trial"));
        fs::create_dir_all(&log)?;
        let [before, behind, closed] = images(opener.peer.as_ref(), &log)?;
        fs::remove_dir_all(&log)?;
        let mut cells = [Vec::new(), Vec::new()];
        for (state, whole) in [&behind, &closed].into_iter().enumerate() {
            for (at, damage) in DAMAGES.iter().enumerate() {
                let mut cell = Cell::new();
                // What is closed has no last write that could be torn.
                let trials = match damage {
                    Damage::None => 1,
                    Damage::Torn if state == 1 => 0,
                    Damage::Bit | Damage::Sector | Damage::Cut | Damage::Torn => trials,
                };
                for trial in 0..trials {
                    let mut draw =
                        Draw((number as u64) << 48 | (state as u64) << 40 | (at as u64) << 32 | trial);
                    lay(&damaged(*damage, &before, whole, &mut draw), &dir)?;
                    let end =
                        if apart_from_us { apart(number, at, &dir)? } else { judge(opener, &dir, *damage) };
                    *cell.entry(end).or_default() += 1;
                }
                cells[state].push(cell);
            }
        }
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        rows.push(Rows { title: format!("{}{}", table::name(&opener.peer.facts()), opener.how), cells });
    }
    Ok(rows)
}

fn words(cell: &Cell) -> String {
    let say = |(end, count): (&End, &usize)| {
        let word = match end {
            End::Right => "right",
            End::Short => "**short**",
            End::Wrong => "**wrong**",
            End::Refused => "**refused**",
            End::Crash => "**crash**",
        };
        format!("{count} {word}")
    };
    if cell.is_empty() { "-".to_owned() } else { cell.iter().map(say).collect::<Vec<_>>().join(", ") }
}

/// The table, as the README has it.
pub(crate) fn markdown(rows: &[Rows], trials: u64) -> String {
    let mut text = format!(
        "{trials} trials a cell, {RECORDS} records, each acknowledged by itself\n\n\
         | log, and how it was left | undamaged | one bit turned | a sector of zeros | tail cut off | last write torn |\n\
         |---|---|---|---|---|---|\n"
    );
    for row in rows {
        for (state, cells) in ["killed", "closed"].iter().zip(&row.cells) {
            let cells: Vec<String> = cells.iter().map(words).collect();
            let _ = writeln!(text, "| {}, {state} | {} |", row.title, cells.join(" | "));
        }
    }
    text
}

/// How many trials a cell has: `AEGIS_ROT_TRIALS`, or few.
pub(crate) fn trials() -> Done<u64> {
    match std::env::var("AEGIS_ROT_TRIALS") {
        Ok(text) => Ok(text.parse().map_err(|_| "AEGIS_ROT_TRIALS needs a count")?),
        Err(_) => Ok(10),
    }
}

#[cfg(test)]
mod tests;
