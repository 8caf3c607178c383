//! What the documents say of kinds is what the lists say.

use std::path::Path;

use onestep_data::data_tables;

/// Holds the part of a document between two marks against what is made from a list. With
/// `ONESTEP_WRITE=1` the part is written anew.
fn check(document: &str, mark: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(document);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there, as in a package of this crate alone", path.display());
        return;
    };
    let (begin, end) = (format!("<!-- {mark}: begin -->\n"), format!("<!-- {mark}: end -->"));
    let (before, rest) = text.split_once(&begin).expect("the mark of the beginning");
    let (found, after) = rest.split_once(&end).expect("the mark of the end");
    if std::env::var_os("ONESTEP_WRITE").is_some() {
        std::fs::write(&path, format!("{before}{begin}{wanted}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(found, wanted, "{document}: `ONESTEP_WRITE=1` writes it anew");
}

#[test]
fn the_kinds_of_data_are_those_of_the_list() {
    check("data.md", "data kinds", &data_tables());
}
