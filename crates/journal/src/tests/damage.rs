//! Damage of every kind to a specimen: it is classified, nothing panics, and no record that did not verify is
//! ever shown.

use super::*;
