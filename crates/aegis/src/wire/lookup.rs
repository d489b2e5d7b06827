//! What became of one order: the procedure for an unknown outcome (reference, section 14.3), as one answer with its
//! evidence. A read that fails makes the lookup fail; only complete answers are ever taken for absence.

use crate::wire::answer::Missing;
use crate::wire::ledger::named;
use crate::wire::orders::detail;
use crate::wire::rest::Rest;
use crate::wire::settings::ns;
use crate::wire::words::{Checked, Found, Heard, LookUp, NamedRow, NamedTrade};
use aegis_cryptocom::request::{NoParams, OfInstrument, OrderKey};
use aegis_cryptocom::rows::{BalanceRow, OrderRow, TradeRow};
use aegis_cryptocom::{Listing, Request, Wire, bridge};
use aegis_model::ids::SECOND;
use aegis_model::input::VenueBalance;
use aegis_model::{Label, Side, Text, Timestamp, VenueOrderId};
use std::fmt::Write as _;

/// What was asked and answered so far.
struct Evidence(String);

impl Evidence {
    fn add(&mut self, what: impl std::fmt::Display) {
        let comma = if self.0.is_empty() { "" } else { "; " };
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{comma}{what}");
    }
}

/// One namespace's answer.
enum Detail {
    Row(Box<OrderRow>),
    Nowhere,
}

impl Rest {
    /// Looks an order up and tells what was found.
    pub(crate) async fn look_up(&self, asked: LookUp) {
        let mut evidence = Evidence(String::new());
        let found = match self.search(&asked, &mut evidence).await {
            Ok(found) => found,
            Err(words) => Found::Failed(words),
        };
        let evidence = Text::new(&evidence.0);
        tracing::info!(client = %asked.client, "looked up: {evidence}");
        self.shared.tell(Heard::LookedUp { token: asked.token, found, evidence }).await;
    }

    async fn search(&self, asked: &LookUp, evidence: &mut Evidence) -> Result<Found, Text> {
        // Absence counts by the moment before anything was read.
        let began = self.shared.clock.venue_now_at_least();
        for advanced in [asked.advanced, !asked.advanced] {
            if let Detail::Row(row) = self.detail_of(asked, advanced, evidence).await? {
                return self.present(asked, advanced, &row, evidence).await;
            }
        }
        // What a trigger released may be all that is left of it.
        if let Some(released) = named(asked.released).or(self.shared.ledger.released(asked.client)) {
            let plain = self.released(released, evidence).await?;
            return self.present(asked, false, &plain, evidence).await;
        }
        let late = self.is_late(asked, began, evidence);
        if !late && asked.side == Side::Buy {
            // An entry is never sent again early, so nothing more needs to be known yet.
            return Ok(Found::Absent { late, checked: None });
        }
        self.cross_check(asked, late, evidence).await
    }

    /// Whether no copy of the request can be accepted any more: its nonce is outside the window, with the margin.
    fn is_late(&self, asked: &LookUp, began: Timestamp, evidence: &mut Evidence) -> bool {
        let settings = &self.shared.settings;
        let intended = self.shared.clock.at_venue(asked.intended);
        let sent = self.shared.ledger.sent(asked.client).map_or(intended, |sent| sent.max(intended));
        let age = began.since(sent);
        let (whole, part) = (age / SECOND, (age % SECOND).abs() / 1_000_000);
        evidence.add(format_args!("asked {whole}.{part:03} s after it was sent"));
        age > ns(settings.nonce_window).saturating_add(ns(settings.absence_margin))
    }

    /// By our id, and by the venue's where that is known.
    async fn detail_of(
        &self,
        asked: &LookUp,
        advanced: bool,
        evidence: &mut Evidence,
    ) -> Result<Detail, Text> {
        let by_client = OrderKey::of_client(asked.client.label());
        let known = named(asked.venue_order).or(self.shared.ledger.venue_order(asked.client));
        let by_venue = known.filter(|_| advanced == asked.advanced);
        let by_venue = by_venue.map(|id| OrderKey { client_oid: None, order_id: Some(id) });
        for key in std::iter::once(by_client).chain(by_venue) {
            let by = if key.client_oid.is_some() { "client" } else { "venue" };
            let space = if advanced { "advanced" } else { "plain" };
            match self.read::<OrderRow>(&detail(advanced, &key)).await {
                Ok(row) => {
                    evidence.add(format_args!("{space} detail by {by} id: {}", row.status.word()));
                    return Ok(Detail::Row(Box::new(row)));
                }
                Err(Missing::NotFound) => {
                    evidence.add(format_args!("{space} detail by {by} id: 40401"));
                }
                Err(failed) => return Err(failed.words()),
            }
        }
        Ok(Detail::Nowhere)
    }

