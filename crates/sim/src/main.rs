//! `cargo sim`: runs seeds, replays lines, shrinks what fails.

mod ledger;

use aegis_sim::{Line, Options, RULES, Stats, run_safely, shrink};
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

// A run is one short life of many small values; the C library's allocator takes a seventh of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage:
  cargo sim --seed N                       one seed, twice, with its outcome
  cargo sim --seeds FROM..TO               these seeds
  cargo sim --hashes FROM..TO              these seeds, each with the hash over everything that happened: equal for
                                           every build
  cargo sim --hours H --jobs J [--from N]  seeds until so many hours were simulated
  cargo sim --seconds S --jobs J [--from N]
                                           with --minutes M faults last no longer than that;
                                           with --everywhere N only the first N steps are run, with a crash at every
                                           operation of the disk in each and at every one of each recovery;
                                           with --ledger the run adds its row to fixtures/soak.md
  cargo sim --replay LINE                  one run with its story (seed:classes:minutes:acts)
  cargo sim --shrink LINE                  a smaller run that breaks the same rule
  cargo sim --canary                       a planted fault that must be found
  cargo sim --mutants [--rounds R] [--mutant N] [--from N] [--jobs J]
                                           broken variants of the product, each of which must be found, R times
  cargo sim --rules                        what is checked";

#[derive(Default)]
struct Wanted {
    seed: Option<u64>,
    seeds: Option<(u64, u64)>,
    hashes: Option<(u64, u64)>,
    hours: Option<u64>,
    seconds: Option<u64>,
    jobs: usize,
    from: u64,
    minutes: Option<u64>,
    replay: Option<Line>,
    shrink: Option<Line>,
    canary: bool,
    mutants: bool,
    mutant: Option<u64>,
    rounds: u64,
    rules: bool,
    everywhere: u64,
    ledger: bool,
}

