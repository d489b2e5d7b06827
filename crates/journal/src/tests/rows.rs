//! The rows of the recovery table, each met by a journal that was really brought into that state.

use super::*;
