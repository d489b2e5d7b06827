//! Other logs and stores beside aegis: the same payloads, one machine, one run, one table.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml              the table
//!     -- --quick                                                            a small size, for trying
//!     -- --only redb,aegis                                                  some peers
//!     -- --markdown                                                         the README's table too
//!     -- --rot                                                              damaged logs opened again, a table
//! AEGIS_ROT_TRIALS=N                                                        trials of each damage (default 10)
//! AEGIS_BENCH_JSON=FILE                                                     JSON lines, appended to the file
//! ```
//!
//! Everybody gets payloads that are encoded already. What each peer is told, and what is switched on or off, is said
//! in its file. Every log lies in a temporary directory and is removed. It never measures a peer without its checks
//! when it has some, and never more than the sizes say: the full run takes about eight minutes.

mod log;
mod measure;
mod peers;
mod rot;
mod table;
#[cfg(test)]
mod tests;
mod workload;

use crate::log::{Done, Peer};
use crate::measure::Sizes;
use crate::table::Row;
use crate::workload::Workload;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
--quick             a small size, for trying
--only A,B          only these peers
--markdown          the README's table too
--rot               rot and torn tails instead: logs are damaged and opened again; AEGIS_ROT_TRIALS sets how often
--records N         records of append and replay
--singles N         durable appends of one record
--groups N          durable groups of 64 and of 1024
--repetitions N     how often everything is done
--rest MS           the pause before the clock starts (default 300); 0: what was begun before may go on
--dir PATH          where the logs are made for a while (default: the system's temporary directory)
";

/// Magic number of a file system in memory.
const TMPFS: u64 = 0x0102_1994;

struct Wish {
    sizes: Sizes,
    peers: Vec<Box<dyn Peer>>,
    markdown: bool,
    rot: bool,
    dir: PathBuf,
}

fn wish(mut args: impl Iterator<Item = String>) -> Done<Wish> {
    let mut wish = Wish {
        sizes: Sizes::FULL,
        peers: peers::all(),
        markdown: false,
        rot: false,
        dir: std::env::temp_dir(),
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value\n{USAGE}"));
        let count =
            |value: String| value.parse().ok().filter(|n| *n > 0).ok_or(format!("{value} is no count"));
        match arg.as_str() {
            "--quick" => wish.sizes = Sizes::QUICK,
            "--markdown" => wish.markdown = true,
            "--rot" => wish.rot = true,
            "--records" => wish.sizes.records = count(value()?)?,
            "--singles" => wish.sizes.singles = count(value()?)?,
            "--groups" => wish.sizes.groups = count(value()?)?,
            "--repetitions" => wish.sizes.repetitions = count(value()?)?,
            "--rest" => {
                let ms = value()?.parse().map_err(|_| "--rest needs milliseconds")?;
                wish.sizes.rest = std::time::Duration::from_millis(ms);
            }
            "--dir" => wish.dir = value()?.into(),
            "--only" => {
                let names = value()?;
                for name in names.split(',') {
                    if !wish.peers.iter().any(|peer| peer.facts().name == name) {
                        let all: Vec<&str> = wish.peers.iter().map(|peer| peer.facts().name).collect();
                        return Err(format!("no peer is called {name}; there are {}", all.join(", ")).into());
                    }
                }
                wish.peers.retain(|peer| names.split(',').any(|name| name == peer.facts().name));
            }
            _ => return Err(format!("what is {arg}?\n{USAGE}").into()),
        }
    }
    Ok(wish)
}

/// A sync of a file system in memory costs nothing and means nothing.
fn refuse_memory(dir: &Path) -> Done {
    if rustix::fs::statfs(dir)?.f_type as u64 == TMPFS {
        return Err(format!("{} is in memory: name a directory on a disk with --dir", dir.display()).into());
    }
    Ok(())
}

fn run() -> Done {
    let wish = wish(std::env::args().skip(1))?;
    if wish.rot {
        let root = tempfile::tempdir_in(&wish.dir)?;
        let trials = rot::trials()?;
        let rows = rot::run(&peers::openers(), trials, root.path(), true)?;
        print!("{}", rot::markdown(&rows, trials));
        return Ok(root.close()?);
    }
    refuse_memory(&wish.dir)?;
    let root = tempfile::tempdir_in(&wish.dir)?;
    let figures = measure::run(&wish.peers, wish.sizes, root.path())?;
    root.close()?;
    let rows: Vec<Row> =
        wish.peers.iter().zip(figures).map(|(peer, figures)| Row { facts: peer.facts(), figures }).collect();
    let records = wish.sizes.records;
    let payload_bytes = Workload::of(records).payload_bytes(records) as f64 / records as f64;
    print!("{}", table::text(&rows, wish.sizes, payload_bytes));
    if wish.markdown {
        print!("\n{}", table::markdown(&rows));
    }
    if let Some(path) = std::env::var_os("AEGIS_BENCH_JSON") {
        File::options().create(true).append(true).open(path)?.write_all(table::json(&rows).as_bytes())?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some(rot::TRIAL) {
        return rot::trial(args).map_or(ExitCode::FAILURE, ExitCode::from);
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