fn parse() -> Result<Wanted, String> {
    let mut wanted = Wanted { jobs: 1, from: 1, rounds: 1, ..Wanted::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value\n{USAGE}"));
        match word.as_str() {
            "--seed" => wanted.seed = Some(number(value()?)?),
            "--seeds" => wanted.seeds = Some(range(&value()?)?),
            "--hashes" => wanted.hashes = Some(range(&value()?)?),
            "--hours" => wanted.hours = Some(number(value()?)?),
            "--seconds" => wanted.seconds = Some(number(value()?)?),
            "--jobs" => wanted.jobs = usize::try_from(number(value()?)?).unwrap_or(1).max(1),
            "--minutes" => wanted.minutes = Some(number(value()?)?),
            "--from" => wanted.from = number(value()?)?,
            "--replay" => wanted.replay = Some(line(&value()?)?),
            "--shrink" => wanted.shrink = Some(line(&value()?)?),
            "--canary" => wanted.canary = true,
            "--mutants" => wanted.mutants = true,
            "--mutant" => {
                wanted.mutants = true;
                wanted.mutant = Some(number(value()?)?);
            }
            "--rounds" => wanted.rounds = number(value()?)?.max(1),
            "--rules" => wanted.rules = true,
            "--everywhere" => wanted.everywhere = number(value()?)?,
            "--ledger" => wanted.ledger = true,
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(wanted)
}

fn number(text: String) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let (from, to) = text.split_once("..").ok_or_else(|| format!("{text:?} is not FROM..TO"))?;
    Ok((number(from.to_owned())?, number(to.to_owned())?))
}

fn line(text: &str) -> Result<Line, String> {
    match text.parse::<u64>() {
        Ok(seed) => Ok(Line::of(seed)),
        Err(_) => text.parse(),
    }
}

/// One line, told; whether every rule held.
fn tell(line: &Line, options: Options) -> bool {
    let classes: Vec<&str> = line.mask.classes().map(aegis_sim::Class::word).collect();
    println!("{line}\nfaults: {}", classes.join(", "));
    let outcome = run_safely(line, options);
    if !options.tell {
        outcome.story.iter().for_each(|text| println!("{text}"));
    }
    report(&outcome.stats, Duration::ZERO);
    println!("trace {:016x}", outcome.hash);
    match outcome.violation {
        None => {
            println!("every rule held");
            true
        }
        Some(violation) => {
            println!("BROKEN {}: {}", violation.rule, violation.words);
            false
        }
    }
}

/// Seeds with their hashes; whether every rule held.
fn hashes((from, to): (u64, u64)) -> bool {
    let broken = (from..to).filter(|seed| {
        let outcome = run_safely(&Line::of(*seed), Options::default());
        println!("{seed} {:016x}", outcome.hash);
        outcome.violation.is_some()
    });
    broken.count() == 0
}

fn report(stats: &Stats, took: Duration) {
    let hours = stats.simulated_ns / 3_600_000_000_000;
    println!(
        "{hours} h simulated, {} events, {} starts, {} crash points, {} orders, {} trades, {} records, {} turned bits, {} torn ends, {} holes{}",
        stats.events,
        stats.starts,
        stats.crash_points,
        stats.orders,
        stats.trades,
        stats.records,
        stats.rotted,
        stats.torn,
        stats.holes,
        if took.is_zero() { String::new() } else { format!(", {:.1} s", took.as_secs_f64()) }
    );
}

/// What all jobs share.
#[derive(Default)]
struct Soak {
    next: AtomicU64,
    done: AtomicU64,
    stop: AtomicBool,
    stats: Mutex<Stats>,
    failed: Mutex<Vec<(u64, String)>>,
}

fn soak(wanted: &Wanted) -> bool {
    let began = Instant::now();
    let shared = Arc::new(Soak::default());
    shared.next.store(wanted.seeds.map_or(wanted.from, |(from, _)| from), Ordering::Relaxed);
    let last = wanted.seeds.map(|(_, to)| to);
    let options = Options { everywhere: wanted.everywhere, ..Options::default() };
    let most = wanted.minutes.and_then(|minutes| u32::try_from(minutes).ok()).unwrap_or(u32::MAX);
    // A panic is reported with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let jobs: Vec<_> = (0..wanted.jobs)
        .map(|_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                while !shared.stop.load(Ordering::Relaxed) {
                    let seed = shared.next.fetch_add(1, Ordering::Relaxed);
                    if last.is_some_and(|last| seed >= last) {
                        return;
                    }
                    let whole = Line::of(seed);
                    let line = Line { minutes: whole.minutes.min(most), ..whole };
                    let outcome = run_safely(&line, options);
                    shared.done.fetch_add(1, Ordering::Relaxed);
                    shared.stats.lock().expect("counts").add(&outcome.stats);
                    if let Some(violation) = outcome.violation {
                        let words = format!("{}: {}", violation.rule, violation.words);
                        println!("\n{line} BROKEN {words}");
                        shared.failed.lock().expect("failures").push((seed, words));
                    }
                }
            })
        })
        .collect();
    let hour = 3_600_000_000_000_i64;
    let commit = if wanted.ledger { ledger::commit() } else { String::new() };
    let shown = std::io::IsTerminal::is_terminal(&std::io::stderr());
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let stats = shared.stats.lock().expect("counts").clone();
        let seeds = shared.done.load(Ordering::Relaxed);
        let failed = shared.failed.lock().expect("failures").len();
        if shown {
            eprint!(
                "\r{seeds} seeds, {} h simulated, {} crash points, {failed} broken, {:.0} s   ",
                stats.simulated_ns / hour,
                stats.crash_points,
                began.elapsed().as_secs_f64()
            );
        }
        let _ = std::io::stderr().flush();
        let hours = wanted.hours.is_some_and(|hours| (stats.simulated_ns / hour).unsigned_abs() >= hours);
        let seconds = wanted.seconds.is_some_and(|seconds| began.elapsed().as_secs() >= seconds);
        if hours || seconds {
            shared.stop.store(true, Ordering::Relaxed);
        }
        if jobs.iter().all(std::thread::JoinHandle::is_finished) {
            break;
        }
    }
    if shown {
        eprintln!();
    }
    let stats = shared.stats.lock().expect("counts").clone();
    report(&stats, began.elapsed());
    let hours = stats.simulated_ns as u64 / hour.unsigned_abs();
    let took = began.elapsed().as_secs().max(1);
    let seeds = shared.done.load(Ordering::Relaxed);
    println!(
        "{seeds} seeds; {} simulated hours and {} crash points an hour of {} jobs",
        hours * 3600 / took,
        stats.crash_points * 3600 / took,
        wanted.jobs
    );
    let failed = shared.failed.lock().expect("failures");
    if wanted.ledger {
        let result = match failed.first() {
            None => "every rule held".to_owned(),
            Some((seed, words)) => format!("{} seeds broke a rule, first {seed}: {words}", failed.len()),
        };
        match ledger::add(&commit, &stats, seeds, took, &result) {
            Ok(words) => println!("{words}"),
            Err(error) => println!("fixtures/soak.md: {error}"),
        }
    }
    failed.is_empty()
}

