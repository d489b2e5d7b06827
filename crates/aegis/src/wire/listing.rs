//! The facts of the instruments that are traded: ticks from the list of instruments, minimums from the risk parameters;
//! and the account's own. All of them change at the exchange, so nothing of them is written into code.

use crate::wire::rest::Rest;
use crate::wire::words::{Account, Heard, Instruments};
use aegis_cryptocom::request::{Accounts, NoParams};
use aegis_cryptocom::rows::{AccountsResult, FeeRates, InstrumentRow, RiskParameters};
use aegis_cryptocom::{Request, bridge};
use aegis_model::{Label, Money, Text};

/// Quote assets in which an amount in USD is taken as it stands.
const LIKE_USD: [&str; 4] = ["USD", "USDT", "USDC", "USD_Stable_Coin"];

impl Rest {
    /// Reads and tells the facts of the instruments.
    pub(crate) async fn instruments(&self) {
        let read = self.read_instruments().await;
        self.shared.tell(Heard::Instruments(read)).await;
    }

    /// Reads and tells what is told of the account.
    pub(crate) async fn account(&self) {
        let read = self.read_account().await;
        self.shared.tell(Heard::Account(read)).await;
    }

    async fn read_account(&self) -> Result<Account, Text> {
        let accounts = Request::GetAccounts(Accounts { page: None, page_size: Some(1) });
        let accounts: AccountsResult = self.read(&accounts).await.map_err(|missing| missing.words())?;
        let rates: FeeRates =
            self.read(&Request::GetFeeRate(NoParams)).await.map_err(|missing| missing.words())?;
        Ok(Account {
            tradable: accounts.master_account.tradable,
            suspended: accounts.master_account.suspended,
            maker_bps: rates.spot_maker_bps,
            taker_bps: rates.spot_taker_bps,
        })
    }

    async fn read_instruments(&self) -> Result<Instruments, Text> {
        let rows = self.all_instruments().await?;
        let risk: RiskParameters =
            self.read(&Request::GetRiskParameters(NoParams)).await.map_err(|missing| missing.words())?;
        let mut listed = Vec::new();
        let mut missing = Vec::new();
        for name in &self.shared.settings.instruments {
            let row = rows.iter().find(|row| row.symbol == *name);
            match row.and_then(|row| bridge::listed_instrument(row, minimum(&risk, row))) {
                Some(instrument) => listed.push(instrument),
                None => missing.push(*name),
            }
        }
        Ok(Instruments { listed, missing })
    }

    /// Every instrument that could be read. A row of a kind that is not traded here may be of any shape.
    async fn all_instruments(&self) -> Result<Vec<InstrumentRow>, Text> {
        let request = Request::GetInstruments(NoParams);
        let listing: aegis_cryptocom::Listing<InstrumentRow> =
            self.read(&request).await.map_err(|missing| missing.words())?;
        if !listing.data.misfits.is_empty() {
            tracing::warn!(
                rows = listing.data.misfits.len(),
                "instruments that cannot be read are passed over"
            );
        }
        Ok(listing.data.rows)
    }
}

/// The least worth of an order in the quote asset. The exchange states it in USD by base currency; for other quotes it
/// states nothing, and an order below it is refused with 415.
fn minimum(risk: &RiskParameters, row: &InstrumentRow) -> Money {
    let like_usd = LIKE_USD.iter().any(|name| row.quote_ccy == Label::literal(name));
    let of_base = risk.base_currency_config.rows.iter().find(|base| base.instrument_name == row.base_ccy);
    of_base.filter(|_| like_usd).and_then(|base| base.min_order_notional_usd).unwrap_or(Money::ZERO)
}
