//! What the account holds and has open, read in the order of the reference's section 14.4: open orders, details of
//! ours that are not among them, trades, flows, balances last and until two of them agree.
//!
//! Frames of the user socket are told while this reads: a fill that waited for the last page would be a holding without
//! a stop for that long. Instead a frame that comes between the two agreeing balances and the end of the reads counts
//! as a change, and another round is read, so that nothing told before the listing contradicts it.

use crate::wire::answer::Missing;
use crate::wire::ledger::named;
use crate::wire::orders::detail;
use crate::wire::rest::Rest;
use crate::wire::settings::ns;
use crate::wire::words::{Heard, NamedRow, NamedTrade, Ours, Snapshot};
use aegis_cryptocom::request::{OfInstrument, OrderKey};
use aegis_cryptocom::rows::{OrderRow, TradeRow, TransactionRow};
use aegis_cryptocom::{Misfit, Request, bridge};
use aegis_model::input::{Answer, Scope, VenueBalance, VenueFlow};
use aegis_model::{ClientOrderId, Label, Text, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// A history that is read again from shortly before where it ended.
struct Catch<T> {
    from: Timestamp,
    rows: BTreeMap<Label, T>,
}

impl<T> Catch<T> {
    const fn new(from: Timestamp) -> Catch<T> {
        Catch { from, rows: BTreeMap::new() }
    }

    /// Takes over what was asked for at this moment; true when any of it is new.
    fn take(&mut self, rows: Vec<T>, asked: Timestamp, overlap: i64, id: impl Fn(&T) -> Label) -> bool {
        let before = self.rows.len();
        for row in rows {
            self.rows.entry(id(&row)).or_insert(row);
        }
        self.from = self.from.max(asked.after(-overlap));
        self.rows.len() > before
    }
}

/// The part of a snapshot that is about money.
struct Money {
    requested: Timestamp,
    balances: Answer<Vec<VenueBalance>>,
    trades: Answer<Vec<NamedTrade>>,
    flows: Answer<Vec<VenueFlow>>,
    through: Timestamp,
}

impl Rest {
    /// Reads and tells a snapshot.
    pub(crate) async fn snapshot(&self, number: u64, scope: Scope, trades_from: Timestamp, ours: &[Ours]) {
        let snapshot = match scope {
            Scope::Balances => self.balances_only(number, trades_from).await,
            Scope::Full => self.full(number, trades_from, ours).await,
        };
        self.shared.tell(Heard::Snapshot(Box::new(snapshot))).await;
    }

    async fn balances_only(&self, number: u64, trades_from: Timestamp) -> Snapshot {
        let requested = crate::wire::clock::now();
        Snapshot {
            number,
            requested,
            balances: answer(self.balances().await),
            open_orders: Answer::NotAsked,
            orders_at: Timestamp::EPOCH,
            ended_orders: Answer::NotAsked,
            trades: Answer::NotAsked,
            flows: Answer::NotAsked,
            trades_from,
            trades_through: trades_from,
        }
    }

    async fn full(&self, number: u64, trades_from: Timestamp, ours: &[Ours]) -> Snapshot {
        let shared = &self.shared;
        shared.ledger.learn(ours);
        let from = if trades_from == Timestamp::EPOCH {
            shared.clock.since(shared.began)
        } else {
            trades_from.after(-ns(shared.settings.trades_overlap))
        };
        let orders_at = shared.clock.venue_now_at_least();
        let (open_orders, ended_orders) = self.orders(ours).await;
        let money = self.money(from).await;
        Snapshot {
            number,
            requested: money.requested,
            balances: money.balances,
            open_orders,
            orders_at,
            ended_orders,
            trades: money.trades,
            flows: money.flows,
            trades_from: from,
            trades_through: money.through,
        }
    }

    /// Open orders of both namespaces, and where those of ours stand that are not among them.
    async fn orders(&self, ours: &[Ours]) -> (Answer<Vec<NamedRow>>, Answer<Vec<NamedRow>>) {
        let all = OfInstrument { instrument_name: None };
        let plain = self.listing::<OrderRow>(&Request::GetOpenOrders(all.clone())).await;
        let advanced = self.listing::<OrderRow>(&Request::AdvancedGetOpenOrders(all)).await;
        let (plain, advanced) = match (plain, advanced) {
            (Ok(plain), Ok(advanced)) => (plain, advanced),
            (Err(words), _) | (_, Err(words)) => {
                let not_asked = Text::new(&format!("not asked, since open orders failed: {words}"));
                return (Answer::Failed(words), Answer::Failed(not_asked));
            }
        };
        let mut open = Vec::new();
        let mut ended = Vec::new();
        for row in &advanced {
            match self.trigger(row).await {
                Ok(row) => file(row, &mut open, &mut ended),
                Err(words) => return (Answer::Failed(words.clone()), Answer::Failed(words)),
            }
        }
        for row in &plain {
            match self.plain(row) {
                Ok(row) => file(row, &mut open, &mut ended),
                Err(misfit) => {
                    let words =
                        Text::new(&format!("private/get-open-orders: a row cannot be read: {misfit}"));
                    return (Answer::Failed(words.clone()), Answer::Failed(words));
                }
            }
        }
        let listed = |client: ClientOrderId| open.iter().any(|row| row.row.client == Some(client));
        let unlisted: Vec<Ours> = ours.iter().filter(|order| !listed(order.client)).copied().collect();
        for order in unlisted {
            match self.detail_of_ours(&order).await {
                Ok(Some(row)) => file(row, &mut open, &mut ended),
                Ok(None) => {}
                Err(words) => return (Answer::Complete(open), Answer::Failed(words)),
            }
        }
        (Answer::Complete(open), Answer::Complete(ended))
    }

    fn plain(&self, row: &OrderRow) -> Result<NamedRow, Misfit> {
        match self.shared.ledger.placed(row.order_id, bridge::our_id(row.client_oid)) {
            Some(placed) if placed.released => NamedRow::released(row, placed.client, placed.venue_order),
            Some(_) | None => NamedRow::of(row),
        }
    }

    /// A row of the advanced namespace: where a fired trigger's released order stands.
    async fn trigger(&self, row: &OrderRow) -> Result<NamedRow, Text> {
        let words = |misfit: Misfit| Text::new(&format!("an advanced order's row cannot be read: {misfit}"));
        let client = bridge::our_id(row.client_oid);
        if let Some(client) = client {
            let news = self.shared.ledger.triggered(client, row).map_err(words)?;
            self.tell_all(news).await;
        }
        let (Some(client), Some(released)) = (client, named(row.exchange_order_id)) else {
            return NamedRow::of(row).map_err(words);
        };
        let key = OrderKey { client_oid: None, order_id: Some(released) };
        match self.read::<OrderRow>(&detail(false, &key)).await {
            Ok(plain) => NamedRow::released(&plain, client, Some(row.order_id)).map_err(words),
            Err(missing) => Err(Text::new(&format!(
                "the released order {} is not shown: {}",
                released.0,
                missing.words()
            ))),
        }
    }

    /// Where one of ours stands that no listing showed; none when its detail does not either.
    async fn detail_of_ours(&self, order: &Ours) -> Result<Option<NamedRow>, Text> {
        let key = OrderKey::of_client(order.client.label());
        match self.read::<OrderRow>(&detail(order.advanced, &key)).await {
            Ok(row) if order.advanced => self.trigger(&row).await.map(Some),
            Ok(row) => NamedRow::of(&row)
                .map(Some)
                .map_err(|misfit| Text::new(&format!("an order's row cannot be read: {misfit}"))),
            Err(Missing::NotFound) => Ok(None),
            Err(failed) => Err(failed.words()),
        }
    }

    /// Trades, flows and balances that belong together.
    async fn money(&self, from: Timestamp) -> Money {
        let shared = &self.shared;
        let overlap = ns(shared.settings.lookup_overlap);
        let mut trades = Catch::<TradeRow>::new(from);
        let mut flows = Catch::<TransactionRow>::new(from);
        let mut requested = crate::wire::clock::now();
        let mut through = from;
        let failed =
            |requested, trades_failed: Option<Text>, flows_failed: Option<Text>, balances: Text| Money {
                requested,
                balances: Answer::Failed(balances),
                trades: trades_failed.map_or(Answer::NotAsked, Answer::Failed),
                flows: flows_failed.map_or(Answer::NotAsked, Answer::Failed),
                through: from,
            };
        let mut before: Option<Vec<VenueBalance>> = None;
        let mut stirred = shared.stirred.load(Ordering::Acquire);
        let mut why = "they were asked for only once";
        for _ in 0..=shared.settings.balance_rounds {
            let until = shared.clock.ahead();
            let asked = shared.clock.venue_now_at_least().min(crate::wire::clock::now());
            let new_trades = match self.trades(trades.from, until, None).await {
                Ok(rows) => trades.take(rows, asked, overlap, |row| row.trade_id.0),
                Err(words) => {
                    let balances = Text::new(&format!("not compared, since trades failed: {words}"));
                    let flows = Text::new("not asked, since trades failed");
                    return failed(requested, Some(words), Some(flows), balances);
                }
            };
            let page = |span: &aegis_cryptocom::Span| Request::GetTransactions(span.transactions());
            let new_flows = match self.history(flows.from, until, None, page, TransactionRow::key).await {
                Ok(rows) => flows.take(rows, asked, overlap, |row| row.journal_id.0),
                Err(words) => {
                    let balances = Text::new(&format!("not compared, since flows failed: {words}"));
                    let trades = Text::new("not compared, since flows failed");
                    return failed(requested, Some(trades), Some(words), balances);
                }
            };
            requested = crate::wire::clock::now();
            through = through.max(asked.after(-ns(shared.settings.trades_lag)));
            let mark = std::mem::replace(&mut stirred, shared.stirred.load(Ordering::Acquire));
            let balances = match self.balances().await {
                Ok(balances) => balances,
                Err(words) => {
                    let mut money = self.settle(trades, flows, words.clone(), requested, through);
                    money.balances = Answer::Failed(words);
                    return money;
                }
            };
            let same = before.as_ref() == Some(&balances);
            // From before the first of the two reads until now.
            let quiet = mark == shared.stirred.load(Ordering::Acquire);
            if (same && !new_trades && !new_flows && quiet) || aegis_model::mutant!(17) {
                let mut money = self.settle(trades, flows, Text::default(), requested, through);
                money.balances = Answer::Complete(balances);
                return money;
            }
            why = match (before.is_some(), same, new_trades || new_flows) {
                (false, _, _) => why,
                (true, false, _) => "two reads differed",
                (true, true, true) => "trades or flows appeared between two reads",
                (true, true, false) => "orders moved while they were read",
            };
            before = Some(balances);
        }
        let words = Text::new(&format!("private/user-balance: no two reads agreed: {why}"));
        let mut money = self.settle(trades, flows, Text::default(), requested, through);
        money.balances = Answer::Unsettled(words);
        money
    }

    /// What was read of trades and flows, with balances still to be filled in.
    fn settle(
        &self,
        trades: Catch<TradeRow>,
        flows: Catch<TransactionRow>,
        words: Text,
        requested: Timestamp,
        through: Timestamp,
    ) -> Money {
        let misfit =
            |what: &str, misfit: Misfit| Text::new(&format!("{what}: a row cannot be read: {misfit}"));
        let named = |row: &TradeRow| {
            let named = NamedTrade::of(row)?;
            Ok(match self.shared.ledger.placed(row.order_id, named.trade.client) {
                Some(placed) => named.of_ours(placed.client, placed.venue_order),
                None => named,
            })
        };
        let trades: Result<Vec<NamedTrade>, Misfit> = trades.rows.values().map(named).collect();
        let flows: Result<Vec<Option<VenueFlow>>, Misfit> = flows.rows.values().map(bridge::flow).collect();
        Money {
            requested,
            balances: Answer::Failed(words),
            trades: answer(trades.map_err(|e| misfit("private/get-trades", e))),
            flows: answer(
                flows
                    .map(|rows| rows.into_iter().flatten().collect())
                    .map_err(|e| misfit("private/get-transactions", e)),
            ),
            through,
        }
    }
}

fn file(row: NamedRow, open: &mut Vec<NamedRow>, ended: &mut Vec<NamedRow>) {
    match row.row.status {
        aegis_model::input::RowStatus::Open => {
            // The released order may be listed itself and under its trigger.
            let same = |known: &NamedRow| {
                (known.row.client, known.row.venue_order) == (row.row.client, row.row.venue_order)
            };
            if !open.iter().any(same) {
                open.push(row);
            }
        }
        aegis_model::input::RowStatus::Filled
        | aegis_model::input::RowStatus::Cancelled
        | aegis_model::input::RowStatus::Rejected
        | aegis_model::input::RowStatus::Expired => ended.push(row),
    }
}

fn answer<T: Default>(result: Result<T, Text>) -> Answer<T> {
    match result {
        Err(_) if aegis_model::mutant!(14) => Answer::Complete(T::default()),
        Ok(value) => Answer::Complete(value),
        Err(words) => Answer::Failed(words),
    }
}
