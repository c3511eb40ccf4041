//! Panics as errors, so that a run ends with the cause instead of an abort or a hang.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `job` and converts a panic into the error that `error_of` makes of its message.
///
/// The caller must not reuse state that `job` left half modified.
///
/// # Errors
/// Those of `job`, and `error_of` if it panics.
pub fn panic_to_error<R, E>(
    job: impl FnOnce() -> Result<R, E>,
    error_of: impl FnOnce(String) -> E,
) -> Result<R, E> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|cause| Err(error_of(message_of(&*cause))))
}

/// Returns the first line of a panic's message: libtorch appends its call stack to its own.
fn message_of(cause: &(dyn Any + Send)) -> String {
    // A formatted panic carries a `String`, a literal one a `&str`.
    let message: &str = match cause.downcast_ref::<String>() {
        Some(formatted) => formatted,
        None => cause.downcast_ref::<&str>().copied().unwrap_or_default(),
    };
    message.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_and_formatted_messages_are_kept_up_to_their_first_line() {
        let caught = |job: fn() -> Result<(), String>| panic_to_error(job, |message| message);
        assert_eq!(caught(|| panic!("out of luck")), Err("out of luck".to_owned()));
        assert_eq!(caught(|| panic!("{} left\ncall stack", 0)), Err("0 left".to_owned()));
        assert_eq!(caught(|| std::panic::panic_any(7)), Err(String::new()));
        assert_eq!(caught(|| Err("refused".to_owned())), Err("refused".to_owned()));
        assert_eq!(caught(|| Ok(())), Ok(()));
    }
}
