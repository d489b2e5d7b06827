//! From a tick that crosses a stop, in a frame of the market socket, to the bytes of the exit at the exchange.
//!
//! Everything is outside of the measured process: `aegis run --live` and `aegis venue` as they are shipped, between them
//! this program, which speaks the market socket itself and passes calls on. The clock starts before the frame is
//! written and stops when the last byte of the exit's request was read, so it holds two wake-ups that are no part of
//! the engine; a process that only reads and writes shows what they cost. One record made durable by a bare file in the
//! same directory, at the same rate and by turns, is the limit.

#[path = "exit/door.rs"]
mod door;
#[path = "exit/stage.rs"]
mod stage;

use aegis_benches::bare::Mapped;
use aegis_benches::report::{Latencies, Report, Unit, permilles};
use aegis_benches::{child, clock, size};
use stage::Stage;
use std::time::Duration;

/// Ticks in a second while the threads are kept awake.
const TICKS: u64 = 1_000;
/// Bytes of what is durable before an exit leaves, the tick and the intent: what a bare file is given.
const BATCH: usize = 208;

/// What happens between two measurements.
#[derive(Clone, Copy)]
enum Between {
    /// Ticks, so many.
    Ticks(u64),
    /// Nothing, for so long.
    Nothing(Duration),
}

impl Between {
    fn of(awake: bool, round: u64) -> Between {
        // Uneven, so that no timer of either side keeps step.
        if awake {
            Between::Ticks(40 + round * 7 % 23)
        } else {
            Between::Nothing(Duration::from_millis(300 + round * 397 % 1_200))
        }
    }
}

/// The distributions of one way to wait.
struct Taken {
    ours: Latencies,
    echo: Latencies,
    bare: Latencies,
}

fn measure(stage: &mut Stage, bare: &mut Mapped, awake: bool, rounds: u64) -> Taken {
    let room = || Latencies::with_room(rounds);
    let mut taken = Taken { ours: room(), echo: room(), bare: room() };
    let payload = [7; BATCH];
    for round in 0..rounds {
        let between = Between::of(awake, round);
        let exit = |stage: &mut Stage, taken: &mut Taken| {
            stage.hold();
            stage.wait(between);
            taken.ours.push(stage.cross());
            stage.settle();
        };
        let echo = |stage: &mut Stage, taken: &mut Taken| {
            stage.wait_with_echo(between);
            taken.echo.push(stage.cross_echo());
        };
        let mut sync = |stage: &mut Stage, taken: &mut Taken| {
            stage.wait(between);
            let start = clock::now();
            bare.append(&payload);
            bare.sync().expect("a sync");
            taken.bare.push(clock::now() - start);
        };
        match round % 3 {
            0 => {
                exit(stage, &mut taken);
                echo(stage, &mut taken);
                sync(stage, &mut taken);
            }
            1 => {
                sync(stage, &mut taken);
                exit(stage, &mut taken);
                echo(stage, &mut taken);
            }
            _ => {
                echo(stage, &mut taken);
                sync(stage, &mut taken);
                exit(stage, &mut taken);
            }
        }
    }
    taken
}

fn show(report: &Report, name: &str, taken: Taken) {
    let Taken { ours, echo, bare } = taken;
    let n = ours.count();
    let (mut ours, mut echo, mut bare) = ([ours], [echo], [bare]);
    let shares = [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)];
    for (share, permille) in shares {
        let (ours, bare) =
            (permilles(&mut ours, permille, Unit::Us), permilles(&mut bare, permille, Unit::Us));
        report.beside(&format!("{name}, {share}"), n, Unit::Us, &ours, &bare);
    }
    for (share, permille) in shares {
        let echo = permilles(&mut echo, permille, Unit::Us);
        report.row(&format!("  a process that only reads and writes, {share}"), n, Unit::Us, &echo);
    }
    let middle = |all: &mut [Latencies; 1]| permilles(all, 500, Unit::Us);
    let rest = middle(&mut ours)[0] - middle(&mut echo)[0];
    report.beside("  p50 without what such a process takes", n, Unit::Us, &[rest], &middle(&mut bare));
}

fn main() {
    if let Some(words) = child::role() {
        return door::echo(&words);
    }
    let report = Report::new(
        "exit",
        "from a tick that crosses a stop, in a frame of the market socket, to the exit's bytes at the exchange (goals: \
         p50 at most 1.3 bare syncs with the threads awake, 2.0 after idleness); the limit is a bare mapped append \
         and fdatasync at the same rate",
    );
    let mut stage = Stage::new();
    let mut bare = Mapped::create(&stage.path("bare"), size(64 << 20, 4 << 20)).expect("room");
    let wished = std::env::var("AEGIS_BENCH_ROUNDS").ok().and_then(|n| n.parse().ok());
    let rounds = wished.unwrap_or(size(1_000, 3));
    for (name, awake, rounds) in
        [("1,000 ticks a second", true, rounds), ("after idleness", false, rounds.div_ceil(10))]
    {
        let taken = measure(&mut stage, &mut bare, awake, rounds);
        show(&report, name, taken);
    }
    stage.stop();
}