    /// The order was found: where it stands, and its trades.
    async fn present(
        &self,
        asked: &LookUp,
        advanced: bool,
        row: &OrderRow,
        evidence: &mut Evidence,
    ) -> Result<Found, Text> {
        let misfit = |e: &dyn std::fmt::Display| Text::new(&format!("the order's row cannot be read: {e}"));
        let (row, named_row) = if advanced {
            let news = self.shared.ledger.triggered(asked.client, row).map_err(|e| misfit(&e))?;
            if !news.is_empty() {
                evidence.add("its trigger fired");
            }
            self.tell_all(news).await;
            match named(row.exchange_order_id).or(named(asked.released)) {
                None => (row.clone(), NamedRow::of(row).map_err(|e| misfit(&e))?),
                Some(released) => {
                    let plain = self.released(released, evidence).await?;
                    let trigger = Some(row.order_id);
                    let named_row =
                        NamedRow::released(&plain, asked.client, trigger).map_err(|e| misfit(&e))?;
                    (plain, named_row)
                }
            }
        } else if asked.advanced {
            // A plain order under a trigger's client id, or the one that it is known to have released.
            let news = self.shared.ledger.released_by(asked.client, row.order_id).map_err(|e| misfit(&e))?;
            self.tell_all(news).await;
            let trigger = named(asked.venue_order).or(self.shared.ledger.venue_order(asked.client));
            (row.clone(), NamedRow::released(row, asked.client, trigger).map_err(|e| misfit(&e))?)
        } else {
            (row.clone(), NamedRow::of(row).map_err(|e| misfit(&e))?)
        };
        let trades = self.trades_of(asked, &row, named(Some(named_row.row.venue_order)), evidence).await?;
        Ok(Found::Present { row: named_row, trades })
    }

    /// Tells what reading an order's row was news of.
    pub(crate) async fn tell_all(&self, news: Vec<Heard>) {
        for heard in news {
            self.shared.tell(heard).await;
        }
    }

    async fn released(&self, id: VenueOrderId, evidence: &mut Evidence) -> Result<OrderRow, Text> {
        let key = OrderKey { client_oid: None, order_id: Some(id) };
        match self.read::<OrderRow>(&detail(false, &key)).await {
            Ok(plain) => {
                evidence.add(format_args!("released order {}: {}", id.0, plain.status.word()));
                Ok(plain)
            }
            Err(missing) => {
                Err(Text::new(&format!("the released order {} is not shown: {}", id.0, missing.words())))
            }
        }
    }

    /// All trades of a found order; none are asked for where its row says that there are none.
    async fn trades_of(
        &self,
        asked: &LookUp,
        row: &OrderRow,
        venue_order: Option<VenueOrderId>,
        evidence: &mut Evidence,
    ) -> Result<Vec<NamedTrade>, Text> {
        if !row.cumulative_quantity.is_positive() {
            return Ok(Vec::new());
        }
        let settings = &self.shared.settings;
        let began = row.created().unwrap_or(self.shared.clock.since(asked.earliest.min(asked.intended)));
        let ended = row.updated().filter(|_| row.status.is_terminal() == Some(true));
        let now = self.shared.clock.ahead();
        let until = ended.map_or(now, |ended| ended.after(ns(settings.trades_overlap)).min(now));
        let from = began.after(-ns(settings.lookup_overlap));
        let rows = self.trades(from, until, Some(asked.instrument)).await?;
        let client = asked.client.label();
        let own = |trade: &&TradeRow| trade.order_id == row.order_id || trade.client_oid == Some(client);
        let trades = rows
            .iter()
            .filter(own)
            .map(|trade| Ok(NamedTrade::of(trade)?.of_ours(asked.client, venue_order)));
        let trades: Result<Vec<NamedTrade>, aegis_cryptocom::Misfit> = trades.collect();
        let trades =
            trades.map_err(|e| Text::new(&format!("private/get-trades: a row cannot be read: {e}")))?;
        evidence.add(format_args!("{} trades of it", trades.len()));
        Ok(trades)
    }

