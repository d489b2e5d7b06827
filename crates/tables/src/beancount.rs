//! A journal as a beancount ledger: double entry of everything that the fold makes of it.
//!
//! Each record that moves something is one transaction with the record's number, time and trade. Its amounts are what
//! the record changed in the fold, and the fold's law of conservation (quote paid less received is cost held less profit
//! less corrections, to the last digit) is what makes both sides equal; nothing is computed a second time here.
//!
//! - `Assets:Exchange:ASSET` holds what the exchange should have; bought assets at the fold's average cost (`NONE` booking,
//!   since cost leaves in proportion and not by lot).
//! - `Expenses:Fees:ASSET`, `Income:Profit:INSTRUMENT` (before fees), `Equity:Corrections:INSTRUMENT`.
//! - `Equity:Opening:ASSET` is the first balance, `Equity:Flows:ASSET` deposits and withdrawals, `Equity:Unexplained:ASSET`
//!   what a balance of the exchange shows and nothing else explains.
//! - A `balance` at the beginning of a day is a balance of the exchange that nothing changed since, at the end of the day
//!   before.

use crate::read::{ExportError, Told, run};
use crate::target::{Target, io_error};
use crate::{SinkError, spell};
use aegis_forensics::audit::moves_money;
use aegis_forensics::{Point, Reading, Until};
use aegis_journal::StorageRead;
use aegis_model::{ArithmeticError, AssetId, Fact, Fixed, InstrumentId, Lsn, Timestamp};
use aegis_projection::State;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// How far a transaction may be from zero: cost is told in total and beancount divides it by the quantity, in 28 digits.
const TOLERANCE: &str = "0.000000000001";

/// Bytes of a commodity's name in beancount.
const NAME_BYTES_MAX: usize = 24;

/// How every ledger begins.
const TITLE: &str = "option \"title\" \"aegis journal\"\n";

/// Writes a ledger; the target must not be there, or is replaced at the end with `force`.
///
/// # Errors
/// [`ExportError`].
pub fn export<R: StorageRead>(
    reading: Reading<R>,
    until: Until,
    path: &Path,
    force: bool,
    progress: &mut dyn FnMut(Lsn),
) -> Result<Told, ExportError> {
    let mut target = Target::file(path, force, |head| head.starts_with(TITLE.as_bytes()))?;
    let file = File::options().write(true).open(target.partial()).map_err(io_error(target.partial()))?;
    let mut ledger = Ledger::new(BufWriter::new(file), target.partial().to_path_buf());
    let mut told = run(reading, until, progress, &mut |point, state| ledger.point(point, state))?;
    ledger.end(&told.0.state)?;
    ledger.out.flush().map_err(io_error(target.partial()))?;
    target.finish()?;
    told.1.rows = vec![ledger.transactions];
    Ok(told.1)
}

/// What the fold holds of an instrument, as far as money is concerned.
#[derive(Clone, Copy, Default, PartialEq)]
struct Books {
    units: Fixed,
    cost: Fixed,
    realised: Fixed,
    corrections: Fixed,
    paid: Fixed,
    received: Fixed,
    fees: Fixed,
}

/// What it holds of an asset.
#[derive(Clone, Copy, Default)]
struct Holdings {
    fees: Fixed,
    third_fees: Fixed,
    flows: Fixed,
    has_balance: bool,
    /// What the ledger's account holds.
    account: Fixed,
}

struct Ledger {
    out: BufWriter<File>,
    path: PathBuf,
    books: Vec<Books>,
    assets: Vec<Holdings>,
    headed: bool,
    opened: BTreeSet<String>,
    /// What assets and instruments are called.
    names: BTreeMap<String, String>,
    day: Option<i64>,
    /// Balances of the exchange that nothing changed since, by asset.
    sure: Vec<Option<(Lsn, Fixed)>>,
    /// Those that the ledger asserts already, each with its record.
    asserted: Vec<(Lsn, Fixed)>,
    postings: Vec<String>,
    transactions: u64,
}

/// A sum that left the range of numbers.
fn range(path: &Path) -> impl Fn(ArithmeticError) -> SinkError + use<> {
    let path = path.to_path_buf();
    move |error| SinkError::Format { path: path.clone(), why: error.to_string() }
}

fn spelled(value: Fixed) -> String {
    let mut out = Vec::new();
    spell::decimal(value, &mut out);
    spell::text(&out).to_owned()
}

