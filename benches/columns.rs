//! A whole journal as Parquet and as Arrow files: every table, one pass, two threads.
//!
//! 1,000,000 records at full size; `AEGIS_BENCH_RECORDS=10000000` sets another. Each run is a process of its own, so that
//! its peak memory is its own: the mapped journal and what the files were written through are part of it. Beside the
//! exports stands what they cannot do without: the journal folded alone, and its rows made and counted.

use aegis_benches::report::{Report, Unit, repetitions};
use aegis_benches::{child, clock, fill, size, timed};
use aegis_columns::{About, Files, Format};
use aegis_forensics::{Reading, Until};
use aegis_tables::{Sink, SinkError, Table, Value, export, selection};
use std::path::Path;

/// A goal of the export, ns a record.
const GOAL_NS: f64 = 1_000.0;

/// Counts rows.
struct Count(u64);

impl Sink for Count {
    fn begin(&mut self, _: &[&'static Table]) -> Result<(), SinkError> {
        Ok(())
    }

    fn row(&mut self, _: usize, cells: &[Value<'_>]) -> Result<(), SinkError> {
        std::hint::black_box(cells);
        self.0 += 1;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

fn into(journal: &Path, sink: &mut dyn Sink) -> u64 {
    let tables = selection(&[]).expect("all tables");
    let reading = Reading::open(journal).expect("a journal");
    export(reading, Until::End, &tables, sink, &mut |_| ()).expect("an export").last.0
}

fn files(journal: &Path, out: &Path, format: Format) -> u64 {
    let identity = Reading::open(journal).expect("a journal").identity();
    let about = About { journal: identity.journal_id, version: "bench".to_owned() };
    into(journal, &mut Files::new(out, format, about, true).expect("a new directory"))
}

/// In a process of its own: prints what it took by the clock, of processors, and of them the thread that reads, ns; and its
/// most memory, KiB.
fn play(role: &[String]) {
    let [what, journal, out] = role else { panic!("three words: {role:?}") };
    let (journal, out) = (Path::new(journal), Path::new(out));
    let (cpu, thread) = (clock::cpu(), clock::thread_cpu());
    let (took, records) = timed(|| match what.as_str() {
        "fold" => Reading::open(journal).and_then(|r| r.run(Until::End)).expect("a journal").state.lsn.0,
        "rows" => into(journal, &mut Count(0)),
        "parquet" => files(journal, out, Format::Parquet),
        "arrow" => files(journal, out, Format::Arrow),
        other => panic!("no role {other:?}"),
    });
    let (cpu, thread) = (clock::cpu() - cpu, clock::thread_cpu() - thread);
    println!("{records} {} {cpu} {thread} {}", took.as_nanos(), child::memory_kib("VmHWM"));
}

/// Bytes of all files of a directory.
fn bytes(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).expect("a directory");
    files.map(|f| f.and_then(|f| f.metadata()).expect("a file").len()).sum()
}

fn main() {
    if let Some(role) = child::role() {
        play(&role);
        return;
    }
    let report = Report::new(
        "columns",
        "every table of a journal, page cache warm, files durable (goal: 1,000,000 records/s into Parquet, one pass, two \
         cores); limit: the goal",
    );
    let wished = std::env::var("AEGIS_BENCH_RECORDS").ok().and_then(|n| n.parse().ok());
    let count = size(wished.unwrap_or(1_000_000), 10_000);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let journal = dir.path().join("j");
    let last = fill::journal(&journal, count);
    let (journal, out) = (journal.display().to_string(), dir.path().join("out"));
    let whats = ["fold", "rows", "parquet", "arrow"];
    let mut samples: [[Vec<f64>; 4]; 4] = Default::default();
    let mut written = [0; 4];
    for _ in 0..repetitions() {
        for (at, what) in whats.iter().enumerate() {
            let told = child::run(&[what, &journal, &out.display().to_string()]);
            let [records, took, cpu, thread, kib] = told[..] else { panic!("{what} printed {told:?}") };
            assert_eq!(records, last, "{what} reads every record");
            samples[at][0].push(took as f64 / last as f64);
            samples[at][1].push(cpu as f64 / last as f64);
            samples[at][2].push(thread as f64 / last as f64);
            samples[at][3].push(kib as f64 / 1024.0);
            if out.exists() {
                written[at] = bytes(&out);
                std::fs::remove_dir_all(&out).expect("removable");
            }
        }
    }
    let names = ["fold alone, a record", "rows made and counted", "Parquet, a record", "Arrow, a record"];
    for ((name, [took, cpu, thread, memory]), bytes) in names.iter().zip(&samples).zip(written) {
        if *name == "Parquet, a record" {
            report.beside(name, last, Unit::Ns, took, &[GOAL_NS]);
        } else {
            report.row(name, last, Unit::Ns, took);
        }
        report.row("  of it: CPU, all threads", last, Unit::Ns, cpu);
        report.row("  of it: CPU, the thread that reads", last, Unit::Ns, thread);
        report.row("  its peak memory", last, Unit::MiB, memory);
        if bytes > 0 {
            report.row("  its bytes, a record", last, Unit::Bytes, &[bytes as f64 / last as f64]);
        }
    }
}
