//! Following a journal from another process: from the return of a durable append to the other process having it.
//!
//! The limit is the bare machine's: eight bytes stored into a shared map, and a process that asks the file for them
//! again and again.

use aegis_benches::bare::Mapped;
use aegis_benches::report::{Latencies, Report, Unit, interleaved, repetitions};
use aegis_benches::{child, clock, fill, mixed, prelude, size};
use aegis_journal::{Config, JournalReader};
use aegis_model::Event;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Time between two appends, ns: the follower has gone back to asking when the next one comes.
const PAUSE_NS: u64 = 200_000;

/// What the children do: say that they follow, then note when they had each of `count` things, and print the times.
fn play(words: &[String]) {
    let path = Path::new(&words[1]);
    let count: usize = words[2].parse().expect("a number");
    let mut seen: Vec<u64> = Vec::with_capacity(count);
    match words[0].as_str() {
        "follow" => {
            let mut reader = JournalReader::open_dir(path).expect("a journal");
            let ahead = prelude().len();
            for _ in 0..ahead {
                reader.next().expect("whole").expect("the prelude is there");
            }
            say_ready();
            while seen.len() < count {
                if reader.next().expect("whole").is_some() {
                    seen.push(clock::now());
                }
            }
        }
        "ask" => {
            let file = File::open(path).expect("a file");
            let mut word = [0; 8];
            say_ready();
            while seen.len() < count {
                file.read_exact_at(&mut word, 0).expect("eight bytes");
                if u64::from_le_bytes(word) > seen.len() as u64 {
                    seen.push(clock::now());
                }
            }
        }
        role => panic!("no role {role}"),
    }
    for time in seen {
        println!("{time}");
    }
}

fn say_ready() {
    println!("ready");
    std::io::stdout().flush().expect("somebody reads");
}

/// Starts a follower, does `append` at a pace, and compares when each returned with when the follower had it.
fn followed(role: &str, path: &Path, count: u64, mut append: impl FnMut(u64)) -> Latencies {
    let mut follower = child::start(&[role, path.to_str().expect("a plain path"), &count.to_string()]);
    let mut output = BufReader::new(follower.stdout.take().expect("a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("the follower lives");
    assert_eq!(line, "ready\n");
    let mut returned = Vec::with_capacity(count as usize);
    for n in 0..count {
        let due = clock::now() + PAUSE_NS;
        while clock::now() < due {
            std::hint::spin_loop();
        }
        append(n);
        returned.push(clock::now());
    }
    let mut text = String::new();
    output.read_to_string(&mut text).expect("the follower's times");
    assert!(follower.wait().expect("the follower has ended").success());
    let mut latencies = Latencies::with_room(count);
    let had = text.lines().map(|line| line.parse::<u64>().expect("a time"));
    // The follower may have it before the append has returned: then it waited for nothing.
    had.zip(returned).for_each(|(had, returned)| latencies.push(had.saturating_sub(returned)));
    assert_eq!(latencies.count(), count, "the follower had all of them");
    latencies
}

fn main() {
    if let Some(words) = child::role() {
        return play(&words);
    }
    let report = Report::new(
        "tail",
        "from a durable append's return to a reader in another process having the record (goal: p50 below 20 us); the \
         limit is eight bytes in a shared file",
    );
    let count = size(2_000, 20);
    let (mut ours, mut limit) = interleaved(
        repetitions(),
        || {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let path = dir.path().join("j");
            let mut writer = fill::create(&path, Config::default());
            let mut appender = fill::Appender::default();
            appender.all(&mut writer, &prelude(), 20);
            writer.sync().expect("a sync");
            let events: Vec<Event> = (0..count).map(mixed).collect();
            followed("follow", &path, count, |n| {
                appender.batch(&mut writer, &events[n as usize..=n as usize]);
                writer.sync().expect("a sync");
            })
        },
        || {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let path = dir.path().join("bare");
            let mut bare = Mapped::create(&path, 1 << 20).expect("room");
            followed("ask", &path, count, |n| bare.publish(n + 1))
        },
    );
    report.percentiles("seen by another process", Unit::Us, &mut ours, &mut limit);
}
