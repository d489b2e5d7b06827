//! The process's life: how it dies, how it comes back, and every image of its disk that a crash could have left.

use super::*;
use crate::tape::{Raw, Tail};
use aegis_journal::{Row, Storage as _};
use std::ops::ControlFlow;

/// Any journal of the engine.
const EXPECT: Expect = Expect { journal_id: None, schema: ENGINE_SCHEMA, mode: Mode::Live.number() };

impl World<'_> {
    pub(super) fn died(&mut self, why: &str) {
        let dying = self.dying.take().unwrap_or(Dying { cut: None, nested: Vec::new(), down: 5 * SECOND });
        let how = if dying.cut.is_some() { "the power fails" } else { "the process dies" };
        let why = why.to_owned();
        self.say(|| format!("{how}: {why}"));
        self.stats.crash_points += 1;
        self.process = None;
        self.connected = false;
        self.connection += 1;
        self.epoch += 1;
        self.inbox.clear();
        self.bare.clear();
        let _ = post::wants();
        self.timer = i64::MAX;
        self.disk = match dying.cut {
            Some(cut) => self.disk.power_cut(cut),
            None => self.disk.kill(),
        };
        let down = dying.down;
        // What is left of it is how the next starts end.
        self.dying = (!dying.nested.is_empty()).then_some(dying);
        self.put(self.now + down, Happening::Boot);
    }

    pub(super) fn config(&self) -> (Config, Limits) {
        let config = Config { segment_bytes: self.knobs.segment_bytes, ..Config::default() };
        let limits = Limits {
            unsynced_max: self.knobs.unsynced_max,
            checkpoint_records: self.knobs.checkpoint_records,
        };
        (config, limits)
    }

    pub(super) fn boot(&mut self) {
        if self.process.is_some() {
            return;
        }
        self.stats.starts += 1;
        let nested = match &mut self.dying {
            Some(dying) if self.faults && self.line.mask.has(Class::Nested) => dying.nested.pop(),
            Some(_) | None => None,
        };
        if let Some(after) = nested {
            self.disk.crash_after(after);
        } else {
            self.dying = None;
        }
        let everywhere = self.steps < self.options.everywhere;
        self.disk.keep_images(everywhere);
        let (config, limits) = self.config();
        let engine = Engine::new(self.settings.clone());
        let opened = match Node::open(engine, self.disk.clone(), EXPECT, config, limits) {
            Err(aegis_node::OpenError::Journal(aegis_journal::OpenError::NoJournal)) => {
                let engine = Engine::new(self.settings.clone());
                let identity =
                    Identity { journal_id: [7; 16], schema: ENGINE_SCHEMA, mode: Mode::Live.number() };
                Node::create(engine, self.disk.clone(), identity, config, limits).map(|node| (node, None))
            }
            opened => opened.map(|(node, report)| (node, Some(report))),
        };
        let (node, report) = match opened {
            Ok(opened) if !self.disk.crashed() => opened,
            Ok(_) => return self.died("again while it started"),
            Err(_) if self.disk.crashed() => return self.died("again while it recovered"),
            Err(error) => {
                let excused = self.faults
                    && [Class::SyncFail, Class::DiskFull].iter().any(|class| self.line.mask.has(*class));
                if excused {
                    let words = error.to_string();
                    self.say(|| format!("the engine does not start: {words}"));
                    self.disk = self.disk.kill();
                    return self.put(self.now + 20 * SECOND, Happening::Boot);
                }
                return self.break_rule("S4", format!("the journal does not open: {error}"));
            }
        };
        // The epoch seeds every checksum: were it used twice, bytes of before could pass for new ones.
        let epoch = crate::tape::newest_epoch(&self.disk);
        if epoch <= self.seeds {
            return self.break_rule("S5", format!("epoch {epoch} is given a second time"));
        }
        self.seeds = epoch;
        let recovered = self.oracle.recovered(&self.disk, self.durable);
        self.check(recovered);
        if everywhere {
            let images = self.disk.take_images();
            self.disk.keep_images(false);
            self.everywhere(&images, self.durable);
        }
        let lsn = node.machine().state().lsn.0;
        self.durable = lsn;
        let digest = node.machine().digest();
        let folded = self.oracle.digest(lsn as usize, lsn);
        if folded != Some(digest) {
            let checkpoint = report.as_ref().and_then(|report| report.checkpoint);
            let rule = if checkpoint.is_some() { "S7" } else { "S6" };
            return self.break_rule(rule, format!("at record {lsn} the fold of the stored bytes differs"));
        }
        if node.lost().is_some() {
            return self.break_rule("S20", "records are called lost, and nothing rotted".to_owned());
        }
        self.start(node);
    }

    pub(super) fn start(&mut self, node: Node<Engine, MemStorage>) {
        self.openings += 1;
        self.epoch += 1;
        let state = node.machine().state();
        let lsn = state.lsn;
        let ours = translate::ours(state);
        let cursor = state.feeds.get(&FEED).map_or(0, |seen| seen.cursor);
        let created = state.journal.mode.is_none().then_some(JournalCreated {
            mode: Mode::Live,
            installation: 0xa1_b2c3_d4e5,
            quote: Label::literal("USDT"),
        });
        clock::set(self.now, self.ahead);
        let rest = Rc::new(Rest::new(Rc::new(Shared::new(&ours)), Rc::clone(&self.signer)));
        self.process = Some(Process {
            node,
            rest,
            tasks: BTreeMap::new(),
            owners: BTreeMap::new(),
            looked_for: BTreeSet::new(),
            lookups: BTreeMap::new(),
            full: None,
            waiting: VecDeque::new(),
            cursor,
            reserve_only: false,
            early: Vec::new(),
        });
        self.away_since = self.now;
        self.say(|| format!("the engine starts behind record {lsn}"));
        let run = u32::try_from(Draw::keyed(self.line.seed, 9, u64::from(self.openings)).bits() >> 32);
        self.inbox.push(Input::Opened(Opened {
            created,
            run: run.unwrap_or(self.openings),
            version: Label::literal("sim"),
            config_digest: [0; 32],
            seed: Some(self.line.seed),
            settings: Vec::new(),
            gap: None,
        }));
        let epoch = self.epoch;
        self.put(self.now + 200 * MILLI, Happening::Instruments { epoch });
        self.put(self.now + 1200 * MILLI, Happening::Connect { epoch });
        self.put(self.now + self.knobs.mark_s * SECOND, Happening::Mark { epoch });
    }

    /// Crashes between any two operations of one step, each recovered, and again between any two of its recovery.
    pub(super) fn audit(&mut self, images: &[MemStorage], durable: u64) {
        let mut draw = Draw::keyed(self.line.seed, 6, self.steps);
        for image in images {
            image.disk_full(false);
            image.fail_sync(0);
            let dead = if draw.one_in(2) {
                image.fork()
            } else {
                image.fork().power_cut(PowerCut { seed: draw.bits(), torn: self.knobs.torn })
            };
            let mut at = draw.below(8);
            loop {
                let disk = dead.fork();
                disk.crash_after(at);
                let opened = self.opens(&disk);
                self.stats.crash_points += 1;
                let crashed = disk.crashed();
                drop(opened);
                let again = if draw.one_in(2) {
                    disk.kill()
                } else {
                    disk.power_cut(PowerCut { seed: draw.bits(), torn: self.knobs.torn })
                };
                self.whole(&again, durable);
                if !crashed || self.violation.is_some() {
                    break;
                }
                at += 1 + draw.below(3);
            }
            if self.violation.is_some() {
                return;
            }
        }
    }

    /// Every crash of one step: between any two operations of the disk, the process or the power, and for each all
    /// that a recovery may meet between any two of its own.
    pub(super) fn everywhere(&mut self, images: &[MemStorage], durable: u64) {
        let mut draw = Draw::keyed(self.line.seed, 18, self.steps);
        for image in images {
            image.disk_full(false);
            image.fail_sync(0);
            let torn = self.knobs.torn;
            let cut = |seed| PowerCut { seed, torn };
            let mut dead = vec![image.fork()];
            dead.extend((0..3).map(|_| image.fork().power_cut(cut(draw.bits()))));
            dead.extend(image.fork().power_cut_with_hole(draw.bits()));
            for disk in dead {
                for at in 0.. {
                    let again = disk.fork();
                    again.crash_after(at);
                    let opened = self.opens(&again);
                    let crashed = again.crashed();
                    drop(opened);
                    let again = if draw.one_in(2) { again.kill() } else { again.power_cut(cut(draw.bits())) };
                    self.stats.crash_points += 1;
                    self.whole(&again, durable);
                    if self.violation.is_some() {
                        return;
                    }
                    if !crashed {
                        break;
                    }
                }
            }
        }
    }

    /// The power fails beside the run: what is left opens as what was appended, up to its first hole.
    pub(super) fn cut(&mut self, durable: u64) {
        let mut draw = Draw::keyed(self.line.seed, 13, self.steps);
        let disk = self.disk.fork();
        disk.disk_full(false);
        disk.fail_sync(0);
        let dead = disk.power_cut(PowerCut { seed: draw.bits(), torn: self.knobs.torn });
        self.stats.crash_points += 1;
        self.whole(&dead, durable);
    }

    /// The power fails beside the run when all was written back but one page: what lies behind the hole was never
    /// acknowledged, and is not believed.
    pub(super) fn hole(&mut self, durable: u64) {
        let mut draw = Draw::keyed(self.line.seed, 15, self.steps);
        let disk = self.disk.fork();
        disk.disk_full(false);
        disk.fail_sync(0);
        if let Some(dead) = disk.power_cut_with_hole(draw.bits()) {
            self.stats.crash_points += 1;
            self.whole(&dead, durable);
        }
    }

    /// What is left of a crash opens, holds all that was durable and nothing that was not appended.
    fn whole(&mut self, disk: &MemStorage, durable: u64) {
        // Most images are read from behind what was durable long ago; some from their beginning.
        let everything = Draw::keyed(self.line.seed, 17, self.stats.crash_points).one_in(16);
        let mut tail = if everything { Tail::default() } else { self.oracle.rung(durable) };
        let before = tail.lsn;
        match self.opens(disk) {
            Ok((engine, row)) => {
                let lsn = engine.state().lsn.0;
                self.stats.torn += u64::from(row == Some(Row::C));
                self.stats.holes += u64::from(row == Some(Row::D));
                let records = tail.follow(&disk.reader(), false);
                let there = before + records.len() as u64;
                if lsn != there {
                    return self.break_rule("S5", format!("{lsn} records are believed, {there} are whole"));
                }
                let held = self.oracle.prefix(before, &records, durable);
                self.check(held);
                if self.oracle.is_fold(there as usize, durable, engine.state()) == Some(false) {
                    self.break_rule("S6", format!("after {there} records"));
                }
            }
            Err(why) => {
                let read = self.believed(disk);
                self.check(read);
                self.break_rule("S4", format!("a crash image does not open: {why}"));
            }
        }
    }

    /// S5 for what the product's journal gives out of a disk that the engine does not start on.
    fn believed(&self, disk: &MemStorage) -> Result<(), Violation> {
        let (config, _) = self.config();
        let Ok(mut opening) = aegis_journal::open(disk.clone(), EXPECT, config) else { return Ok(()) };
        let mut next = 1;
        let strange = opening.records(1, |record| {
            let raw = Raw {
                lsn: record.lsn,
                time: record.time_ns,
                cause: record.cause,
                kind: record.kind,
                version: record.version,
                actor: record.actor,
                payload: record.payload.to_vec(),
                ..Raw::default()
            };
            let fits = record.lsn == next && self.oracle.appended_so(&raw);
            next += 1;
            if fits { ControlFlow::Continue(()) } else { ControlFlow::Break(record.lsn) }
        });
        match strange {
            Ok(Some(lsn)) => {
                Err(Violation { rule: "S5", words: format!("record {lsn} is believed behind {}", next - 2) })
            }
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// S21: a second engine on the same journal.
    pub(super) fn second(&mut self) {
        let before = self.disk.ops();
        let (config, limits) = self.config();
        let opened =
            Node::open(Engine::new(self.settings.clone()), self.disk.clone(), EXPECT, config, limits);
        let words = match opened {
            Ok(_) => "a second engine opened the journal of a living one".to_owned(),
            Err(_) if self.disk.ops() != before => {
                "a second engine changed the journal of a living one".to_owned()
            }
            Err(_) => return,
        };
        self.break_rule("S21", words);
    }

    /// Opens a disk as the engine does: what it then is, and the row of the end.
    pub(super) fn opens(&self, disk: &MemStorage) -> Result<(Engine, Option<Row>), String> {
        let (config, limits) = self.config();
        let engine = || Engine::new(self.settings.clone());
        match Node::open(engine(), disk.clone(), EXPECT, config, limits) {
            Ok((node, _)) if node.lost().is_some() => Err("it says that records are lost".to_owned()),
            Ok((node, report)) => Ok((node.into_machine(), Some(report.recovery.row))),
            Err(aegis_node::OpenError::Journal(aegis_journal::OpenError::NoJournal)) => Ok((engine(), None)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// One bit of what later bytes prove to have been durable turns: noticed, or without any effect.
    pub(super) fn rot(&mut self) {
        let mut draw = Draw::keyed(self.line.seed, 11, self.steps);
        let disk = self.disk.platter();
        disk.disk_full(false);
        disk.fail_sync(0);
        let (records, _) = crate::tape::scan(&disk.reader());
        let proven = records.iter().map(|raw| raw.durable).max().unwrap_or(0);
        if proven == 0 {
            return;
        }
        let raw = &records[draw.below(proven) as usize];
        let name = format!("{:010}.seg", raw.segment);
        let at = raw.offset + draw.below(raw.bytes);
        let Some(byte) = disk.file(&name).and_then(|bytes| bytes.get(at as usize).copied()) else { return };
        disk.patch(&name, at, &[byte ^ 1 << draw.below(8)]);
        let disk = disk.power_cut(PowerCut { seed: draw.bits(), torn: false });
        self.stats.rotted += 1;
        let Ok((engine, _)) = self.opens(&disk) else { return };
        let lsn = engine.state().lsn.0;
        if lsn < proven || self.oracle.digest(lsn as usize, 0) != Some(engine.digest()) {
            let words = format!(
                "a bit of record {} turned in {name} at {at}; {proven} are proven durable, {lsn} are believed, nothing is said",
                raw.lsn
            );
            self.break_rule("S20", words);
        }
    }
}
