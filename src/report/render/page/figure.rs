//! Figures on the page.

use maud::{Markup, PreEscaped, html};

use crate::report::render::Report;
use crate::report::render::figures::Drawn;

/// Renders a figure with its caption and the command that draws it.
pub(super) fn figure(report: &Report, drawn: &Drawn) -> Markup {
    let row = &drawn.row;
    html! {
        figure id=(row.name) {
            (PreEscaped(inline(&drawn.svg, &row.name, &row.title)))
            figcaption {
                (row.caption) " "
                span.files { a href=(drawn.svg_file()) { "SVG" } " · " a href=(drawn.png_file()) { "PNG" } }
                code.command { (report.command) }
            }
        }
    }
}

/// Renders figures in two columns, or in one on a phone.
pub(super) fn in_grid(figures: Vec<Markup>) -> Markup {
    html! { div.figures { @for figure in &figures { (figure) } } }
}

/// Prepares an SVG for inlining: makes its ids unique on the page, lets it scale, and labels it for
/// screen readers.
fn inline(svg: &str, name: &str, title: &str) -> String {
    // `maud` also escapes quotes, so that a title cannot end the attribute.
    let label = html! { (title) }.into_string();
    // Every figure numbers its clips from 0, but ids are shared by the whole page.
    svg.replacen(
        "<svg xmlns=\"http://www.w3.org/2000/svg\"",
        &format!("<svg role=\"img\" aria-label=\"{label}\""),
        1,
    )
    .replace("<clipPath id=\"clip", &format!("<clipPath id=\"{name}-clip"))
    .replace("clip-path=\"url(#clip", &format!("clip-path=\"url(#{name}-clip"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_inside_a_drawing_are_its_own_and_its_label_cannot_break_out() {
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\"><clipPath id=\"clip0\"/><g clip-path=\"url(#clip0)\"/></svg>";
        let expected = "<svg role=\"img\" aria-label=\"a &lt; &quot;b&quot;\" width=\"1\"><clipPath id=\"x-clip0\"/><g clip-path=\"url(#x-clip0)\"/></svg>";
        assert_eq!(inline(svg, "x", "a < \"b\""), expected);
    }
}
