//! What the documents say of devices and presets is what the lists say.

use std::path::Path;

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
fn the_devices_are_those_of_the_list() {
    check("guide.md", "devices", &onestep_trainer::device_table());
    assert!(onestep_trainer::device_forms().starts_with("auto (the best there is), "));
}

#[test]
fn the_presets_are_those_of_the_list() {
    check("model-spec.md", "presets", &onestep_layers::presets::table());
}
