//! Near names, for "did you mean".

/// The greatest distance at which a name is still a suggestion (dockerfile.md §18).
const MAX_DISTANCE: usize = 2;

/// Finds the candidate nearest to `word` within two edits; none when `word` is a candidate itself.
///
/// Among equally near ones a swap of two neighbouring letters wins, then the earlier candidate.
pub fn suggest<'a, S>(word: &str, candidates: impl IntoIterator<Item = &'a S>) -> Option<&'a str>
where
    S: AsRef<str> + ?Sized + 'a,
{
    nearest(word, candidates).map(|(candidate, _)| candidate)
}

/// As [`suggest`], with the number of edits; a swap of two neighbouring letters counts as one.
pub(crate) fn nearest<'a, S>(word: &str, candidates: impl IntoIterator<Item = &'a S>) -> Option<(&'a str, usize)>
where
    S: AsRef<str> + ?Sized + 'a,
{
    let letters: Vec<char> = word.chars().take(256).collect();
    let mut best: Option<(usize, usize, &str)> = None;
    for candidate in candidates {
        let candidate = candidate.as_ref();
        if candidate == word {
            return None;
        }
        let other: Vec<char> = candidate.chars().take(256).collect();
        if letters.len().abs_diff(other.len()) > MAX_DISTANCE {
            continue;
        }
        let (plain, swapped) = distances(&letters, &other);
        if plain > MAX_DISTANCE || plain >= letters.len().min(other.len()).max(1) {
            continue;
        }
        if best.is_none_or(|(a, b, _)| (plain, swapped) < (a, b)) {
            best = Some((plain, swapped, candidate));
        }
    }
    best.map(|(_, swapped, candidate)| (candidate, swapped))
}

/// Gives the Levenshtein distance, and the one in which a swap of neighbours counts once.
fn distances(a: &[char], b: &[char]) -> (usize, usize) {
    let width = b.len() + 1;
    let mut plain: Vec<usize> = (0..width).collect();
    let mut swapped = plain.clone();
    let mut swapped_before = vec![0; width];
    for (i, left) in a.iter().enumerate() {
        let mut next_plain = vec![i + 1; width];
        let mut next_swapped = vec![i + 1; width];
        for (j, right) in b.iter().enumerate() {
            let cost = usize::from(left != right);
            let step = |row: &[usize], next: &[usize]| (row[j] + cost).min(row[j + 1] + 1).min(next[j] + 1);
            next_plain[j + 1] = step(&plain, &next_plain);
            next_swapped[j + 1] = step(&swapped, &next_swapped);
            if i > 0 && j > 0 && a[i - 1] == *right && b[j - 1] == *left {
                next_swapped[j + 1] = next_swapped[j + 1].min(swapped_before[j - 1] + 1);
            }
        }
        swapped_before = std::mem::replace(&mut swapped, next_swapped);
        plain = next_plain;
    }
    (plain[b.len()], swapped[b.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let flags = ["chmod", "chown", "from", "link"];
        assert_eq!(suggest("chwn", &flags), Some("chown"));
        assert_eq!(suggest("chwon", &flags), Some("chown"));
        assert_eq!(suggest("chown", &flags), None);
        assert_eq!(suggest("platform", &flags), None);
        assert_eq!(suggest("", &flags), None);
        assert_eq!(suggest("é", &["e"]), None);
    }
}
