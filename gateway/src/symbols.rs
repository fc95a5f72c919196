//! Symbols of instruments and their numbers, both ways.

use ironbook_engine::{InstrumentId, Symbol};

/// Symbols of all instruments, both ways.
#[derive(Clone, Debug)]
pub struct SymbolTable {
    /// Symbols by number; the empty one where no instrument has it.
    by_id: Box<[Symbol]>,
    /// Numbers at the place that the hash of their symbol chooses or, where that is taken, behind it. At most
    /// half of the places are taken, and there are a power of two.
    by_hash: Box<[InstrumentId]>,
}

impl FromIterator<(Symbol, InstrumentId)> for SymbolTable {
    fn from_iter<I: IntoIterator<Item = (Symbol, InstrumentId)>>(known: I) -> Self {
        let known: Vec<_> = known.into_iter().collect();
        let last = known.iter().map(|(_, id)| id.0).max().unwrap_or(0);
        let places = (known.len() * 2).next_power_of_two();
        let mut table = Self {
            by_id: vec![Symbol::EMPTY; last as usize + 1].into(),
            by_hash: vec![InstrumentId::NONE; places].into(),
        };
        for (symbol, id) in known {
            let place = table.places(&symbol).find(|&at| table.by_hash[at] == InstrumentId::NONE);
            table.by_hash[place.expect("half of the places are free")] = id;
            table.by_id[id.0 as usize] = symbol;
        }
        table
    }
}

impl SymbolTable {
    /// Places at which a symbol may be, in the order in which they are looked at.
    #[inline]
    fn places(&self, symbol: &Symbol) -> impl Iterator<Item = usize> + use<> {
        /// 2^64 divided by the golden ratio.
        const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
        let (words, []) = symbol.padded().as_chunks() else { unreachable!("three words") };
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        let hash = words.fold(0u64, |hash, word| (hash ^ word).wrapping_mul(MULTIPLIER));
        let mask = self.by_hash.len() - 1;
        (0..=mask).map(move |step| ((hash >> 32) as usize + step) & mask)
    }

    /// The instrument with this symbol.
    #[inline]
    pub fn instrument(&self, symbol: &Symbol) -> Option<InstrumentId> {
        for place in self.places(symbol) {
            match self.by_hash[place] {
                InstrumentId::NONE => break,
                id if self.by_id[id.0 as usize] == *symbol => return Some(id),
                _ => {}
            }
        }
        None
    }

    /// The instrument with the symbol that a client wrote.
    pub fn named(&self, symbol: &[u8]) -> Option<InstrumentId> {
        self.instrument(&Symbol::try_from(symbol).ok()?)
    }

    /// The symbol of this instrument.
    #[inline]
    pub fn symbol(&self, instrument: InstrumentId) -> Option<&Symbol> {
        self.by_id.get(instrument.0 as usize).filter(|symbol| !symbol.is_empty())
    }
}

impl Default for SymbolTable {
    /// A table without instruments.
    fn default() -> Self {
        std::iter::empty().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(text: &str) -> Symbol {
        Symbol::try_from(text).unwrap()
    }

    #[test]
    fn each_symbol_has_its_number_and_no_other_has_one() {
        for count in [0, 1, 2, 3, 6, 100, 10_000] {
            // Short ones, and ones that differ in one of their three words only.
            let name = |number: u32| match number % 4 {
                0 => symbol(&format!("S{number}")),
                1 => symbol(&format!("{number:08}ABCDEFGHABCDEFGH")),
                2 => symbol(&format!("ABCDEFGH{number:08}ABCDEFGH")),
                _ => symbol(&format!("ABCDEFGHABCDEFGH{number:08}")),
            };
            let numbers = (0..count).map(|number| InstrumentId(number * 3 + 1));
            let table: SymbolTable = (0..count).map(name).zip(numbers).collect();
            for number in 0..count {
                let (id, symbol) = (InstrumentId(number * 3 + 1), name(number));
                assert_eq!(table.instrument(&symbol), Some(id));
                assert_eq!(table.named(symbol.as_bytes()), Some(id));
                assert_eq!(table.symbol(id), Some(&symbol));
                assert_eq!(table.symbol(InstrumentId(id.0 + 1)), None);
            }
            for number in count..count + 1_000 {
                assert_eq!(table.instrument(&name(number)), None);
            }
            assert_eq!(table.instrument(&Symbol::EMPTY), None);
            assert_eq!(table.named(&[b'A'; Symbol::MAX + 1]), None);
        }
    }
}
