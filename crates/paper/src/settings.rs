//! The exchange's terms: fees and slippage. Settings stand beside the state; every record carries its outcome.
//!
//! They never change what was decided under earlier terms.

use aegis_model::Rate;
use core::fmt;

/// Terms of the exchange; only checked ones exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    maker: Rate,
    taker: Rate,
    slippage: Rate,
    repeated: bool,
}

/// Which rate lies outside its range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SettingsError {
    /// The maker fee is outside 0..=1.
    Maker(Rate),
    /// The taker fee is outside 0..=1.
    Taker(Rate),
    /// The slippage is outside 0..1.
    Slippage(Rate),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingsError::Maker(rate) => write!(f, "a maker fee of {rate}: use a rate from 0 to 1"),
            SettingsError::Taker(rate) => write!(f, "a taker fee of {rate}: use a rate from 0 to 1"),
            SettingsError::Slippage(rate) => write!(f, "a slippage of {rate}: use a rate from 0 to below 1"),
        }
    }
}

impl core::error::Error for SettingsError {}

impl Default for Settings {
    /// 25 basis points for makers, 50 for takers, no slippage.
    fn default() -> Settings {
        Settings {
            maker: Rate::basis_points(25),
            taker: Rate::basis_points(50),
            slippage: Rate::ZERO,
            repeated: false,
        }
    }
}

impl Settings {
    /// Terms from rates: fees in 0..=1, slippage in 0..1 (0.001 is ten basis points).
    ///
    /// # Errors
    /// [`SettingsError`] names the rate that is outside its range.
    pub fn new(maker: Rate, taker: Rate, slippage: Rate) -> Result<Settings, SettingsError> {
        if maker.is_negative() || maker > Rate::ONE {
            return Err(SettingsError::Maker(maker));
        }
        if taker.is_negative() || taker > Rate::ONE {
            return Err(SettingsError::Taker(taker));
        }
        if slippage.is_negative() || slippage >= Rate::ONE {
            return Err(SettingsError::Slippage(slippage));
        }
        Ok(Settings { maker, taker, slippage, repeated: false })
    }

    /// The same, where an order that a conditional order became repeats its client order id.
    #[must_use]
    pub const fn repeating_clients(self, repeated: bool) -> Settings {
        Settings { repeated, ..self }
    }

    /// Whether an order that a conditional order became repeats its client order id.
    pub const fn repeats_clients(&self) -> bool {
        self.repeated
    }

    /// The fee rate of an order that rested.
    pub const fn maker(&self) -> Rate {
        self.maker
    }

    /// The fee rate of an order that took.
    pub const fn taker(&self) -> Rate {
        self.taker
    }

    /// What a trigger loses when the price trades through it, as a share of the trigger.
    pub const fn slippage(&self) -> Rate {
        self.slippage
    }
}
