//! Histories, page by page: whole, or the words of why not. A part of one is never given out as all of it.

use crate::wire::rest::Rest;
use aegis_cryptocom::{Key, Listing, Request, Span, Walk, Wire};
use aegis_model::{Label, Text, Timestamp};
use std::fmt;

impl Rest {
    /// A history between two moments of the exchange's clock, whole.
    ///
    /// # Errors
    /// Words that name the read: a page that failed, a row that could not be read, a gap.
    pub(crate) async fn history<T: Wire>(
        &self,
        from: Timestamp,
        until: Timestamp,
        instrument: Option<Label>,
        request: impl Fn(&Span) -> Request,
        key: impl Fn(&T) -> Option<Key>,
    ) -> Result<Vec<T>, Text> {
        let mut walk = Walk::with(from, aegis_cryptocom::request::PAGE_MAX as usize, 0);
        walk.begin(until, &self.shared.settings.instruments);
        let mut all = Vec::new();
        while let Some(span) = walk.next() {
            let asked = request(&Span { instrument: span.instrument.or(instrument), ..span });
            let method = asked.method();
            let page: Listing<T> = self.read(&asked).await.map_err(|missing| missing.words())?;
            let misfit =
                |why: &dyn fmt::Display| Text::new(&format!("{method}: a row cannot be read: {why}"));
            if let Some(first) = page.data.misfits.first() {
                return Err(misfit(first));
            }
            let keys: Option<Vec<Key>> = page.data.rows.iter().map(&key).collect();
            let Some(keys) = keys else { return Err(misfit(&"it has no time")) };
            let fresh = walk.page(&keys, true);
            let mut rows: Vec<Option<T>> = page.data.rows.into_iter().map(Some).collect();
            all.extend(fresh.into_iter().filter_map(|at| rows.get_mut(at).and_then(Option::take)));
        }
        match walk.finish() {
            Ok(_) => Ok(all),
            Err(gaps) => Err(Text::new(&format!("a history has gaps: {gaps:?}"))),
        }
    }
}