/// `YYYY-MM-DD`.
fn date(at: Timestamp) -> String {
    let mut out = Vec::new();
    spell::time(at, &mut out);
    spell::text(&out)[..10].to_owned()
}

/// A name that beancount takes for a commodity: a capital letter first, then capital letters, digits and `-`.
fn plain(name: &str) -> String {
    let mut plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '-' }).collect();
    if plain.len() < 2 || !plain.starts_with(|c: char| c.is_ascii_uppercase()) {
        plain.insert(0, 'X');
    }
    cut(&mut plain, NAME_BYTES_MAX);
    plain
}

/// A name of at most so many bytes.
fn cut(plain: &mut String, bytes_max: usize) {
    plain.truncate(bytes_max);
    while plain.ends_with('-') {
        plain.pop();
    }
}

/// A text in quotes.
fn quoted(text: &str) -> String {
    let plain: String =
        text.chars().map(|c| if c == '"' || c == '\\' || c.is_control() { '\'' } else { c }).collect();
    format!("\"{plain}\"")
}

impl Books {
    fn of(state: &State, at: usize) -> Result<Books, ArithmeticError> {
        let i = &state.instruments[at];
        let now = &i.book.now;
        Ok(Books {
            units: now.held.plus(i.dust.quantity)?.0,
            cost: now.cost.plus(i.dust.cost)?.0,
            realised: now.realised_total.0,
            corrections: now.corrections.0,
            paid: now.paid_total.0,
            received: now.received_total.0,
            fees: now.fees_total.0,
        })
    }
}

/// Whether a record of this kind can move money or holdings, those outside positions among them.
fn moves(fact: &Fact) -> bool {
    moves_money(fact)
        || matches!(
            fact,
            Fact::BalanceRecorded(_)
                | Fact::CashFlowRecorded(_)
                | Fact::HoldingQuarantined(_)
                | Fact::OrderEnded(_)
                | Fact::ClaimChecked(_)
        )
}

impl Ledger {
    fn new(out: BufWriter<File>, path: PathBuf) -> Ledger {
        Ledger {
            out,
            path,
            books: Vec::new(),
            assets: Vec::new(),
            headed: false,
            opened: BTreeSet::new(),
            names: BTreeMap::new(),
            day: None,
            sure: Vec::new(),
            asserted: Vec::new(),
            postings: Vec::new(),
            transactions: 0,
        }
    }

    /// The name that an asset or an instrument has in the ledger: no two of them have the same.
    fn commodity(&mut self, name: &str) -> String {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let mut free = plain(name);
        let mut n = 2;
        while self.names.values().any(|taken| *taken == free) {
            let more = format!("-{n}");
            free = plain(name);
            cut(&mut free, NAME_BYTES_MAX - more.len());
            free.push_str(&more);
            n += 1;
        }
        self.names.insert(name.to_owned(), free.clone());
        free
    }

    fn line(&mut self, text: &str) -> Result<(), SinkError> {
        writeln!(self.out, "{text}").map_err(|cause| SinkError::Io { path: self.path.clone(), cause })
    }

    fn point(&mut self, point: &Point, state: &State) -> Result<(), SinkError> {
        let day = point.event.at.utc_day();
        if self.day != Some(day) {
            self.new_day(point.event.at, state)?;
            self.day = Some(day);
        }
        if moves(&point.event.fact) {
            self.moved(point, state)?;
        }
        Ok(())
    }

    /// What the exchange had at the end of the day before.
    fn new_day(&mut self, at: Timestamp, state: &State) -> Result<(), SinkError> {
        for asset in 0..self.sure.len() {
            let name = self.commodity(state.assets[asset].name.as_str());
            let account = format!("Assets:Exchange:{name}");
            let sure = self.sure[asset].take().filter(|_| self.opened.contains(&account));
            if let Some((lsn, total)) = sure.filter(|sure| *sure != self.asserted[asset]) {
                self.asserted[asset] = (lsn, total);
                let text = format!("{} balance {account} {} ~ 0 {name}", date(at), spelled(total));
                self.line(&text)?;
            }
        }
        Ok(())
    }

    fn open(&mut self, at: Timestamp, account: String, name: &str) -> Result<String, SinkError> {
        if self.opened.insert(account.clone()) {
            let text = format!("{} open {account}\n  name: {}", date(at), quoted(name));
            self.line(&text)?;
        }
        Ok(account)
    }

