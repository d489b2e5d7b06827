//! The random bits that the core is given: from the system, or from a seed, then counted by openings, so that two
//! runs with one seed draw the same. It never uses a bit twice for two things.

use crate::exit::{Exit, Failure};

/// Where random bits come from, for one act.
pub(crate) struct Draw {
    seed: Option<u64>,
    act: String,
}

impl Draw {
    /// For an act.
    pub(crate) fn new(seed: Option<u64>, act: &str) -> Draw {
        Draw { seed, act: act.to_owned() }
    }

    /// The seed, if there is one.
    pub(crate) const fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Identity of a new journal.
    ///
    /// # Errors
    /// [`Failure`] when the system gives no random bits.
    pub(crate) fn journal_id(&self, schema: u16) -> Result<[u8; 16], Failure> {
        self.bytes(&format!("journal {schema}"))
    }

    /// 40 bits for a new engine journal.
    ///
    /// # Errors
    /// As [`Draw::journal_id`].
    pub(crate) fn installation(&self) -> Result<u64, Failure> {
        Ok(u64::from_le_bytes(self.bytes("installation")?) & ((1 << 40) - 1))
    }

    /// 32 bits for the opening with this number.
    ///
    /// # Errors
    /// As [`Draw::journal_id`].
    pub(crate) fn run(&self, opening: u64) -> Result<u32, Failure> {
        Ok(u32::from_le_bytes(self.bytes(&format!("run {opening}"))?))
    }

    fn bytes<const N: usize>(&self, what: &str) -> Result<[u8; N], Failure> {
        let mut bytes = [0; N];
        match self.seed {
            Some(seed) => {
                let mut hasher = blake3::Hasher::new();
                hasher.update(&seed.to_le_bytes());
                hasher.update(self.act.as_bytes());
                hasher.update(&[0]);
                hasher.update(what.as_bytes());
                hasher.finalize_xof().fill(&mut bytes);
            }
            None => {
                let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
                if got != Ok(N) {
                    return Err(Failure::new(Exit::Io, format!("the system gave no random bits: {got:?}")));
                }
            }
        }
        Ok(bytes)
    }
}
