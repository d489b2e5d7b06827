//! Makes the specimen journals of this format version: `cargo run -p aegis-forensics --example specimen -- DIR`.
//!
//! The ones in fixtures/journals/ are frozen: this writes into an empty directory only, never over a specimen,
//! and what a later version makes may differ. Each expected.json is stated from how the journal was made, not from
//! what recovery says of it.

extern crate alloc;

use aegis_journal::{
    Config, Expect, How, Identity, MemStorage, NewRecord, PruneHow, Room, Storage, Writer, create, open,
};
use aegis_model::claim::{Claim, ClaimVerdict, DisputeKind, SourceKind};
use aegis_model::event::*;
use aegis_model::ids::*;
use aegis_model::input::Command;
use aegis_model::market::{Instrument, PricePath};
use aegis_model::order::{LookupAnswer, OrderEnd, OrderKind, Purpose, RejectClass, Side, UnknownCause};
use aegis_model::protection::{Distance, ExitReason, Plan, RetireCause, StopCause, StopRule};
use aegis_model::text::{Label, Text};
use aegis_model::{Fixed, claim, fixed, ids, order, protection};
use aegis_projection::State;
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::Path;
use std::{env, fs, process};

#[path = "../../model/src/event/samples.rs"]
mod samples;

const IDENTITY: Identity = Identity { journal_id: *b"aegis-specimen-1", schema: ENGINE_SCHEMA, mode: 1 };
const CONFIG: Config =
    Config { segment_bytes: Config::SEGMENT_BYTES_MIN, knows: |_, _| true, compress: false };
const FIRST: &str = "0000000001.seg";
const HELD_IN: &str = "/mnt/other/aegis";
const PAGE: u64 = 4096;
const BEGIN: i64 = 1_742_944_022_000_000_000;
const BTC: InstrumentId = InstrumentId(0);

fn l(text: &str) -> Label {
    Label::lossy(text)
}