    /// An account of an asset.
    fn account(&mut self, at: Timestamp, class: &str, name: &str) -> Result<String, SinkError> {
        let account = format!("{class}:{}", self.commodity(name));
        self.open(at, account, name)
    }

    fn post(&mut self, account: &str, amount: Fixed, name: &str, rest: &str) {
        if !amount.is_zero() {
            let name = self.commodity(name);
            self.postings.push(format!("  {account}  {} {name}{rest}", spelled(amount)));
        }
    }

    /// One transaction of what the record changed.
    fn moved(&mut self, point: &Point, state: &State) -> Result<(), SinkError> {
        let at = point.event.at;
        if !self.headed {
            self.head(state)?;
            self.headed = true;
        }
        self.postings.clear();
        self.books.resize(state.instruments.len(), Books::default());
        self.assets.resize(state.assets.len(), Holdings::default());
        self.sure.resize(state.assets.len(), None);
        self.asserted.resize(state.assets.len(), (Lsn::NONE, Fixed::ZERO));
        for instrument in 0..state.instruments.len() {
            self.instrument(at, instrument, point, state)?;
        }
        for asset in 0..state.assets.len() {
            self.asset(at, asset, state)?;
        }
        if self.postings.is_empty() {
            return Ok(());
        }
        self.transactions += 1;
        let mut text = format!("{} * {}", date(at), quoted(&aegis_forensics::words(&point.event, state)));
        text.push_str(&format!("\n  lsn: {}", point.lsn));
        let mut time = Vec::new();
        spell::time(at, &mut time);
        text.push_str(&format!("\n  time: \"{}\"", spell::text(&time)));
        if let Fact::FillBooked(f) = &point.event.fact {
            text.push_str(&format!("\n  trade: {}", quoted(f.trade.0.as_str())));
        }
        for posting in std::mem::take(&mut self.postings) {
            text.push('\n');
            text.push_str(&posting);
        }
        self.line(&text)
    }

    fn head(&mut self, state: &State) -> Result<(), SinkError> {
        let quote = self.commodity(state.journal.quote.as_str());
        self.line(&format!(
            "{TITLE}option \"operating_currency\" \"{quote}\"\n\
             option \"booking_method\" \"NONE\"\noption \"inferred_tolerance_default\" \"*:{TOLERANCE}\""
        ))
    }

    /// What changed in an instrument's books.
    fn instrument(&mut self, at: Timestamp, n: usize, point: &Point, state: &State) -> Result<(), SinkError> {
        let fail = range(&self.path);
        let now = Books::of(state, n).map_err(&fail)?;
        let old = self.books[n];
        if now == old {
            return Ok(());
        }
        let spec = &state.instruments[n].spec;
        let (name, base_id, quote_id) = (spec.name, usize::from(spec.base.0), usize::from(spec.quote.0));
        let asset_name = |id: AssetId| state.asset(id).map_or("", |a| a.name.as_str());
        let (base, quote) = (asset_name(spec.base), asset_name(spec.quote));
        let change = |new: Fixed, old: Fixed| new.minus(old).map_err(&fail);
        let units = change(now.units, old.units)?;
        let cost = change(now.cost, old.cost)?;
        let (realised, fees) = (change(now.realised, old.realised)?, change(now.fees, old.fees)?);
        let corrections = change(now.corrections, old.corrections)?;
        let cash = change(change(now.received, old.received)?, change(now.paid, old.paid)?)?;

        // A fee in the base asset left the units already; it is shown.
        let third = |a: &Holdings| a.fees.minus(a.third_fees);
        let fees_of_base = state.assets.get(base_id).map(|a| Holdings {
            fees: a.fees.0,
            third_fees: a.third_fees.0,
            ..Holdings::default()
        });
        let base_fee = match (fees_of_base, self.assets.get(base_id), Self::about(point)) {
            (Some(new), Some(old), Some(id)) if id.0 as usize == n => {
                change(third(&new).map_err(&fail)?, third(old).map_err(&fail)?)?
            }
            // A fee of another instrument's fill that was paid with what is held here: what left is in no price.
            (Some(new), Some(old), Some(_)) if units.is_negative() => {
                let paid = change(new.third_fees, old.third_fees)?;
                paid.max(Fixed::ZERO).min(units.abs())
            }
            _ => Fixed::ZERO,
        };
        let traded = units.plus(base_fee).map_err(&fail)?;

        let assets = self.account(at, "Assets:Exchange", base)?;
        let paid_in = self.commodity(quote);
        let total = |cost: Fixed| format!(" {{{{{} {paid_in}}}}}", spelled(cost.abs()));
        let price = if let Fact::FillBooked(f) = &point.event.fact {
            format!(" @ {} {paid_in}", spelled(f.price.0))
        } else {
            String::new()
        };
        let agrees = cost.is_zero() || traded.is_positive() == cost.is_positive();
        if !traded.is_zero() && agrees {
            self.post(&assets, traded, base, &(total(cost) + &price));
        } else if !(traded.is_zero() && cost.is_zero()) {
            // The cost of what is held changed: all of it leaves at the old cost and comes back at the new one.
            self.post(&assets, old.units.negated(), base, &total(old.cost));
            let back = old.units.plus(traded).map_err(&fail)?;
            self.post(&assets, back, base, &total(now.cost));
        }
        if !base_fee.is_zero() {
            let expense = self.account(at, "Expenses:Fees", base)?;
            self.post(&expense, base_fee, base, "");
            self.post(&assets, base_fee.negated(), base, "");
        }
        if let Some(a) = self.assets.get_mut(base_id) {
            a.account = a.account.plus(units).map_err(&fail)?;
        }
        let money = self.account(at, "Assets:Exchange", quote)?;
        self.post(&money, cash, quote, "");
        if let Some(a) = self.assets.get_mut(quote_id) {
            a.account = a.account.plus(cash).map_err(&fail)?;
        }
        if !fees.is_zero() {
            let expense = self.account(at, "Expenses:Fees", quote)?;
            self.post(&expense, fees, quote, "");
        }
        let gross = realised.plus(fees).map_err(&fail)?;
        if !gross.is_zero() {
            let income = self.account(at, "Income:Profit", name.as_str())?;
            self.post(&income, gross.negated(), quote, "");
        }
        if !corrections.is_zero() {
            let equity = self.account(at, "Equity:Corrections", name.as_str())?;
            self.post(&equity, corrections.negated(), quote, "");
        }
        self.books[n] = now;
        Ok(())
    }

