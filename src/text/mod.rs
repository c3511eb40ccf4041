//! Text for users and shells.
//!
//! - [`names`]: checks of user-chosen names; [`suggest`]: "did you mean".
//! - [`path_text`]: a reversible text form of paths; [`table`]: text tables; [`numbers`]: numbers
//!   for readers.
//! - [`html`]: the frame and the style of pages.

pub mod html;
pub mod names;
pub mod numbers;
pub mod path_text;
pub mod suggest;
pub mod table;
