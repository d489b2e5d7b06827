//! What this process knows about orders of ours at the exchange: which were placed as triggers, what a fired trigger
//! released, when each was last sent, and the newest row that was told of each.
//!
//! A released order need not repeat our client order id (reference, section 8.3): it is linked by the id that the
//! trigger's row shows, else by ours. Frames come in any order, so an order nobody can place yet waits a while for its
//! link. Rows that say less than what was told are dropped here; executions never are.

use crate::wire::words::{Heard, NamedRow, NamedTrade, Ours, Said, apart};
use aegis_cryptocom::code::class_of;
use aegis_cryptocom::request::Effect;
use aegis_cryptocom::rows::{OrderRow, TradeRow};
use aegis_cryptocom::words::OrderStatus;
use aegis_cryptocom::{Data, Misfit, Push, bridge};
use aegis_model::order::RejectClass;
use aegis_model::{ClientOrderId, Text, Timestamp, VenueOrderId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Orders known at most; the exchange allows 1,000 open ones. The one not heard of for longest is forgotten.
const KNOWN_MAX: usize = 4_096;
/// Rows and trades that wait for a link at most.
const STRAYS_MAX: usize = 256;

/// What is known of one order.
#[derive(Clone, Default)]
struct Known {
    advanced: bool,
    venue_order: Option<VenueOrderId>,
    released: Option<VenueOrderId>,
    /// The nonce of the last send, by the exchange's clock.
    sent: Option<Timestamp>,
    told: Option<Box<OrderRow>>,
    rejected: bool,
    /// When it was last touched, counted.
    used: u64,
}

/// A row or trade of an order that is not ours, or not known to be.
enum Stray {
    Row(Box<OrderRow>),
    Trade(Box<TradeRow>),
}

impl Stray {
    fn order(&self) -> VenueOrderId {
        match self {
            Stray::Row(row) => row.order_id,
            Stray::Trade(row) => row.order_id,
        }
    }
}

#[derive(Default)]
struct Inner {
    known: BTreeMap<ClientOrderId, Known>,
    by_released: BTreeMap<VenueOrderId, ClientOrderId>,
    strays: VecDeque<Stray>,
    uses: u64,
}

/// Which order of ours a plain order is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Placed {
    /// Our key.
    pub(crate) client: ClientOrderId,
    /// The venue's id under which the engine knows it.
    pub(crate) venue_order: Option<VenueOrderId>,
    /// Whether it was released by a trigger.
    pub(crate) released: bool,
}

/// The ledger; shared by all sockets and calls.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Inner>);

/// An id that names something.
pub(crate) fn named(id: Option<VenueOrderId>) -> Option<VenueOrderId> {
    id.filter(|id| !matches!(id.0.as_str(), "" | "0"))
}

