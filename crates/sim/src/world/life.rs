//! The process's life: how it dies, how it comes back, and every image of its disk that a crash could have left.

use super::*;

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
        let (config, limits) = self.config();
        let engine = Engine::new(self.settings.clone());
        let expect = Expect { journal_id: None, schema: ENGINE_SCHEMA, mode: Mode::Live.number() };
        let opened = match Node::open(engine, self.disk.clone(), expect, config, limits) {
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
        let recovered = self.oracle.recovered(&self.disk, self.durable);
        self.check(recovered);
        let lsn = node.machine().state().lsn.0;
        self.durable = lsn;
        self.digests.retain(|at, _| *at <= lsn);
        let digest = node.machine().digest();
        if self.digests.get(&lsn).is_some_and(|known| *known != digest) {
            return self.break_rule("S6", format!("at record {lsn} the state is not what it was"));
        }
        let folded = folded(&self.oracle.events);
        if folded != digest {
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
        self.put(self.now + 30 * SECOND, Happening::Mark { epoch });
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
                match self.opens(&again) {
                    Ok(digest) => {
                        let (records, _) = crate::tape::scan(&again);
                        let held = self.oracle.prefix(&records, durable);
                        self.check(held);
                        let stored = self.oracle.events.get(..records.len());
                        if stored.is_some_and(|events| folded(events) != digest) {
                            self.break_rule("S6", format!("after {} records", records.len()));
                        }
                    }
                    Err(why) => self.break_rule("S4", format!("a crash image does not open: {why}")),
                }
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

    /// Opens a disk as the engine does; the digest of what is there.
    pub(super) fn opens(&self, disk: &MemStorage) -> Result<[u8; 32], String> {
        let (config, limits) = self.config();
        let expect = Expect { journal_id: None, schema: ENGINE_SCHEMA, mode: Mode::Live.number() };
        let engine = || Engine::new(self.settings.clone());
        match Node::open(engine(), disk.clone(), expect, config, limits) {
            Ok((node, _)) => Ok(node.machine().digest()),
            Err(aegis_node::OpenError::Journal(aegis_journal::OpenError::NoJournal)) => Ok(engine().digest()),
            Err(error) => Err(error.to_string()),
        }
    }

    // Acts.
}
