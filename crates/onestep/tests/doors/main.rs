//! Each kind of data through every door of the product: trained on, interrupted, resumed, stopped
//! early, evaluated, predicted from files and by the library, stepped with given tensors, its weights
//! in PyTorch's layout and back. Each door must give the same numbers, and data that does not fit
//! must be refused by name.

mod fields;
mod kinds;
#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod support;
mod text;
mod walk;

use kinds::Kind;
use walk::Walk;

fn walk(kind: Kind) {
    let walk = Walk::train(kind);
    walk.evaluate();
    walk.predict_files();
    walk.predict_by_the_library();
    walk.step_and_pytorch_layout();
    walk.refuse_what_does_not_fit();
    walk.resume_with_other_transforms();
    walk.stop_early();
    #[cfg(unix)]
    walk.interrupt_and_resume();
}

#[test]
fn digits() {
    walk(kinds::digits());
}

#[test]
fn pictures_in_folders_with_normalisation() {
    walk(kinds::pictures());
}

#[test]
fn a_table_for_classes() {
    walk(kinds::table_for_classes());
}

#[test]
fn a_table_for_values() {
    walk(kinds::table_for_values());
}

#[test]
fn idx_files() {
    walk(kinds::idx());
}

#[test]
fn cifar_files() {
    walk(kinds::cifar());
}

#[test]
fn recordings_in_folders() {
    walk(kinds::recordings());
}

#[test]
fn texts() {
    text::walk();
}

#[cfg(feature = "bpe")]
#[test]
fn texts_in_pieces() {
    text::walk_in_pieces();
}

#[test]
fn texts_with_a_class_each() {
    text::labelled();
}

#[test]
fn pictures_with_masks() {
    fields::masks();
}

#[test]
fn pairs() {
    fields::pairs();
}

#[test]
fn rows_with_weights() {
    fields::weights();
}