/// The table of broken variants; whether each was found.
#[cfg(feature = "mutants")]
fn hunt(wanted: &Wanted) -> bool {
    use aegis_sim::mutants::{MUTANTS, SEEDS_MAX, hunt};
    std::panic::set_hook(Box::new(|_| {}));
    println!(
        "{:>2}  {:<42} {:>10}  {:<6} {:>9} {:>7}  noticed as",
        "", "broken", "must", "found", "seeds", "seconds"
    );
    let mut survivors = Vec::new();
    let mut all = 0.0;
    let picked = MUTANTS.iter().filter(|m| wanted.mutant.is_none_or(|n| n == u64::from(m.number)));
    for mutant in picked {
        let began = Instant::now();
        // Rounds begin at seeds far from each other, so that each is a search of its own.
        let rounds = (0..wanted.rounds)
            .map(|round| hunt(mutant, wanted.from + round * 100_000, SEEDS_MAX, wanted.jobs));
        let rounds: Vec<_> = rounds.collect();
        let mean = rounds.iter().map(|round| round.seeds as f64).sum::<f64>() / rounds.len() as f64;
        all += mean;
        let others: u64 = rounds.iter().map(|round| round.others).sum();
        let survived = rounds.iter().any(|round| round.killed.is_none());
        let (rule, words) = match rounds.into_iter().find_map(|round| round.killed) {
            Some((line, rule, words)) => (rule, format!("{line} {words}")),
            None => ("-", String::new()),
        };
        println!(
            "{:>2}  {:<42} {:>10}  {rule:<6} {mean:>9.1} {:>7.1}  {words}{}",
            mutant.number,
            mutant.words,
            mutant.rules.join(" "),
            began.elapsed().as_secs_f64(),
            if others > 0 {
                format!(" ({others} seeds noticed it by other rules before)")
            } else {
                String::new()
            }
        );
        if survived {
            survivors.push(mutant.number);
        }
    }
    let count = if wanted.mutant.is_some() { 1 } else { MUTANTS.len() };
    println!(
        "{} of {count} broken variants found, within {:.1} seeds on average, {} searches each; survivors: {survivors:?}",
        count - survivors.len(),
        all / count as f64,
        wanted.rounds
    );
    survivors.is_empty()
}

#[cfg(not(feature = "mutants"))]
fn hunt(_: &Wanted) -> bool {
    eprintln!(
        "built without broken variants: cargo run -p aegis-sim --release --features mutants --bin sim -- --mutants"
    );
    false
}

fn main() -> ExitCode {
    let wanted = match parse() {
        Ok(wanted) => wanted,
        Err(words) => {
            eprintln!("{words}");
            return ExitCode::from(2);
        }
    };
    let held = if wanted.rules {
        RULES.iter().for_each(|(rule, words)| println!("{rule:>4}  {words}"));
        true
    } else if wanted.mutants {
        hunt(&wanted)
    } else if let Some(line) = &wanted.replay {
        tell(line, Options { canary: wanted.canary, tell: true, everywhere: wanted.everywhere })
    } else if let Some(line) = &wanted.shrink {
        std::panic::set_hook(Box::new(|_| {}));
        let (small, outcome) = shrink(line, Options::default(), 400);
        outcome.story.iter().for_each(|text| println!("{text}"));
        println!("{small}");
        outcome.violation.is_none()
    } else if wanted.canary {
        // It must be found: success is a broken rule.
        !tell(&Line::of(wanted.seed.unwrap_or(1)), Options { canary: true, ..Options::default() })
    } else if let Some(seed) = wanted.seed {
        let line = Line::of(seed);
        let held = tell(&line, Options::default());
        let again = run_safely(&line, Options::default()).hash;
        println!("again {again:016x}");
        held && again == run_safely(&line, Options::default()).hash
    } else if let Some(seeds) = wanted.hashes {
        hashes(seeds)
    } else if wanted.hours.is_some() || wanted.seconds.is_some() || wanted.seeds.is_some() {
        soak(&wanted)
    } else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
