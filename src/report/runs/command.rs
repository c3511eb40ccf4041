//! Recorded command lines.

use std::path::Path;

use crate::sweep::child::FOLLOW_STDIN;

/// Returns a recorded command line as a user would type it: the program by name alone, without the
/// flag that ties a run to its sweep.
pub fn as_typed(words: &[String]) -> Vec<String> {
    let mut words: Vec<String> =
        words.iter().filter(|word| *word != FOLLOW_STDIN).cloned().collect();
    if let Some(program) = words.first_mut()
        && let Some(name) = Path::new(program.as_str()).file_name()
    {
        *program = name.to_string_lossy().into_owned();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_named_without_its_folder_and_the_flag_of_sweeps_is_left_out() {
        let typed =
            as_typed(&["/some/dir/coordrl", "train", "a/b", FOLLOW_STDIN].map(str::to_owned));
        assert_eq!(typed, ["coordrl", "train", "a/b"]);
        assert_eq!(as_typed(&["coordrl".to_owned()]), ["coordrl"]);
        assert_eq!(as_typed(&[]), Vec::<String>::new());
    }
}