fn f<T: std::str::FromStr<Err = fixed::ParseFixedError>>(text: &str) -> T {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Batches of a short life: listed, funded, bought, trailed, stopped out.
fn story() -> Vec<Vec<Fact>> {
    let spec = Instrument {
        name: l("BTC_USDT"),
        base: AssetId(1),
        quote: AssetId(0),
        price_tick: f("0.01"),
        quantity_tick: f("0.00001"),
        minimum_notional: f("1"),
        tradable: true,
    };
    let plan = Plan {
        initial: Distance::Relative(f("0.02")),
        rule: StopRule::Trailing {
            distance: Distance::Relative(f("0.015")),
            from_start: true,
            stages: Vec::new(),
        },
        atr: None,
        take_profit: None,
        hold_ns: None,
    };
    let intended = |number: u64, side, purpose, plan: Option<Plan>| OrderIntended {
        order: OrderId(number),
        run: 1,
        instrument: BTC,
        side,
        kind: OrderKind::Market,
        quantity: f("0.001"),
        purpose,
        valid_until: Timestamp(i64::MAX),
        cancel_at: None,
        replaces: OrderId(0),
        plan,
        reference: f("50000"),
    };
    let fill = |number: u64, side, price: &str, asset, amount: &str| FillBooked {
        instrument: BTC,
        trade: TradeId(l(&format!("trade-{number}"))),
        order: OrderId(number),
        venue_order: Some(VenueOrderId(l(&format!("{}", 122 + number)))),
        side,
        price: f(price),
        quantity: f("0.001"),
        fee: Some(Fee { asset, amount: f(amount) }),
        executed: Timestamp(BEGIN),
        source: FillSource::Report,
    };
    let moved = |stop: &str, mark: &str| StopMoved {
        instrument: BTC,
        why: StopCause::MarkRaised,
        stop: f(stop),
        mark: f(mark),
        quantity: f("0.001"),
        stages_reached: 0,
        take_profit: None,
    };
    let acknowledged = |number: u64| OrderAcknowledged {
        order: OrderId(number),
        venue_order: VenueOrderId(l(&format!("{}", 122 + number))),
    };
    let ended = |number: u64| OrderEnded {
        order: OrderId(number),
        end: OrderEnd::Filled,
        cumulative: Some(f("0.001")),
    };
    let exit = Purpose::Exit { reason: ExitReason::Stop, others: 0 };
    vec![
        vec![
            JournalCreated { mode: Mode::Paper, installation: 0xa1_b2c3_d4e5, quote: l("USDT") }.into(),
            Started { run: 1, version: l("0.1.0"), config_digest: [7; 32], seed: Some(1) }.into(),
            AssetNamed { asset: AssetId(0), name: l("USDT") }.into(),
            AssetNamed { asset: AssetId(1), name: l("BTC") }.into(),
            InstrumentListed { instrument: BTC, spec }.into(),
        ],
        vec![
            BalanceRecorded {
                snapshot: 1,
                asset: AssetId(0),
                total: f("100000"),
                reserved: f("0"),
                requested: Timestamp(BEGIN),
            }
            .into(),
            Reconciled { snapshot: 1 }.into(),
        ],
        vec![intended(1, Side::Buy, Purpose::Entry, Some(plan.clone())).into()],
        vec![acknowledged(1).into()],
        vec![
            fill(1, Side::Buy, "50000", AssetId(0), "0.25").into(),
            StopArmed {
                instrument: BTC,
                cycle: 1,
                plan,
                stop: f("49000"),
                take_profit: None,
                time_exit: None,
                mark: f("50000"),
                quantity: f("0.001"),
            }
            .into(),
            MessageQueued { number: 1, about: Lsn(10), text: Text::new("bought 0.001 BTC at 50000") }.into(),
        ],
        vec![ended(1).into()],
        vec![moved("49500.75", "50254.57").into()],
        vec![moved("50000.01", "50761.43").into(), MessageDelivered { number: 1 }.into()],
        vec![intended(2, Side::Sell, exit, None).into()],
        vec![acknowledged(2).into(), fill(2, Side::Sell, "49990.5", AssetId(0), "0.2499525").into()],
        vec![
            ended(2).into(),
            PositionClosed {
                instrument: BTC,
                cycle: 1,
                opened: Timestamp(BEGIN),
                closed: Timestamp(BEGIN),
                bought: f("0.001"),
                buy_value: f("50"),
                sold: f("0.001"),
                sell_value: f("49.9905"),
                quote_fees: f("0.4999525"),
                base_fees: f("0"),
                realised: f("-0.5094525"),
                rate: f("-0.010138358208955223"),
                dust: f("0"),
                reason: Some(ExitReason::Stop),
            }
            .into(),
            StopRetired { instrument: BTC, why: RetireCause::Closed }.into(),
        ],
        // A position that is still open, and its cover.
        vec![intended(3, Side::Buy, Purpose::Entry, None).into()],
        vec![fill(3, Side::Buy, "50010", AssetId(0), "0.25005").into(), ended(3).into()],
    ]
}

/// The story, then one of every fact there is, in batches of one to five records.
fn batches() -> Vec<Vec<Event>> {
    let mut facts = story();
    let mut rest = samples::samples();
    let mut size = 0;
    while !rest.is_empty() {
        size = size % 5 + 1;
        facts.push(rest.drain(..size.min(rest.len())).collect());
    }
    let mut lsn = 0;
    let mut out = Vec::new();
    for (at, batch) in facts.into_iter().enumerate() {
        let first = lsn + 1;
        let number = i64::try_from(at).expect("few batches");
        let event = |fact| {
            let cause = if lsn + 1 > first { Lsn(first) } else { Lsn::NONE };
            lsn += 1;
            let actor = if lsn % 7 == 0 { Actor::Operator } else { Actor::Engine };
            Event { at: Timestamp(BEGIN + number * SECOND), actor, cause, fact }
        };
        out.push(batch.into_iter().map(event).collect());
    }
    out
}

fn append(writer: &mut Writer<MemStorage>, batch: &[Event]) {
    let stored: Vec<(aegis_model::RecordHead, Vec<u8>)> = batch
        .iter()
        .map(|event| {
            let mut payload = Vec::new();
            (event.encode(&mut payload), payload)
        })
        .collect();
    let records: Vec<NewRecord<'_>> = stored
        .iter()
        .map(|(head, payload)| NewRecord {
            kind: head.kind,
            version: head.version,
            actor: head.actor,
            time_ns: head.time.0,
            cause: head.cause.0,
            payload,
        })
        .collect();
    writer.append(&records, Room::Normal).expect("room in the segment");
}

fn fold(batches: &[Vec<Event>]) -> State {
    let mut state = State::default();
    batches.iter().flatten().for_each(|event| state.apply(event));
    state
}

fn count(batches: &[Vec<Event>]) -> usize {
    batches.iter().map(Vec::len).sum()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// What opening is to find: `intact` is what is folded.
fn expected(row: &str, intact: &[Vec<Event>], next: usize) -> Value {
    json!({
        "row": row,
        "records": count(intact),
        "last_lsn": count(intact),
        "next_lsn": next,
        "digest": { (format!("state {}", aegis_projection::state::STATE_VERSION)): hex(&fold(intact).digest()) },
        "journal_id": hex(&IDENTITY.journal_id),
        "schema": IDENTITY.schema,
        "mode": IDENTITY.mode,
    })
}

fn put(dir: &Path, name: &str, disk: &MemStorage, expected: &Value) {
    let dir = dir.join(name);
    fs::create_dir_all(&dir).expect("a directory to write to");
    for file in disk.names().iter().filter(|n| n.ends_with(".seg") || n.ends_with(".segz")) {
        fs::write(dir.join(file), disk.file(file).expect("a listed file")).expect("a file to write");
    }
    let text = serde_json::to_string_pretty(expected).expect("plain values");
    fs::write(dir.join("expected.json"), text + "\n").expect("a file to write");
}

/// As many openings as there are parts; the last one closed with a mark.
fn whole(parts: &[&[Vec<Event>]], config: Config) -> MemStorage {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), IDENTITY, config).expect("an empty disk");
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            drop(writer);
            let expect = Expect { journal_id: None, schema: IDENTITY.schema, mode: IDENTITY.mode };
            let mut opening = open(disk.clone(), expect, config).expect("a whole journal");
            opening.records(1, |_| ControlFlow::<()>::Continue(())).expect("whole records");
            writer = opening.finish().expect("a good disk").0;
        }
        for batch in *part {
            append(&mut writer, batch);
            writer.sync().expect("a good disk");
        }
    }
    writer.close().expect("a good disk");
    disk
}