impl Ledger {
    /// All that a frame of the user socket tells, in its order, and the rows of it that could not be read. A balance is
    /// believed only as part of a listing.
    pub(crate) fn push(&self, push: &Push) -> (Vec<Heard>, Vec<Misfit>) {
        let mut misfits: Vec<Misfit> = push.data.misfits().to_vec();
        let mut all = Vec::new();
        let mut keep = |heard: Result<Vec<Heard>, Misfit>| match heard {
            Ok(heard) => all.extend(heard),
            Err(misfit) => misfits.push(misfit),
        };
        match &push.data {
            Data::Orders(rows) => rows.rows.iter().for_each(|row| keep(self.plain_row(row))),
            Data::Triggers(rows) => rows.rows.iter().for_each(|row| keep(self.advanced_row(row))),
            Data::Trades(rows) => rows.rows.iter().for_each(|row| keep(self.trade(row))),
            Data::Balances(_)
            | Data::Tickers(_)
            | Data::PublicTrades(_)
            | Data::Books(_)
            | Data::Deltas(_)
            | Data::Candles(_) => {}
        }
        (all, misfits)
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what the journal knows.
    pub(crate) fn learn(&self, ours: &[Ours]) {
        let mut inner = self.inner();
        for order in ours {
            let known = inner.touch(order.client);
            known.advanced |= order.advanced;
            known.venue_order = known.venue_order.or(named(order.venue_order));
            if let Some(released) = named(order.released) {
                inner.link(order.client, released);
            }
        }
    }

    /// An order is about to be sent with this nonce.
    pub(crate) fn sending(&self, client: ClientOrderId, advanced: bool, nonce: Timestamp) {
        let mut inner = self.inner();
        let known = inner.touch(client);
        known.advanced = advanced;
        known.sent = known.sent.max(Some(nonce));
    }

    /// The exchange gave it this id.
    pub(crate) fn queued(&self, client: ClientOrderId, venue_order: Option<VenueOrderId>) {
        if let Some(id) = named(venue_order) {
            self.inner().touch(client).venue_order = Some(id);
        }
    }

    /// The nonce of the last send by this process.
    pub(crate) fn sent(&self, client: ClientOrderId) -> Option<Timestamp> {
        self.inner().known.get(&client)?.sent
    }

    /// What the trigger order with this id of ours released.
    pub(crate) fn released(&self, client: ClientOrderId) -> Option<VenueOrderId> {
        self.inner().known.get(&client)?.released
    }

    /// The venue's id of an order.
    pub(crate) fn venue_order(&self, client: ClientOrderId) -> Option<VenueOrderId> {
        self.inner().known.get(&client)?.venue_order
    }

    /// What was told did not arrive: the next row of each order counts, whatever it says.
    pub(crate) fn forget_told(&self) {
        self.inner().known.values_mut().for_each(|known| known.told = None);
    }

    /// Which order of ours a plain order is; none when it is not ours.
    pub(crate) fn placed(&self, order: VenueOrderId, client: Option<ClientOrderId>) -> Option<Placed> {
        self.inner().place(order, client)
    }

    /// An advanced row was read: remembers what it released. What that is news of: that it fired, and whatever of the
    /// released order waited for the link.
    ///
    /// # Errors
    /// As [`Ledger::plain_row`].
    pub(crate) fn triggered(&self, client: ClientOrderId, row: &OrderRow) -> Result<Vec<Heard>, Misfit> {
        self.inner().triggered(client, row)
    }

    /// A plain order under the client order id of a trigger was read: released by it. As [`Ledger::triggered`].
    ///
    /// # Errors
    /// As [`Ledger::plain_row`].
    pub(crate) fn released_by(
        &self,
        client: ClientOrderId,
        released: VenueOrderId,
    ) -> Result<Vec<Heard>, Misfit> {
        self.inner().news_of(client, released)
    }

    /// A row of a plain order from the user socket.
    ///
    /// # Errors
    /// What could not be read of a row of ours.
    pub(crate) fn plain_row(&self, row: &OrderRow) -> Result<Vec<Heard>, Misfit> {
        self.inner().plain_row(row)
    }

    /// A row of the advanced namespace from the user socket.
    ///
    /// # Errors
    /// As [`Ledger::plain_row`].
    pub(crate) fn advanced_row(&self, row: &OrderRow) -> Result<Vec<Heard>, Misfit> {
        let mut inner = self.inner();
        let Some(client) = bridge::our_id(row.client_oid) else { return Ok(Vec::new()) };
        let mut heard = inner.triggered(client, row)?;
        // A trigger known to have fired has nothing more to say: the released order speaks.
        if inner.touch(client).released.is_none() {
            heard.extend(inner.tell(client, row)?);
        }
        Ok(heard)
    }

    /// An execution from the user socket.
    ///
    /// # Errors
    /// As [`Ledger::plain_row`].
    pub(crate) fn trade(&self, row: &TradeRow) -> Result<Vec<Heard>, Misfit> {
        self.inner().trade(row)
    }

    /// The report that a row is, as it is or as the refusal that it tells of; none when it was told before.
    ///
    /// # Errors
    /// As [`Ledger::plain_row`].
    pub(crate) fn read_row(&self, client: ClientOrderId, row: &OrderRow) -> Result<Vec<Heard>, Misfit> {
        self.inner().tell(client, row)
    }
}

impl Inner {
    fn touch(&mut self, client: ClientOrderId) -> &mut Known {
        self.uses += 1;
        let uses = self.uses;
        if !self.known.contains_key(&client) && self.known.len() >= KNOWN_MAX {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used).map(|(client, _)| *client);
            if let Some(gone) = oldest.and_then(|oldest| self.known.remove(&oldest)) {
                gone.released.map(|released| self.by_released.remove(&released));
            }
        }
        let known = self.known.entry(client).or_default();
        known.used = uses;
        known
    }

    /// Remembers what a trigger released; true when that is news.
    fn link(&mut self, client: ClientOrderId, released: VenueOrderId) -> bool {
        let known = self.touch(client);
        if known.released == Some(released) {
            return false;
        }
        known.advanced = true;
        let before = known.released.replace(released);
        // From here on the released order's rows count, and they begin anew.
        known.told = None;
        before.map(|before| self.by_released.remove(&before));
        self.by_released.insert(released, client);
        true
    }

    fn triggered(&mut self, client: ClientOrderId, row: &OrderRow) -> Result<Vec<Heard>, Misfit> {
        let known = self.touch(client);
        known.advanced = true;
        known.venue_order = Some(row.order_id);
        match named(row.exchange_order_id) {
            Some(released) => self.news_of(client, released),
            None => Ok(Vec::new()),
        }
    }

    fn news_of(&mut self, client: ClientOrderId, released: VenueOrderId) -> Result<Vec<Heard>, Misfit> {
        if !self.link(client, released) {
            return Ok(Vec::new());
        }
        let mut heard = vec![self.fired(client, released)];
        heard.extend(self.gather(released)?);
        Ok(heard)
    }

