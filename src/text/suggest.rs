//! "Did you mean …?" for mistyped names.

use coordrl_envs::suggest::{STRICT, nearest};

/// Returns the nearest candidate as a sentence ending, `` "; did you mean `x`?" ``, or an empty
/// string.
pub fn did_you_mean<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(typed, candidates, STRICT)
        .map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let names = ["a2c.rollout_agent_steps", "a2c.envs", "frames"];
        assert_eq!(did_you_mean("frame", names), "; did you mean `frames`?");
        assert_eq!(did_you_mean("zzz", names), "");
    }
}