/// Three openings, then backed up, and the first one's segment dropped.
fn pruned(parts: &[&[Vec<Event>]; 3]) -> MemStorage {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), IDENTITY, CONFIG).expect("an empty disk");
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            drop(writer);
            let expect = Expect { journal_id: None, schema: IDENTITY.schema, mode: IDENTITY.mode };
            writer = open(disk.clone(), expect, CONFIG).expect("whole").finish().expect("a good disk").0;
        }
        for (nth, batch) in part.iter().enumerate() {
            append(&mut writer, batch);
            let lsn = writer.sync().expect("a good disk");
            // One that the second segment still needs the records behind, and the newest.
            if at > 0 && nth == 0 {
                writer.checkpoint(lsn, [0; 32], b"of no use to a fold").expect("a good disk");
            }
        }
    }
    writer.close().expect("a good disk");
    let backup = MemStorage::new();
    let how = How { now_ns: BEGIN, full: false, as_it_is: false };
    aegis_journal::backup(&disk.reader(), &mut backup.clone(), &how, &mut |_| ()).expect("a whole journal");
    let how = PruneHow { keep_from: u64::MAX, held_in: HELD_IN, usable: &|_| true, dry: false };
    aegis_journal::prune(&mut disk.clone(), &backup.reader(), &how, &mut |_| ()).expect("it is held");
    disk
}

/// One opening, never closed; `unsynced` batches were appended after the last sync. Also where each batch ends.
fn killed(batches: &[Vec<Event>], unsynced: usize) -> (MemStorage, Vec<u64>) {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), IDENTITY, CONFIG).expect("an empty disk");
    let mut ends = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        append(&mut writer, batch);
        ends.push(PAGE + writer.stats().bytes);
        if at + unsynced < batches.len() {
            writer.sync().expect("a good disk");
        }
    }
    drop(writer);
    (disk, ends)
}

fn main() {
    let Some(dir) = env::args().nth(1) else {
        eprintln!("usage: specimen DIR (an empty or new directory)");
        process::exit(2);
    };
    let dir = Path::new(&dir);
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        eprintln!("{} is not empty: specimens are never written over", dir.display());
        process::exit(1);
    }
    let batches = batches();
    let (all, last) = (count(&batches), batches.len() - 1);

    let (early, late) = batches.split_at(batches.len() / 2);
    let disk = whole(&[early, late], CONFIG);
    put(dir, "whole", &disk, &expected("B", &batches, all + 1));

    disk.remove_file(FIRST);
    put(dir, "missing", &disk, &expected("E", &[], all + 1));

    // Half of the last batch, which nothing proves durable, never reached the disk.
    let (disk, ends) = killed(&batches, 1);
    let mut bytes = disk.file(FIRST).expect("a segment");
    let middle = usize::midpoint(ends[last - 1] as usize, ends[last] as usize);
    bytes[middle..].fill(0);
    disk.set_file(FIRST, &bytes);
    put(dir, "torn", &disk, &expected("C", &batches[..last], count(&batches[..last]) + 1));

    // The first of three unsynced batches never reached the disk, the others did.
    let (disk, ends) = killed(&batches, 3);
    let mut bytes = disk.file(FIRST).expect("a segment");
    bytes[ends[last - 3] as usize..ends[last - 2] as usize].fill(0);
    disk.set_file(FIRST, &bytes);
    let intact = &batches[..last - 2];
    put(dir, "hole", &disk, &expected("D", intact, count(intact) + 1));

    // One bit of a batch that later batches call durable.
    let (disk, ends) = killed(&batches, 0);
    let mut bytes = disk.file(FIRST).expect("a segment");
    bytes[ends[3] as usize + 50] ^= 0x10;
    disk.set_file(FIRST, &bytes);
    put(dir, "rot", &disk, &expected("E", &batches[..4], all + 1));

    // Two openings behind it, and the first segment is compressed. All that there is of version 3: the others are what
    // they were in version 2.
    let (middle, late) = late.split_at(late.len() / 2);
    let disk = whole(&[early, middle, late], Config { compress: true, ..CONFIG });
    put(dir, "compressed", &disk, &expected("B", &batches, all + 1));

    // The first of three segments is pruned. All that there is of version 4: the others are what they were.
    let (early, middle) = batches[..batches.len() - late.len()].split_at(3);
    let disk = pruned(&[early, middle, late]);
    let begins = count(early);
    let told =
        json!({ "begins_behind": begins, "records": all - begins, "last_lsn": all, "held_in": HELD_IN });
    put(dir, "pruned", &disk, &told);

    println!("{} specimens of up to {all} records in {}", 7, dir.display());
}
