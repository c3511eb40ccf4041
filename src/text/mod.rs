//! Text for people and shells.
//!
//! - [`names`]: checks of names that users choose; [`suggest`]: "did you mean".
//! - [`path_text`]: paths as text from which they can be read back; [`table`]: columns of text.

pub mod names;
pub mod path_text;
pub mod suggest;
pub mod table;
