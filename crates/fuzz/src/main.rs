//! `cargo fuzz-all`: runs targets for so long, counts, and keeps what is worth keeping.

mod ledger;

use aegis_fuzz::draw::Draw;
use aegis_fuzz::mutate::mutate;
use aegis_fuzz::{KINDS, Kind, corpus};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const USAGE: &str = "usage:
  cargo fuzz-all --seconds S [--target NAME] [--jobs J] [--seed N] [--least N] [--ledger] [--collect]
                            runs all targets, or one; fails below N executions of all together; with --ledger the run
                            adds its row to fixtures/soak-fuzz.md, with --collect to fixtures/fuzz/ what had a new outcome
  cargo fuzz-all --run NAME INPUT
                            one input, as it is written in fixtures/fuzz/
  cargo fuzz-all --targets  what must hold";

/// Inputs of a thread that it goes on from.
const KEPT: usize = 1 << 12;
/// Executions between two looks at the clock.
const ROUND: u64 = 256;
/// Longest input that is written to the corpus, and how many of a target.
const COLLECTED_BYTES: usize = 600;
const COLLECTED: usize = 40;

struct Wanted {
    seconds: Option<u64>,
    target: Option<String>,
    run: Option<(String, String)>,
    jobs: usize,
    seed: u64,
    least: u64,
    ledger: bool,
    collect: bool,
    targets: bool,
}

fn parse() -> Option<Wanted> {
    let mut wanted = Wanted {
        seconds: None,
        target: None,
        run: None,
        jobs: std::thread::available_parallelism().map_or(1, usize::from),
        seed: 1,
        least: 0,
        ledger: false,
        collect: false,
        targets: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => wanted.seconds = Some(words.next()?.parse().ok()?),
            "--target" => wanted.target = Some(words.next()?),
            "--run" => wanted.run = Some((words.next()?, words.next()?)),
            "--jobs" => wanted.jobs = words.next()?.parse::<usize>().ok()?.max(1),
            "--seed" => wanted.seed = words.next()?.parse().ok()?,
            "--least" => wanted.least = words.next()?.parse().ok()?,
            "--ledger" => wanted.ledger = true,
            "--collect" => wanted.collect = true,
            "--targets" => wanted.targets = true,
            _ => return None,
        }
    }
    Some(wanted)
}

/// What all threads of a target share.
#[derive(Default)]
struct Shared {
    executions: AtomicU64,
    outcomes: Mutex<BTreeSet<u64>>,
    collected: Mutex<Vec<Vec<u8>>>,
    failed: AtomicBool,
}

fn broken(kind: &Kind, shared: &Shared, input: &[u8]) {
    if !shared.failed.swap(true, Ordering::Relaxed) {
        println!("\n{} BROKEN by\n{}", kind.name, corpus::line(input));
    }
}

/// One thread of one target, until its time is over.
fn work(kind: &Kind, shared: &Shared, seed: u64, until: Instant) {
    let mut target = (kind.make)();
    let mut draw = Draw::new(seed);
    let mut kept = target.seeds();
    kept.extend(corpus::read(kind.name));
    kept.iter_mut().for_each(|input| input.truncate(kind.most));
    let mut known = BTreeSet::new();
    for input in &kept {
        match catch_unwind(AssertUnwindSafe(|| target.run(input))) {
            Ok(outcome) => known.insert(outcome),
            Err(_) => return broken(kind, shared, input),
        };
    }
    let mut input = Vec::with_capacity(kind.most);
    while Instant::now() < until && !shared.failed.load(Ordering::Relaxed) {
        for _ in 0..ROUND {
            // What was found last is looked at more closely.
            let at = if draw.one_in(3) {
                kept.len() - 1 - draw.below(kept.len().min(16))
            } else {
                draw.below(kept.len())
            };
            let other = draw.below(kept.len());
            input.clear();
            input.extend_from_slice(&kept[at]);
            mutate(&mut draw, &mut input, kind.most, kind.parts, &kept[other]);
            target.mend(&mut draw, &mut input);
            let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| target.run(&input))) else {
                return broken(kind, shared, &input);
            };
            if known.insert(outcome) {
                if kept.len() < KEPT {
                    kept.push(input.clone());
                } else {
                    kept[other].clone_from(&input);
                }
                let fresh = shared.outcomes.lock().expect("outcomes").insert(outcome);
                if fresh && input.len() <= COLLECTED_BYTES {
                    shared.collected.lock().expect("inputs").push(input.clone());
                }
            }
        }
        shared.executions.fetch_add(ROUND, Ordering::Relaxed);
    }
}