    /// Trades between two moments of the exchange's clock.
    ///
    /// # Errors
    /// As [`Rest::history`].
    pub(crate) async fn trades(
        &self,
        from: Timestamp,
        until: Timestamp,
        instrument: Option<Label>,
    ) -> Result<Vec<TradeRow>, Text> {
        self.history(from, until, instrument, |span| Request::GetTrades(span.history()), TradeRow::key).await
    }

    /// Everything that both details said is looked for elsewhere: open orders, history, trades, balances, in this
    /// order.
    async fn cross_check(&self, asked: &LookUp, late: bool, evidence: &mut Evidence) -> Result<Found, Text> {
        let client = asked.client.label();
        let ours = |row: &&OrderRow| row.client_oid == Some(client);
        let of_all = OfInstrument { instrument_name: None };
        for advanced in [false, true] {
            let request = if advanced {
                Request::AdvancedGetOpenOrders(of_all.clone())
            } else {
                Request::GetOpenOrders(of_all.clone())
            };
            let rows = self.listing::<OrderRow>(&request).await?;
            if let Some(row) = rows.iter().find(ours) {
                evidence.add(format_args!("{} shows it", request.method()));
                return self.present(asked, advanced, row, evidence).await;
            }
            evidence.add(format_args!("{}: {} rows, not it", request.method(), rows.len()));
        }
        let from = self
            .shared
            .clock
            .since(asked.earliest.min(asked.intended))
            .after(-ns(self.shared.settings.lookup_overlap));
        let until = self.shared.clock.ahead();
        let instrument = Some(asked.instrument);
        for advanced in [false, true] {
            let request = |span: &aegis_cryptocom::Span| {
                let span = span.history();
                if advanced { Request::AdvancedGetOrderHistory(span) } else { Request::GetOrderHistory(span) }
            };
            let rows = self.history(from, until, instrument, request, OrderRow::key).await?;
            let space = if advanced { "advanced" } else { "plain" };
            if let Some(row) = rows.iter().find(ours) {
                evidence.add(format_args!("{space} order history shows it"));
                return self.present(asked, advanced, row, evidence).await;
            }
            evidence.add(format_args!("{space} order history: {} rows, not it", rows.len()));
        }
        let rows = self.trades(from, until, instrument).await?;
        if rows.iter().any(|trade| trade.client_oid == Some(client)) {
            return Err(Text::new("private/get-trades shows a trade of it, but no order is shown"));
        }
        evidence.add(format_args!("trades: {}, none of it", rows.len()));
        let trades: Result<Vec<NamedTrade>, aegis_cryptocom::Misfit> =
            rows.iter().map(NamedTrade::of).collect();
        let trades =
            trades.map_err(|e| Text::new(&format!("private/get-trades: a row cannot be read: {e}")))?;
        let balances = self.balances().await?;
        evidence.add(format_args!("balances of {} assets", balances.len()));
        Ok(Found::Absent { late, checked: Some(Checked { balances, trades }) })
    }

    /// A listing that comes whole in one answer.
    ///
    /// # Errors
    /// Words that name the read; a row that could not be read makes it fail.
    pub(crate) async fn listing<T: Wire>(&self, request: &Request) -> Result<Vec<T>, Text> {
        let listing: Listing<T> = self.read(request).await.map_err(|missing| missing.words())?;
        match listing.data.misfits.first() {
            None => Ok(listing.data.rows),
            Some(misfit) => Err(Text::new(&format!("{}: a row cannot be read: {misfit}", request.method()))),
        }
    }

    /// All balances, ordered by name.
    ///
    /// # Errors
    /// As [`Rest::listing`].
    pub(crate) async fn balances(&self) -> Result<Vec<VenueBalance>, Text> {
        let request = Request::UserBalance(NoParams);
        let rows = self.listing::<BalanceRow>(&request).await?;
        let mut balances = bridge::balances(&rows)
            .map_err(|e| Text::new(&format!("{}: the balances cannot be read: {e}", request.method())))?;
        balances.sort_by_key(|balance| balance.asset);
        Ok(balances)
    }
}
