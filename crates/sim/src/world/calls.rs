//! Between the client's calls and the exchange: what arrives, what is answered, what is lost on the way, and the
//! tasks that wait for it.

use super::*;

impl World<'_> {
    pub(super) fn quote(&mut self, epoch: u64, quote: &Quote) {
        if epoch != self.epoch {
            return;
        }
        let Some(process) = &mut self.process else { return };
        match translate::tick(process.node.machine().state(), quote, FEED, process.cursor + 1) {
            Some(tick) => {
                process.cursor += 1;
                self.inbox.push(Input::Tick(tick));
            }
            None => {
                process.early.retain(|known| known.instrument != quote.instrument);
                process.early.push(*quote);
            }
        }
    }

    /// Frames that the exchange made leave for the socket that is open now.
    pub(super) fn frames(&mut self) {
        let ledger = &self.exchange.ledger;
        let judged = self.oracle.exchange(ledger);
        self.check(judged);
        for text in std::mem::take(&mut self.exchange.frames) {
            if !self.connected {
                continue;
            }
            let mut draw = self.message();
            if self.meets(Class::Drop, &mut draw) {
                self.say(|| "a frame is lost".to_owned());
                continue;
            }
            let mut pause = draw.between(5 * MILLI, 60 * MILLI);
            let late = self.meets(Class::Delay, &mut draw) || self.meets(Class::Reorder, &mut draw);
            if late {
                pause = draw.scaled(50 * MILLI, 20_000 * MILLI);
            }
            let connection = self.connection;
            if self.meets(Class::Reorder, &mut draw) {
                let again = pause + draw.scaled(MILLI, 8_000 * MILLI);
                self.put(self.now + again, Happening::Frame { connection, text: text.clone() });
            }
            self.put(self.now + pause, Happening::Frame { connection, text });
        }
    }

    pub(super) fn connect(&mut self, epoch: u64) {
        if epoch != self.epoch || self.process.is_none() {
            return;
        }
        let closed = self.now < self.socket_until || self.now < self.away_until;
        if closed {
            return self.put(self.now + 2 * SECOND, Happening::Connect { epoch });
        }
        self.connected = true;
        if let Some(process) = &self.process {
            process.rest.shared.forget_told();
        }
        self.say(|| "the user socket is open".to_owned());
        self.hear(vec![Heard::Connected(Socket::User)]);
    }

    // Calls.

    pub(super) fn arrive(&mut self, epoch: u64, number: u64, method: Method, body: &str) {
        let mut draw = self.message();
        let away = self.now < self.away_until;
        let write = is_write(method);
        let back = self.now + self.travel(&mut draw);
        if away {
            let reply = page(503);
            return self.put(back, Happening::Reply { epoch, number, reply });
        }
        if !write && self.meets(Class::ReadFail, &mut draw) {
            let reply = page(draw.of(&[500, 502, 504]));
            return self.put(back, Happening::Reply { epoch, number, reply });
        }
        let lags = self.faults && self.line.mask.has(Class::Lag) && draw.one_in(self.knobs.lag_rate);
        let lag = if lags { draw.scaled(10 * MILLI, self.knobs.lag_ms * MILLI) } else { 0 };
        let hidden =
            if self.faults && self.line.mask.has(Class::Hidden) { self.knobs.hidden_ms * MILLI } else { 0 };
        let answer = self.exchange.serve(self.now, body.as_bytes(), Sight { lag, hidden });
        if write {
            let (status, code) = (answer.status, code_of(&answer.body));
            self.say(|| format!("the exchange hears {method}: HTTP {status}, code {code}"));
        }
        if self.meets(Class::LostReply, &mut draw) {
            if write {
                self.say(|| format!("the answer to {method} is lost"));
            }
            return;
        }
        if self.meets(Class::Garbage, &mut draw) {
            let reply = match draw.below(3) {
                0 => page(502),
                1 => Reply { status: 200, body: b"{\"id\":".to_vec() },
                _ => {
                    Reply { status: 500, body: b"{\"id\":-1,\"method\":\"ERROR\",\"code\":9010001}".to_vec() }
                }
            };
            return self.put(back, Happening::Reply { epoch, number, reply });
        }
        let reply = Reply { status: answer.status, body: answer.body.into_bytes() };
        self.put(back, Happening::Reply { epoch, number, reply });
    }

    pub(super) fn answered(&mut self, epoch: u64, number: u64, answer: Result<Reply, Silence>) {
        if epoch != self.epoch || self.process.as_ref().is_none_or(|p| !p.owners.contains_key(&number)) {
            return;
        }
        post::answer(number, answer);
        self.poll_owner(number);
    }

    pub(super) fn poll_owner(&mut self, number: u64) {
        let owner = self.process.as_mut().and_then(|process| process.owners.remove(&number));
        if let Some(task) = owner {
            self.poll(task);
        }
    }

    pub(super) fn spawn(&mut self, task: Task) -> u64 {
        self.tasks += 1;
        let number = self.tasks;
        if let Some(process) = &mut self.process {
            process.tasks.insert(number, task);
        }
        self.poll(number);
        number
    }

    /// Lets a task go on until it waits; what it asked for is on its way.
    pub(super) fn poll(&mut self, number: u64) {
        let Some(process) = &mut self.process else { return };
        let Some(task) = process.tasks.get_mut(&number) else { return };
        let mut context = Context::from_waker(Waker::noop());
        let done = matches!(task.as_mut().poll(&mut context), Poll::Ready(()));
        if done {
            process.tasks.remove(&number);
            if let Some(token) = process.lookups.remove(&number) {
                process.looked_for.remove(&token);
            }
            if process.full == Some(number) {
                process.full = None;
            }
        }
        for want in post::wants() {
            self.want(number, want);
        }
        self.listen();
        let next = self.process.as_mut().filter(|p| p.full.is_none()).and_then(|p| p.waiting.pop_front());
        if let Some(ask) = next {
            self.ask(ask);
        }
    }

    pub(super) fn want(&mut self, task: u64, want: Want) {
        let epoch = self.epoch;
        match want {
            Want::Sleep { number, lasts } => {
                self.own(number, task);
                let ns = i64::try_from(lasts.as_nanos()).unwrap_or(i64::MAX);
                self.put(self.now + ns, Happening::Wake { epoch, number });
            }
            Want::Call { number, method, body } => {
                self.own(number, task);
                self.asks_little();
                let deadline = std::time::Duration::from_secs(10);
                let silence = Silence::Late(deadline);
                self.put(self.now + 10 * SECOND, Happening::Silent { epoch, number, silence });
                let mut draw = self.message();
                let write = is_write(method);
                if self.meets(Class::LostRequest, &mut draw) {
                    if write {
                        self.say(|| format!("a {method} is lost on its way"));
                    }
                    return;
                }
                let pause = self.travel(&mut draw);
                if write && self.meets(Class::Duplicate, &mut draw) {
                    let again = pause + self.travel(&mut draw);
                    self.say(|| format!("a {method} will arrive twice"));
                    // Nobody waits for the second answer.
                    let second = Happening::Arrive { epoch: u64::MAX, number, method, body: body.clone() };
                    self.put(self.now + again, second);
                }
                self.put(self.now + pause, Happening::Arrive { epoch, number, method, body });
            }
        }
    }

    pub(super) fn own(&mut self, number: u64, task: u64) {
        if let Some(process) = &mut self.process {
            process.owners.insert(number, task);
        }
    }

    pub(super) fn listen(&mut self) {
        let heard = self.process.as_ref().map(|process| process.rest.shared.take()).unwrap_or_default();
        self.hear(heard);
    }

    pub(super) fn hear(&mut self, heard: Vec<Heard>) {
        for one in heard {
            // There is never nothing in this account.
            if let Heard::Snapshot(snapshot) = &one
                && snapshot.balances.complete().is_some_and(Vec::is_empty)
            {
                return self
                    .break_rule("S25", "a failed read of balances is told as an empty account".to_owned());
            }
            let Some(process) = &self.process else { return };
            if let Told::Input(input) = translate::told(process.node.machine().state(), one) {
                self.inbox.push(*input);
            }
        }
    }

    pub(super) fn ask(&mut self, ask: Ask) {
        let Some(process) = &mut self.process else { return };
        let rest = Rc::clone(&process.rest);
        match ask {
            Ask::Place { .. } | Ask::Cancel { .. } => {
                self.spawn(Box::pin(async move { rest.write(ask).await }));
            }
            Ask::LookUp(asked) => {
                if process.looked_for.insert(asked.token) {
                    let number = self.tasks + 1;
                    process.lookups.insert(number, asked.token);
                    self.spawn(Box::pin(async move { rest.look_up(asked).await }));
                }
            }
            Ask::Snapshot { number, scope, trades_from, ours } => {
                let whole = scope == Scope::Full;
                if whole && process.full.is_some() {
                    // The newest stands for those that wait, as in the program.
                    process.waiting.clear();
                    return process.waiting.push_back(Ask::Snapshot { number, scope, trades_from, ours });
                }
                if whole {
                    process.full = Some(self.tasks + 1);
                }
                self.spawn(Box::pin(async move { rest.snapshot(number, scope, trades_from, &ours).await }));
            }
            Ask::Instruments | Ask::Account => {}
        }
    }

    // The engine.
}
