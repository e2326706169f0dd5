//! Guessing the name that was meant.

/// The candidate that differs from `name` by a slip or two; none when all are too far away to be meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            // A slip for every three letters: more would suggest `in` for `out`.
            let allowed = (name.len().max(candidate.len()) + 1) / 3;
            (distance <= allowed).then_some((distance, candidate))
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    /// A suggestion helps only when it is likely: slips, swapped letters and case are, another word is not.
    #[test]
    fn suggests_slips_and_nothing_else() {
        let names = ["inputs", "where", "call", "out"];
        assert_eq!(nearest("imputs", names), Some("inputs"));
        assert_eq!(nearest("CALL", names), Some("call"));
        assert_eq!(nearest("wehre", names), Some("where"));
        assert_eq!(nearest("in", names), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("group_by", names), None);
    }
}
