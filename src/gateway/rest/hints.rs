//! The name that somebody may have meant.

/// Names longer than this are not compared: the cost grows with the product of the lengths.
const LONGEST: usize = 63;
/// Most names that are compared.
const MOST: usize = 2000;

/// The one of these names that is most like the wanted one, if any is like it at all.
pub(super) fn nearest<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted: Vec<char> = wanted.to_lowercase().chars().collect();
    if wanted.len() > LONGEST {
        return None;
    }
    let distances = names.into_iter().take(MOST).filter_map(|name| {
        let letters: Vec<char> = name.to_lowercase().chars().collect();
        // At most a third of the letters may differ.
        let longest = wanted.len().max(letters.len());
        let distance = distance(&wanted, &letters);
        (distance * 3 <= longest && longest <= LONGEST + 1).then_some((distance, name))
    });
    let nearest = distances.min_by_key(|(distance, _)| *distance);
    nearest.map(|(_, name)| name)
}

/// How many letters must be changed, added or taken away to make one of the other.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (place, left) in a.iter().enumerate() {
        let mut diagonal = place;
        let mut before = place + 1;
        let mut next = vec![before];
        for (right, above) in b.iter().zip(row.iter().skip(1)) {
            let changed = diagonal + usize::from(left != right);
            before = changed.min(above + 1).min(before + 1);
            next.push(before);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_right_is_found_and_nothing_else() {
        let names = ["todos", "users", "user_roles"];
        assert_eq!(nearest("todo", names), Some("todos"));
        assert_eq!(nearest("Users", names), Some("users"));
        assert_eq!(nearest("secrets", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest(&"x".repeat(100_000), names), None);
        assert_eq!(distance(&['a', 'b'], &['b', 'c', 'd']), 3);
    }
}
