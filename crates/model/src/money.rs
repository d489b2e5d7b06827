//! Prices, quantities, money and rates: one number, four meanings, and only the products that make sense.
//!
//! Every product and quotient names its rounding; there are no operators, so an unchecked sum cannot be written.

use crate::fixed::{ArithmeticError, Fixed, ParseFixedError, Rounding};
use core::fmt;
use core::str::FromStr;

macro_rules! amount {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub Fixed);

        impl bincode::Encode for $name {
            #[inline(always)]
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                bincode::Encode::encode(&self.0, encoder)
            }
        }

        impl<Context> bincode::Decode<Context> for $name {
            #[inline(always)]
            fn decode<D: bincode::de::Decoder<Context = Context>>(
                decoder: &mut D,
            ) -> Result<$name, bincode::error::DecodeError> {
                bincode::Decode::decode(decoder).map($name)
            }
        }
        bincode::impl_borrow_decode!($name);

        impl $name {
            /// Zero.
            pub const ZERO: $name = $name(Fixed::ZERO);

            /// `mantissa * 10^-scale`, for literals in code; panics when `scale` is above 18.
            pub const fn new(mantissa: i64, scale: u32) -> $name {
                $name(Fixed::new(mantissa, scale))
            }

            /// Sum.
            ///
            /// # Errors
            /// [`ArithmeticError::Overflow`].
            pub const fn plus(self, other: $name) -> Result<$name, ArithmeticError> {
                match self.0.plus(other.0) {
                    Ok(v) => Ok($name(v)),
                    Err(e) => Err(e),
                }
            }

            /// Difference.
            ///
            /// # Errors
            /// [`ArithmeticError::Overflow`].
            pub const fn minus(self, other: $name) -> Result<$name, ArithmeticError> {
                match self.0.minus(other.0) {
                    Ok(v) => Ok($name(v)),
                    Err(e) => Err(e),
                }
            }

            /// The value with its sign turned.
            pub const fn negated(self) -> $name {
                $name(self.0.negated())
            }

            /// The magnitude.
            pub const fn abs(self) -> $name {
                $name(self.0.abs())
            }

            /// Whether it is zero.
            pub const fn is_zero(self) -> bool {
                self.0.is_zero()
            }

            /// Whether it is above zero.
            pub const fn is_positive(self) -> bool {
                self.0.is_positive()
            }

            /// Whether it is below zero.
            pub const fn is_negative(self) -> bool {
                self.0.is_negative()
            }

            /// The nearest multiple of `tick` in the named direction.
            ///
            /// # Errors
            /// [`ArithmeticError::Overflow`].
            pub fn to_tick(self, tick: $name, rounding: Rounding) -> Result<$name, ArithmeticError> {
                self.0.to_multiple(tick.0, rounding).map($name)
            }

            /// The value scaled by a rate.
            ///
            /// # Errors
            /// [`ArithmeticError::Overflow`].
            pub fn scaled(self, rate: Rate, rounding: Rounding) -> Result<$name, ArithmeticError> {
                self.0.times(rate.0, rounding).map($name)
            }

            /// `self * part / whole`, rounded once.
            ///
            /// # Errors
            /// [`ArithmeticError::DivisionByZero`], [`ArithmeticError::Overflow`].
            pub fn share(
                self,
                part: Quantity,
                whole: Quantity,
                rounding: Rounding,
            ) -> Result<$name, ArithmeticError> {
                self.0.times_over(part.0, whole.0, rounding).map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseFixedError;
            fn from_str(text: &str) -> Result<$name, ParseFixedError> {
                text.parse().map($name)
            }
        }
    };
}

amount!(
    /// Quote units for one base unit.
    Price
);
amount!(
    /// Units of one asset; where not said otherwise, of an instrument's base asset.
    Quantity
);
amount!(
    /// Units of the quote asset.
    Money
);
amount!(
    /// A pure ratio: 0.01 is one percent, 0.0001 one basis point; a confidence lies in 0..=1.
    Rate
);

impl Price {
    /// The worth of a quantity at this price.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`].
    pub fn times(self, quantity: Quantity, rounding: Rounding) -> Result<Money, ArithmeticError> {
        self.0.times(quantity.0, rounding).map(Money)
    }
}

impl Money {
    /// The price at which `quantity` costs this much.
    ///
    /// # Errors
    /// [`ArithmeticError::DivisionByZero`], [`ArithmeticError::Overflow`].
    pub fn per(self, quantity: Quantity, rounding: Rounding) -> Result<Price, ArithmeticError> {
        self.0.over(quantity.0, rounding).map(Price)
    }

    /// How much this buys at a price.
    ///
    /// # Errors
    /// [`ArithmeticError::DivisionByZero`], [`ArithmeticError::Overflow`].
    pub fn at(self, price: Price, rounding: Rounding) -> Result<Quantity, ArithmeticError> {
        self.0.over(price.0, rounding).map(Quantity)
    }

    /// The ratio of two sums.
    ///
    /// # Errors
    /// [`ArithmeticError::DivisionByZero`], [`ArithmeticError::Overflow`].
    pub fn ratio(self, whole: Money, rounding: Rounding) -> Result<Rate, ArithmeticError> {
        self.0.over(whole.0, rounding).map(Rate)
    }
}

impl Rate {
    /// One, the whole.
    pub const ONE: Rate = Rate(Fixed::ONE);

    /// `n` basis points.
    pub const fn basis_points(n: i64) -> Rate {
        Rate::new(n, 4)
    }

    /// One less this: what is left after a fee or a distance of this rate.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`].
    pub const fn complement(self) -> Result<Rate, ArithmeticError> {
        Rate::ONE.minus(self)
    }
}