    /// The instrument that a record is about.
    fn about(point: &Point) -> Option<InstrumentId> {
        if let Fact::FillBooked(f) = &point.event.fact {
            Some(f.instrument)
        } else if let Fact::FeeResolved(f) = &point.event.fact {
            Some(f.instrument)
        } else {
            None
        }
    }

    /// What changed in an asset beside its instruments' books: the first balance, flows, fees for others, what nothing
    /// explains.
    fn asset(&mut self, at: Timestamp, n: usize, state: &State) -> Result<(), SinkError> {
        let fail = range(&self.path);
        let a = &state.assets[n];
        let name = a.name;
        let old = self.assets[n];
        let mut now = Holdings {
            fees: a.fees.0,
            third_fees: a.third_fees.0,
            flows: a.net_flows.0,
            has_balance: a.balance.is_some(),
            account: old.account,
        };
        let expected = match a.balance {
            Some(balance) => balance.total.plus(a.since).map_err(&fail)?.0,
            // Nobody knows what the exchange has: only our own trades are in the account.
            None => old.account,
        };
        let mut rest = expected.minus(old.account).map_err(&fail)?;
        if !rest.is_zero() {
            let asset = self.account(at, "Assets:Exchange", name.as_str())?;
            self.post(&asset, rest, name.as_str(), "");
            let known = [
                ("Expenses:Fees", old.third_fees.minus(now.third_fees)),
                ("Equity:Flows", if old.has_balance { now.flows.minus(old.flows) } else { Ok(Fixed::ZERO) }),
            ];
            for (class, part) in known {
                // Only as much as is left to explain, in its direction.
                let part = part.map_err(&fail)?;
                if part.is_zero() {
                    continue;
                }
                let part = if part.is_positive() { part.min(rest) } else { part.max(rest) };
                if !part.is_zero() && part.is_positive() == rest.is_positive() {
                    let account = self.account(at, class, name.as_str())?;
                    self.post(&account, part.negated(), name.as_str(), "");
                    rest = rest.minus(part).map_err(&fail)?;
                }
            }
            let class = if old.has_balance { "Equity:Unexplained" } else { "Equity:Opening" };
            if !rest.is_zero() {
                let account = self.account(at, class, name.as_str())?;
                self.post(&account, rest.negated(), name.as_str(), "");
            }
            now.account = expected;
        }
        self.assets[n] = now;
        let is_sure = a.since.is_zero() && a.doubtful.is_empty() && a.drift.is_none();
        self.sure[n] = a.balance.filter(|_| is_sure).map(|b| (b.lsn, b.total.0));
        Ok(())
    }