/// Inputs of new outcomes join the corpus: spread over the whole run, short ones first.
fn collect(kind: &Kind, mut inputs: Vec<Vec<u8>>) -> std::io::Result<()> {
    let mut there = corpus::read(kind.name);
    inputs.sort_by_key(Vec::len);
    let room = COLLECTED.saturating_sub(there.len());
    let step = (inputs.len() / room.max(1)).max(1);
    there.extend(inputs.into_iter().step_by(step).take(room));
    let mut text = format!("# {}: {}\n", kind.name, kind.words);
    there.iter().for_each(|input| text.extend([corpus::line(input), "\n".to_owned()]));
    std::fs::write(corpus::path(kind.name), text)
}

/// One target; its count, unless a promise was broken.
fn fuzz(kind: &Kind, seconds: f64, wanted: &Wanted) -> Option<u64> {
    let shared = Shared::default();
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(seconds);
    std::thread::scope(|scope| {
        for job in 0..wanted.jobs {
            let seed = wanted.seed.wrapping_mul(1_000_003) ^ (job as u64) << 32 ^ kind.name.len() as u64;
            let shared = &shared;
            scope.spawn(move || work(kind, shared, seed, until));
        }
    });
    let executions = shared.executions.load(Ordering::Relaxed);
    let outcomes = shared.outcomes.lock().expect("outcomes").len();
    let took = began.elapsed().as_secs_f64();
    println!(
        "{:<11} {executions:>12} executions {:>9.0} a second {outcomes:>7} new outcomes",
        kind.name,
        executions as f64 / took
    );
    let _ = std::io::stdout().flush();
    if wanted.collect
        && let Err(error) = collect(kind, shared.collected.into_inner().expect("inputs"))
    {
        println!("{}: {error}", corpus::path(kind.name).display());
    }
    (!shared.failed.into_inner()).then_some(executions)
}

fn main() -> ExitCode {
    let Some(wanted) = parse() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if wanted.targets {
        KINDS.iter().for_each(|kind| println!("{:<11} {}", kind.name, kind.words));
        return ExitCode::SUCCESS;
    }
    if let Some((name, line)) = &wanted.run {
        let found = KINDS.iter().find(|kind| kind.name == name).zip(corpus::input(line));
        let Some((kind, input)) = found else {
            eprintln!("no such target or no such input\n{USAGE}");
            return ExitCode::from(2);
        };
        println!("outcome {:x}: what must hold held", (kind.make)().run(&input));
        return ExitCode::SUCCESS;
    }
    let picked: Vec<&Kind> =
        KINDS.iter().filter(|kind| wanted.target.as_ref().is_none_or(|name| name == kind.name)).collect();
    let (Some(seconds), false) = (wanted.seconds, picked.is_empty()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    std::panic::set_hook(Box::new(|panic| println!("\n{panic}")));
    let shares: u64 = picked.iter().map(|kind| kind.share).sum();
    let mut counts = Vec::new();
    for kind in &picked {
        let share = seconds as f64 * kind.share as f64 / shares as f64;
        counts.push((kind.name, fuzz(kind, share, &wanted)));
    }
    let all: u64 = counts.iter().filter_map(|(_, count)| *count).sum();
    let broken: Vec<&str> =
        counts.iter().filter(|(_, count)| count.is_none()).map(|(name, _)| *name).collect();
    println!(
        "{all} executions of {} targets in {seconds} s by {} threads; broken: {broken:?}",
        picked.len(),
        wanted.jobs
    );
    if wanted.ledger {
        match ledger::add(&counts, seconds) {
            Ok(words) => println!("{words}"),
            Err(error) => println!("fixtures/soak-fuzz.md: {error}"),
        }
    }
    if all < wanted.least {
        println!("fewer than {}", wanted.least);
    }
    if broken.is_empty() && all >= wanted.least { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
