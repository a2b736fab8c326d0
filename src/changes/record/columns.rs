//! A set of columns of one table, as a bit set over positions in `Table::columns`.
//!
//! Which columns a role may see is asked for every audience of every change; a set that is copied and
//! compared as one or two words keeps that out of the profile.
use smallvec::SmallVec;

/// Positions in [`Table::columns`](super::schema::Table::columns).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ColumnSet {
    words: SmallVec<[u64; 2]>,
}

impl ColumnSet {
    /// No column.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The first `count` columns.
    #[must_use]
    pub fn all(count: usize) -> Self {
        (0..count).collect()
    }

    /// Adds a position.
    pub fn insert(&mut self, position: usize) {
        let index = position / 64;
        if self.words.len() <= index {
            self.words.resize(index + 1, 0);
        }
        if let Some(word) = self.words.get_mut(index) {
            *word |= 1 << (position % 64);
        }
    }

    /// Whether the position is in the set.
    #[must_use]
    pub fn contains(&self, position: usize) -> bool {
        self.words
            .get(position / 64)
            .is_some_and(|word| word & (1 << (position % 64)) != 0)
    }

    /// Positions in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut words: SmallVec<[u64; 2]> = self
            .words
            .iter()
            .zip(&other.words)
            .map(|(a, b)| a & b)
            .collect();
        // Equal sets must compare equal however they were made.
        while words.last() == Some(&0) {
            words.pop();
        }
        Self { words }
    }
}

impl FromIterator<usize> for ColumnSet {
    fn from_iter<I: IntoIterator<Item = usize>>(positions: I) -> Self {
        let mut set = Self::new();
        for position in positions {
            set.insert(position);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains_what_was_inserted_also_beyond_one_word() {
        let set: ColumnSet = [0, 63, 64, 200].into_iter().collect();
        for position in 0..300 {
            assert_eq!(set.contains(position), [0, 63, 64, 200].contains(&position));
        }
    }

    #[test]
    fn intersections_of_different_lengths_compare_equal() {
        let wide: ColumnSet = [1, 130].into_iter().collect();
        let narrow: ColumnSet = [1, 2].into_iter().collect();
        assert_eq!(wide.intersection(&narrow), narrow.intersection(&wide));
        assert_eq!(wide.intersection(&narrow), [1].into_iter().collect());
    }
}
