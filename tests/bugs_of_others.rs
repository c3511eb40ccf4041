//! Every test that `docs/bugs-of-others.md` names exists.
#![allow(clippy::unwrap_used, reason = "a test ends where something fails")]

use std::fs;
use std::path::Path;

/// Fewest rows that the page promises.
const LEAST: usize = 40;

/// Returns the test and the file of a row that ends in ``[`test`](../file)``.
fn test_of(row: &str) -> Option<(&str, &str)> {
    let (_, link) = row.rsplit_once("[`")?;
    let (test, file) = link.split_once("`](../")?;
    Some((test, file.split_once(')')?.0))
}

/// Returns `true` if the source has a test function of this name.
fn has_test(source: &str, test: &str) -> bool {
    let function = format!("fn {test}(");
    source.split("#[test]").skip(1).any(|after| {
        let head = after.split_once('{').map_or(after, |(head, _)| head);
        head.contains(&function)
    })
}

#[test]
fn every_test_that_the_list_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/bugs-of-others.md")).unwrap();
    let rows: Vec<(&str, &str)> = page.lines().filter_map(test_of).collect();
    assert!(rows.len() >= LEAST, "only {} rows name a test", rows.len());

    for (test, file) in rows {
        let source = fs::read_to_string(root.join(file)).unwrap_or_default();
        assert!(has_test(&source, test), "{file} has no test `{test}`");
    }
}