    fn fired(&self, client: ClientOrderId, released: VenueOrderId) -> Heard {
        let venue_order = self.known.get(&client).and_then(|known| known.venue_order);
        Heard::Report {
            client,
            venue_order,
            said: Said::Triggered { released: apart(venue_order, released) },
        }
    }

    fn place(&self, order: VenueOrderId, client: Option<ClientOrderId>) -> Option<Placed> {
        if let Some(client) = self.by_released.get(&order).copied() {
            let venue_order = self.known.get(&client).and_then(|known| known.venue_order);
            return Some(Placed { client, venue_order, released: true });
        }
        let client = client?;
        let known = self.known.get(&client);
        match known.filter(|known| known.advanced) {
            Some(trigger) => Some(Placed { client, venue_order: trigger.venue_order, released: true }),
            None => Some(Placed { client, venue_order: Some(order), released: false }),
        }
    }

    /// A plain order that repeats a trigger's client order id was released by it: the link, as news.
    fn linked(&mut self, placed: Placed, order: VenueOrderId) -> Option<Heard> {
        (placed.released && self.link(placed.client, order)).then(|| self.fired(placed.client, order))
    }

    fn plain_row(&mut self, row: &OrderRow) -> Result<Vec<Heard>, Misfit> {
        let Some(placed) = self.place(row.order_id, bridge::our_id(row.client_oid)) else {
            self.stray(Stray::Row(Box::new(row.clone())));
            return Ok(Vec::new());
        };
        let mut heard: Vec<Heard> = self.linked(placed, row.order_id).into_iter().collect();
        heard.extend(self.tell(placed.client, row)?);
        Ok(heard)
    }

    fn trade(&mut self, row: &TradeRow) -> Result<Vec<Heard>, Misfit> {
        let Some(placed) = self.place(row.order_id, bridge::our_id(row.client_oid)) else {
            self.stray(Stray::Trade(Box::new(row.clone())));
            return Ok(Vec::new());
        };
        let trade = NamedTrade::of(row)?.of_ours(placed.client, placed.venue_order);
        let mut heard: Vec<Heard> = self.linked(placed, row.order_id).into_iter().collect();
        let (client, venue_order) = (placed.client, placed.venue_order);
        heard.push(Heard::Report { client, venue_order, said: Said::Filled(trade) });
        Ok(heard)
    }

    /// What waited for this link.
    fn gather(&mut self, released: VenueOrderId) -> Result<Vec<Heard>, Misfit> {
        let mut heard = Vec::new();
        for stray in std::mem::take(&mut self.strays) {
            if stray.order() != released {
                self.strays.push_back(stray);
                continue;
            }
            heard.extend(match stray {
                Stray::Row(row) => self.plain_row(&row)?,
                Stray::Trade(row) => self.trade(&row)?,
            });
        }
        Ok(heard)
    }

    fn stray(&mut self, stray: Stray) {
        if self.strays.len() >= STRAYS_MAX {
            self.strays.pop_front();
        }
        self.strays.push_back(stray);
    }

    fn tell(&mut self, client: ClientOrderId, row: &OrderRow) -> Result<Vec<Heard>, Misfit> {
        let known = self.touch(client);
        if known.told.as_ref().is_some_and(|told| !told.gives_way_to(row) || **told == *row) {
            return Ok(Vec::new());
        }
        let trigger = known.venue_order.filter(|_| known.advanced);
        let named = match known.released {
            Some(released) if released == row.order_id => NamedRow::released(row, client, trigger)?,
            Some(_) | None => NamedRow::of(row)?,
        };
        let venue_order = self::named(Some(named.row.venue_order));
        if !known.advanced {
            known.venue_order = venue_order;
        }
        known.told = Some(Box::new(row.clone()));
        let said = match rejection(row).filter(|_| !known.rejected) {
            Some((class, code, text)) => {
                known.rejected = true;
                Said::Rejected { class, code, text }
            }
            None => Said::Row(named),
        };
        Ok(vec![Heard::Report { client, venue_order, said }])
    }
}

/// The refusal that a row tells of, if it names a code whose meaning is known. A row that exists was recorded, so its
/// client order id is burnt: what would otherwise be tried again later is then left to the row.
pub(crate) fn rejection(row: &OrderRow) -> Option<(RejectClass, u32, Text)> {
    if row.status != OrderStatus::Rejected || row.cumulative_quantity.is_positive() {
        return None;
    }
    let number = row.reason.filter(|number| *number != 0)?;
    let class = bridge::reject_class(number, class_of(number, Effect::Write, row.order_type.is_trigger()))?;
    match class {
        RejectClass::Later | RejectClass::Duplicate => return None,
        RejectClass::Permanent
        | RejectClass::InsufficientBalance
        | RejectClass::TooSmall
        | RejectClass::PriceOut => {}
    }
    let words = row.reject_reason.as_deref();
    let name = aegis_cryptocom::Code::from_number(number).map(|code| code.row().name);
    let text = Text::new(words.or(name).unwrap_or_default());
    Some((class, u32::try_from(number).unwrap_or_default(), text))
}
