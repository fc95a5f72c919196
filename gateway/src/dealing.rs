//! Which gateway has which sessions.
//!
//! A session has one gateway, so that nothing of it is shared, and all sessions of a firm have the same: their
//! throttle is one. Beyond that each gateway gets as many as the others, as far as firms allow. It follows from the
//! configuration alone and is journaled nowhere: the next start may deal anew, among another number of gateways.

use std::{cmp::Reverse, collections::HashMap};

use crate::desk::SessionSetup;

/// What one gateway is dealt.
#[derive(Clone, Debug, Default)]
pub struct Hand {
    /// Its number; 0 is the one that takes connections.
    pub gateway: usize,
    /// Its sessions, in the order of the configuration.
    pub sessions: Vec<SessionSetup>,
    /// Those of the others, each with the number of its gateway: for the one that takes connections, which has to
    /// know who may log on.
    pub elsewhere: Vec<(SessionSetup, usize)>,
}

/// Deals sessions among so many gateways: the larger firms first, each to the gateway that has fewest, the last of
/// those, as the first one has all connections to take.
pub fn deal(setups: Vec<SessionSetup>, gateways: usize) -> Vec<Hand> {
    let places = places(setups.iter().map(|setup| setup.config.firm.as_deref()), gateways);
    let mut hands: Vec<_> =
        (0..gateways).map(|gateway| Hand { gateway, ..Hand::default() }).collect();
    for (setup, place) in setups.into_iter().zip(places) {
        if place > 0 {
            hands[0].elsewhere.push((setup.clone(), place));
        }
        hands[place].sessions.push(setup);
    }
    hands
}

/// The gateway of each session, by the firms of all of them.
fn places<'a>(firms: impl Iterator<Item = Option<&'a str>>, gateways: usize) -> Vec<usize> {
    // Sessions that stay together; one without a firm stands for itself.
    let (mut groups, mut group_of) = (Vec::<Vec<usize>>::new(), HashMap::new());
    for (session, firm) in firms.enumerate() {
        let fresh = groups.len();
        let group = firm.map_or(fresh, |firm| *group_of.entry(firm).or_insert(fresh));
        match groups.get_mut(group) {
            Some(group) => group.push(session),
            None => groups.push(vec![session]),
        }
    }
    // Stable: groups of one size stay in the order of the configuration.
    groups.sort_by_key(|group| Reverse(group.len()));
    let mut dealt = vec![0; gateways];
    let mut places = vec![0; groups.iter().map(Vec::len).sum()];
    for group in groups {
        let fewest = (0..gateways).rev().min_by_key(|gateway| dealt[*gateway]).unwrap_or_default();
        dealt[fewest] += group.len();
        group.into_iter().for_each(|session| places[session] = fewest);
    }
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sessions_are_dealt_in_turn_and_firms_stay_together() {
        let firms = [None, Some("X"), None, Some("Y"), Some("X"), None, Some("Y"), Some("X")];
        assert_eq!(places(firms.into_iter(), 1), [0; 8]);
        assert_eq!(places(firms.into_iter(), 2), [0, 1, 1, 0, 1, 0, 0, 1]);
        assert_eq!(places(firms.into_iter(), 3), [0, 2, 0, 1, 2, 1, 1, 2]);
        assert_eq!(places([None; 5].into_iter(), 3), [2, 1, 0, 2, 1]);
        assert_eq!(places(std::iter::empty(), 3), [0; 0]);
    }

    proptest! {
        #[test]
        fn firms_are_whole_and_nobody_has_more_than_a_firm_too_many(
            firms in prop::collection::vec(prop::option::of(0..6_u8), 0..40),
            gateways in 1..=8_usize,
        ) {
            let names: Vec<_> = firms.iter().map(|firm| firm.map(|firm| firm.to_string())).collect();
            let places = places(names.iter().map(Option::as_deref), gateways);
            let size = |firm: &Option<u8>| firms.iter().filter(|other| *other == firm).count();
            let largest = firms.iter().map(|firm| firm.map_or(1, |_| size(firm))).max();
            for (one, firm) in firms.iter().enumerate() {
                prop_assert!(places[one] < gateways);
                let mut same = (0..firms.len()).filter(|other| firm.is_some() && firms[*other] == *firm);
                prop_assert!(same.all(|other| places[other] == places[one]));
            }
            let dealt = (0..gateways).map(|gateway| places.iter().filter(|it| **it == gateway).count());
            let (least, most) = (dealt.clone().min(), dealt.max());
            prop_assert!(most.unwrap() - least.unwrap() <= largest.unwrap_or(0));
        }
    }
}
