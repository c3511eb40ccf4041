//! Pages of our own: HTML files that need no network.

mod style;

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Renders a page: `own_css` comes after the common style sheet.
///
/// `maud` escapes all text but what is wrapped as [`PreEscaped`].
pub fn document(title: &str, own_css: &str, body: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Without an icon of its own, a browser would ask the server for one.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(style::CSS)) (PreEscaped(own_css)) }
            }
            body { (body) }
        }
    };
    markup.into_string()
}

/// Renders `` `word` `` as code.
pub fn with_code(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}
