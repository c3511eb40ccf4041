//! Text tables with aligned columns.

/// Formats rows under a header; every column is as wide as its widest cell, except the last one.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(ToString::to_string).collect();
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).chain([name]);
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();

    let mut lines = vec![line(&header, &widths)];
    lines.extend(rows.iter().map(|row| line(row, &widths)));
    lines.join("\n")
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> =
        cells.iter().zip(widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
    // Otherwise lines would end with the padding of their last cell.
    padded.join("  ").trim_end().to_owned()
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
