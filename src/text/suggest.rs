//! "Did you mean …?" for mistyped names.

/// Returns the candidate nearest to `typed`, if it is near enough to suggest.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(typed, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Returns the nearest candidate as a sentence ending, `; did you mean `x`?`, or an empty string.
pub fn did_you_mean<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(typed, candidates).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let names = ["a2c.rollout_agent_steps", "a2c.envs", "frames"];
        assert_eq!(nearest("a2c.rollout_steps", names), Some("a2c.rollout_agent_steps"));
        assert_eq!(nearest("frame", names), Some("frames"));
        assert_eq!(nearest("zzz", names), None);
        assert_eq!(did_you_mean("zzz", names), "");
    }
}
