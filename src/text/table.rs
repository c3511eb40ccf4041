//! Text tables with aligned columns.

/// Formats rows under a header; every column is as wide as its widest cell, except the last one.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };

    let widths: Vec<usize> = (0..header.len()).map(width_of).collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };

    let header: Vec<String> = header.iter().map(ToString::to_string).collect();
    let lines: Vec<String> =
        [line(&header)].into_iter().chain(rows.iter().map(|row| line(row))).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_without_trailing_spaces() {
        let rows = [vec!["pong".to_owned(), "6".to_owned()], vec!["x".to_owned(), "18".to_owned()]];
        assert_eq!(table(&["game", "actions"], &rows), "game  actions\npong  6\nx     18");
    }
}