    /// What the exchange had at the end, on the day after it.
    fn end(&mut self, state: &State) -> Result<(), SinkError> {
        self.new_day(state.time.after(aegis_model::ids::DAY), state)
    }
}

#[cfg(test)]
mod tests {
    //! Where fees go; that all of it balances, beancount says itself (`tests/readers/check.py`).

    use super::*;
    use crate::testing::{reading, written};
    use aegis_model::event::{Fee, FillBooked, FillSource};
    use aegis_model::text::Label;
    use aegis_model::{Event, OrderId, Price, Quantity, Side, TradeId};
    use aegis_projection::testing::Story;

    /// What each account's postings come to, by account and commodity.
    fn sums(events: &[Event]) -> BTreeMap<(String, String), Fixed> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.beancount");
        let batches: Vec<Vec<Event>> = events.chunks(3).map(<[Event]>::to_vec).collect();
        export(reading(&written(&batches)), Until::End, &path, false, &mut |_| ()).expect("a journal");
        let text = std::fs::read_to_string(&path).expect("a ledger");
        let mut sums: BTreeMap<(String, String), Fixed> = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with("  ") && line.contains(':')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [account, amount, commodity, ..] = words[..] else { continue };
            let Ok(amount) = amount.parse::<Fixed>() else { continue };
            let sum = sums.entry((account.to_owned(), commodity.to_owned())).or_default();
            *sum = sum.plus(amount).expect("in range");
        }
        sums
    }

    fn buy(story: &mut Story, instrument: u32, trade: &str, quantity: Quantity, fee: Option<Fee>) {
        story.tell(FillBooked {
            instrument: InstrumentId(instrument),
            trade: TradeId(Label::lossy(trade)),
            order: OrderId(0),
            venue_order: None,
            side: Side::Buy,
            price: Price::new(300, 0),
            quantity,
            fee,
            executed: aegis_projection::testing::BEGIN,
            source: FillSource::External,
        });
    }

    #[test]
    fn no_two_assets_share_a_name() {
        let mut ledger = Ledger::new(BufWriter::new(tempfile::tempfile().expect("a file")), PathBuf::new());
        let long = "A".repeat(30);
        let names = ["XW", "W", "w", "A.B", "A-B", "", "-", &long, &long[..25], "BTC"];
        let named: Vec<String> = names.iter().map(|name| ledger.commodity(name)).collect();
        let (a24, a22) = ("A".repeat(24), "A".repeat(22) + "-2");
        assert_eq!(named, ["XW", "XW-2", "XW-3", "A-B", "A-B-2", "X", "X-2", &a24, &a22, "BTC"]);
        assert_eq!(ledger.commodity("W"), "XW-2");
    }

    #[test]
    fn a_fee_paid_with_what_is_held_is_a_fee() {
        let mut story = Story::begin();
        let bnb = story.state.instruments[1].spec.base;
        let fee = |amount: Quantity| Some(Fee { asset: bnb, amount });
        let fees = |story: &Story| {
            let found = sums(&story.events);
            let of = |account: &str| {
                let key = (account.to_owned(), "BNB".to_owned());
                found.get(&key).copied().unwrap_or_default().to_string()
            };
            (of("Expenses:Fees:BNB"), of("Assets:Exchange:BNB"))
        };
        buy(&mut story, 1, "t1", Quantity::new(2, 0), fee(Quantity::new(1, 1)));
        assert_eq!(fees(&story), ("0.1".to_owned(), "1.9".to_owned()), "in its own asset");
        buy(&mut story, 0, "t2", Quantity::new(1, 0), fee(Quantity::new(5, 1)));
        assert_eq!(fees(&story), ("0.6".to_owned(), "1.4".to_owned()), "in a third one that is held");
        assert_eq!(story.state.assets[usize::from(bnb.0)].third_fees.to_string(), "0.5");
        // More than is held: nobody knows of the rest, since no balance was told.
        buy(&mut story, 2, "t3", Quantity::new(1, 0), fee(Quantity::new(3, 0)));
        let left = story.state.instruments[1].held();
        assert_eq!(left, Quantity::ZERO);
        assert_eq!(fees(&story), ("2".to_owned(), "0".to_owned()), "in one of which too little is held");
    }
}
