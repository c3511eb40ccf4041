//! "Did you mean …?" for mistyped names.

/// Least similarity of a suggestion from a short list, where even a distant name is of help.
pub const LOOSE: f64 = 0.7;
/// Least similarity of a suggestion from a long list, such as all settings or all games.
pub const STRICT: f64 = 0.8;

/// Returns the candidate most similar to `typed`, if its similarity (Jaro–Winkler, 0 to 1) is above
/// `least`.
pub fn nearest<'a>(
    typed: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    least: f64,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(typed, candidate), candidate))
        .filter(|(likeness, _)| *likeness > least)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Returns the suggestions as an insertion, `` " (did you mean `a` or `b`?)" ``, or an empty string
/// if there are none.
pub fn hint(suggestions: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let quoted: Vec<String> =
        suggestions.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    if quoted.is_empty() {
        return String::new();
    }
    format!(" (did you mean {}?)", quoted.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let names = ["a2c.rollout_agent_steps", "a2c.envs", "frames"];
        assert_eq!(nearest("a2c.rollout_steps", names, STRICT), Some("a2c.rollout_agent_steps"));
        assert_eq!(nearest("frame", names, STRICT), Some("frames"));
        assert_eq!(nearest("zzz", names, LOOSE), None);
        assert_eq!(nearest("frames", [], LOOSE), None);
    }

    #[test]
    fn a_hint_quotes_every_suggestion() {
        assert_eq!(hint(["pong"]), " (did you mean `pong`?)");
        assert_eq!(hint(Some("conv")), " (did you mean `conv`?)");
        assert_eq!(hint(["pong", "ping"]), " (did you mean `pong` or `ping`?)");
        assert_eq!(hint(None::<&str>), "");
    }
}
