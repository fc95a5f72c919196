//! Why requests were refused, counted by text.

use std::collections::BTreeMap;

/// Most texts that are counted apart; those of this venue are fewer.
const REASONS_MAX: usize = 64;

/// Counts what is over [`REASONS_MAX`].
const OTHERS: &str = "for other reasons";

/// How often requests were refused with which text; texts that differ in numbers alone count as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons(BTreeMap<String, u64>);

impl Reasons {
    /// Counts a refusal with this Text (58).
    pub fn count(&mut self, text: &str) {
        let mut reason = without_numbers(text);
        if self.0.len() >= REASONS_MAX && !self.0.contains_key(&reason) {
            OTHERS.clone_into(&mut reason);
        }
        *self.0.entry(reason).or_default() += 1;
    }

    /// Each text, with `_` for a number, and its count; behind so many texts, all others are one.
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.0
    }

    /// Refusals with any text.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// A text with `_` for each number in it.
fn without_numbers(text: &str) -> String {
    let words: Vec<_> =
        text.split(' ').map(|word| if is_number(word) { "_" } else { word }).collect();
    words.join(" ")
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_in_numbers_are_one() {
        let mut reasons = Reasons::default();
        for text in ["price 1.5 is off 0.01", "price -7 is off 2", "late"] {
            reasons.count(text);
        }
        let counts: Vec<_> = reasons.counts().iter().collect();
        assert_eq!(counts, [(&"late".to_owned(), &1), (&"price _ is off _".to_owned(), &2)]);
        assert_eq!(reasons.total(), 3);
    }

    #[test]
    fn texts_that_are_no_number_do_not_fill_the_memory() {
        let mut reasons = Reasons::default();
        (0..10 * REASONS_MAX).for_each(|number| reasons.count(&format!("name-x{number}")));
        assert_eq!(reasons.total(), 10 * REASONS_MAX as u64);
        assert_eq!(reasons.counts().len(), REASONS_MAX + 1);
        assert_eq!(reasons.counts()[OTHERS], 9 * REASONS_MAX as u64);
    }
}
