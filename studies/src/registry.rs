//! The registry of tasks.

use crate::error::unknown;
use crate::tasks::{classify, regress, render};
use crate::{StudyError, Task, detect, gan, imagenet, lsun, vae};

/// A new task is one file and one line here.
const TASKS: &[&Task] = &[
    &classify::TASK,
    &render::TASK,
    &regress::TASK,
    &detect::TASK,
    &gan::TASK,
    &vae::TASK,
    &imagenet::TASK,
    &lsun::TASK,
];

/// Returns all registered tasks.
pub fn tasks() -> &'static [&'static Task] {
    TASKS
}

/// Finds the task of that name.
///
/// # Errors
/// [`StudyError::Unknown`], with the nearest name.
pub fn find_task(name: &str) -> Result<&'static Task, StudyError> {
    let known = TASKS.iter().map(|task| task.name);
    TASKS.iter().find(|task| task.name == name).copied().ok_or_else(|| unknown("task", name, known))
}
