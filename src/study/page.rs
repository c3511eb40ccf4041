//! Page of a campaign: its tables, its figures and a player of its walks, in one HTML file that shows
//! the pictures beside it.

use coordrl_studies::{Task, tasks};
use maud::{Markup, PreEscaped, html};

use super::figures::Named;
use super::walks::{Drawn, Sheet};
use crate::text::html::{document, with_code};

const OWN_CSS: &str = "
figure img { display: block; max-width: 100%; height: auto; }
.player { display: inline-block; vertical-align: top; margin: .6rem 2rem .6rem 0; }
.player .frame { background-repeat: no-repeat; }
.player input { width: 100%; }
";

/// Moves the sheet behind its frame to the column that the slider names.
const OWN_SCRIPT: &str = "
for (const player of document.querySelectorAll('.player')) {
  const frame = player.querySelector('.frame'), slider = player.querySelector('input');
  const steps = frame.dataset.columns.split('|'), shown = player.querySelector('output');
  const show = () => {
    frame.style.backgroundPositionX = -slider.value * frame.dataset.pitch + 'px';
    shown.textContent = steps[slider.value];
    slider.setAttribute('aria-valuetext', steps[slider.value]);
  };
  slider.addEventListener('input', show);
  slider.hidden = false;
  show();
}
";

/// Contents of the page.
pub(super) struct Page<'a> {
    /// Name of the campaign.
    pub name: &'a str,
    /// Table of all studies, in Markdown.
    pub table: &'a str,
    /// Tables of all measures, in Markdown.
    pub measures: &'a str,
    pub figures: &'a [Named],
    pub walks: &'a [Drawn],
}

impl Page<'_> {
    pub fn render(&self) -> String {
        let title = format!("Studies: {}", self.name);
        let body = html! {
            header {
                h1 { (title) }
                p.lead { "In the first table medians over seeds; figures and walks are of the first seed." }
            }
            main {
                (markdown(self.table))
                @for task in tasks() { (self.pictures(task)) }
                section { h2 { "All measures" } (markdown(self.measures)) }
            }
            script { (PreEscaped(OWN_SCRIPT)) }
        };
        document(&title, OWN_CSS, &body)
    }

    fn pictures(&self, task: &Task) -> Markup {
        let figures: Vec<_> = self.figures.iter().filter(|named| named.task == task).collect();
        let walks: Vec<_> = self.walks.iter().filter(|drawn| drawn.task == task.name).collect();
        html! {
            @if !figures.is_empty() {
                section {
                    h2 { (task) }
                    p { (task.summary) "." }
                    @for drawn in walks { (player(drawn)) }
                    @for Named { name, figure, .. } in figures {
                        @let size = figure.size();
                        figure {
                            img src=(format!("{name}.svg")) alt=(alternative(name))
                                width=(size.width) height=(size.height);
                        }
                    }
                }
            }
        }
    }
}

/// Shows one column of the sheet at a time; without scripts the first.
fn player(drawn: &Drawn) -> Markup {
    let Drawn { layer, name, sheet, .. } = drawn;
    let Sheet { size: [_, height], pitch, columns, .. } = sheet;
    let style = format!("width:{pitch}px; height:{height}px; background-image:url('{name}.png')");
    html! {
        div.player {
            h3 { "Walks, " code { (layer) } }
            div.frame role="img" aria-label=(format!("Walks of {layer}, one below the other"))
                data-pitch=(pitch) data-columns=(columns.join("|")) style=(style) {}
            input type="range" min="0" max=(columns.len() - 1) value="0" hidden
                aria-label=(format!("Step of the walks of {layer}"));
            p.note {
                output {} " "
                a href=(format!("{name}.png")) { "all steps" } ", "
                a href=(format!("{name}.webp")) { "video" }
            }
        }
    }
}

/// Renders the Markdown of our own tables: headings of the second level, tables and paragraphs.
fn markdown(text: &str) -> Markup {
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let is_row = |line: &&str| line.starts_with('|');
    let stretches: Vec<&[&str]> = lines.chunk_by(|a, b| is_row(a) && is_row(b)).collect();
    html! {
        @for stretch in stretches {
            @if is_row(&stretch[0]) { (table(stretch)) }
            @else if let Some(heading) = stretch[0].strip_prefix("## ") { h3 { (heading) } }
            @else { p { (with_code(stretch[0])) } }
        }
    }
}

/// Describes a figure by the name of its file.
fn alternative(name: &str) -> String {
    name.replace(['-', '_'], " ")
}

fn table(rows: &[&str]) -> Markup {
    let cells = |row: &str| -> Vec<String> {
        row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table" {
            table {
                thead { tr { @for cell in cells(rows[0]) { th scope="col" { (with_code(&cell)) } } } }
                // The second row only separates.
                tbody { @for row in rows.iter().skip(2) {
                    tr { @for cell in cells(row) { td { (with_code(&cell)) } } }
                } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use coordrl_plots::{Axis, Scatter};
    use coordrl_studies::find_task;

    use super::*;

    #[test]
    fn tables_become_html_and_text_is_escaped() {
        let text = "Mean & more.\n\n## gan, scenes\n\n| a | `b` |\n|---|---|\n| 1 < 2 | – |\n";
        let page = markdown(text).into_string();
        let expected = "<p>Mean &amp; more.</p><h3>gan, scenes</h3>\
            <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table>\
            <thead><tr><th scope=\"col\">a</th><th scope=\"col\"><code>b</code></th></tr></thead>\
            <tbody><tr><td>1 &lt; 2</td><td>–</td></tr></tbody></table></div>";
        assert_eq!(page, expected);
    }

    #[test]
    fn a_player_has_a_step_per_column_of_its_sheet() {
        let columns: Vec<String> = (1..=9).map(|step| format!("step {step} of 9")).collect();
        let sheet =
            Sheet { png: Vec::new(), size: [9 * 102 + 4, 4 * 102 + 4], columns, pitch: 102 };
        let [task, layer] = ["gan", "conv"].map(str::to_owned);
        let name = "gan-scenes-conv-walks".to_owned();
        let drawn = Drawn { task, layer, name, video: Vec::new(), sheet };
        let gan = find_task("gan").unwrap();
        let axis = |label| Axis::linear(label).with_range(0.0, 1.0);
        let figure = Box::new(Scatter::new("", axis("x"), axis("y")));
        let figures = [Named { task: gan, name: "gan-spread".to_owned(), figure }];
        let page =
            Page { name: "mine", table: "", measures: "", figures: &figures, walks: &[drawn] };
        let page = page.render();
        assert!(page.contains("<h1>Studies: mine</h1>"));
        assert!(page.contains("src=\"gan-spread.svg\" alt=\"gan spread\" width=\""), "{page}");
        assert!(page.contains("data-pitch=\"102\"") && page.contains("max=\"8\""), "{page}");
        assert!(page.contains("height:412px") && page.contains("|step 9 of 9\""), "{page}");
        assert!(!page.contains("<h2>vae</h2>"), "nothing is known of it");
    }
}
