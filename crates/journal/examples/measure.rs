//! temporary measurements
use aegis_journal::*;
use std::ops::ControlFlow;
use std::time::Instant;
fn cpu() -> u64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}
fn main() {
    let base = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    let id = Identity { journal_id: [1; 16], schema: 1, mode: 0 };
    let path = base.join("m1");
    let _ = std::fs::remove_dir_all(&path);
    let mut w = create(DirStorage::new(&path).unwrap(), id, Config::default()).unwrap();
    let payload = [7u8; 96];
    let n = 1_000_000u64;
    {
        let v = vec![3u8; 64 << 20];
        let mut h = blake3::Hasher::new();
        let t = Instant::now();
        for c in v.chunks(64 << 10) {
            h.update(c);
        }
        println!("blake3 64K portions {:.2} GB/s", (64 << 20) as f64 / t.elapsed().as_nanos() as f64);
        let mut h = blake3::Hasher::new();
        let t = Instant::now();
        for c in v.chunks(1 << 20) {
            h.update(c);
        }
        println!("blake3 1M portions {:.2} GB/s", (64 << 20) as f64 / t.elapsed().as_nanos() as f64);
    }
    let rec = NewRecord { kind: 1, version: 1, actor: 0, time_ns: 1, cause: 0, payload: &payload[..48] };
    let rec2 = NewRecord { payload: &payload[..96], ..rec };
    while !w.next_segment_is_ready() {
        std::thread::yield_now();
    }
    let small = base.join("m2");
    let _ = std::fs::remove_dir_all(&small);
    {
        let mut w = create(DirStorage::new(&small).unwrap(), id, Config::default()).unwrap();
        while !w.next_segment_is_ready() {
            std::thread::yield_now();
        }
        let rec = NewRecord { kind: 1, version: 1, actor: 0, time_ns: 1, cause: 0, payload: &payload[..48] };
        let n = 700_000;
        let mut fill = true;
        while fill {
            w.append(&[rec], Room::Normal).unwrap();
            fill = w.stats().rotations == 0;
        }
        while !w.next_segment_is_ready() {
            std::thread::yield_now();
        }
        let t = cpu();
        for _ in 0..n {
            w.append(&[rec], Room::Normal).unwrap();
        }
        println!("append, no rotation: {:.1} ns cpu/record {:?}", (cpu() - t) as f64 / n as f64, w.stats());
        let mut v = Vec::with_capacity(1 << 20);
        let t = cpu();
        for i in 0..n {
            if v.len() > 60000 {
                v.clear();
            }
            v.extend_from_slice(&payload[..40]);
            v.extend_from_slice(&payload[..48]);
            let mut h = crc32fast::Hasher::new_with_initial(i);
            let s = v.len() - 88;
            h.update(&v[s..s + 4]);
            h.update(&v[s + 8..]);
            std::hint::black_box(h.finalize());
        }
        println!("encode alone {:.1}", (cpu() - t) as f64 / n as f64);
        w.sync().unwrap();
    }
    let _ = std::fs::remove_dir_all(&small);
    let t = Instant::now();
    let mut max = 0;
    for i in 0..n {
        let t1 = Instant::now();
        w.append(&[if i % 3 == 0 { rec2 } else { rec }], Room::Normal).unwrap();
        max = max.max(t1.elapsed().as_micros());
    }
    println!(
        "append {:.1} ns/record, max {max} us, {:?}",
        t.elapsed().as_nanos() as f64 / n as f64,
        w.stats()
    );
    let t = Instant::now();
    for _ in 0..500_000 / 8 {
        let r = if true { rec } else { rec2 };
        w.append(&[r; 8], Room::Normal).unwrap();
    }
    println!("append in batches of 8: {:.1} ns/record", t.elapsed().as_nanos() as f64 / 500_000.0);
    w.sync().unwrap();
    for group in [1, 64, 1024] {
        let mut lat = Vec::new();
        let rounds = if group == 1 { 3000 } else { 400 };
        let t0 = Instant::now();
        for _ in 0..rounds {
            let t = Instant::now();
            for _ in 0..group {
                w.append(&[rec], Room::Normal).unwrap();
            }
            w.sync().unwrap();
            lat.push(t.elapsed().as_nanos() as u64 / 1000);
        }
        let total = t0.elapsed();
        lat.sort();
        println!(
            "durable group {group}: p50 {} p99 {} p99.9 {} us, {:.0} records/s",
            lat[lat.len() / 2],
            lat[lat.len() * 99 / 100],
            lat[lat.len() * 999 / 1000],
            (rounds * group) as f64 / total.as_secs_f64()
        );
    }
    let lsn = w.durable_lsn();
    w.checkpoint(lsn, [0; 32], &[1; 100_000]).unwrap();
    for _ in 0..1000 {
        w.append(&[rec], Room::Normal).unwrap();
    }
    w.sync().unwrap();
    let total = w.durable_lsn();
    drop(w);
    let e = Expect { journal_id: None, schema: 1, mode: 0 };
    let t = Instant::now();
    let mut o = open(DirStorage::new(&path).unwrap(), e, Config::default()).unwrap();
    let mut c = 0u64;
    o.records(lsn + 1, |r| {
        c += r.payload.len() as u64;
        ControlFlow::<()>::Continue(())
    })
    .unwrap();
    println!(
        "open with checkpoint + tail: {:?} (verified {} of {total})",
        t.elapsed(),
        o.report().records_verified
    );
    let t = Instant::now();
    let (w, r) = o.finish().unwrap();
    println!("finish: {:?} row {:?}", t.elapsed(), r.row);
    drop(w);
    for k in 0..3 {
        let t = Instant::now();
        let mut o = open(DirStorage::new(&path).unwrap(), e, Config::default()).unwrap();
        let t_open = t.elapsed();
        let t = Instant::now();
        let mut c = 0u64;
        let mut n = 0u64;
        o.records(1, |r| {
            c += r.lsn ^ r.payload.len() as u64;
            n += 1;
            ControlFlow::<()>::Continue(())
        })
        .unwrap();
        let d = t.elapsed();
        println!(
            "{k}: open {t_open:?}; records(1): {n} in {d:?} = {:.1} M/s {c}",
            n as f64 / d.as_secs_f64() / 1e6
        );
    }
    let t = Instant::now();
    let mut rd = JournalReader::open_dir(&path).unwrap();
    let mut n = 0u64;
    while let Some(_r) = rd.next().unwrap() {
        n += 1;
    }
    println!("JournalReader: {:.1} M/s", n as f64 / t.elapsed().as_secs_f64() / 1e6);
    let t = Instant::now();
    let v = verify_dir(&path, |_| ()).unwrap();
    println!(
        "verify: {} records {:?} {:.2} GB/s",
        v.records,
        t.elapsed(),
        v.bytes as f64 / t.elapsed().as_secs_f64() / 1e9
    );
    let _ = std::fs::remove_dir_all(&path);
}
