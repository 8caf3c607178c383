//! What a model learnt from its data, and other data read by it.

#[path = "support/files.rs"]
mod files;

use std::sync::Arc;

use files::Folder;
use onestep_data::{
    DataError, DataRecord, Dataset, InMemory, Scaling, TargetSpec, open, open_as, read_sample,
    relabel,
};
use onestep_memory::Shape;

fn text<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn pets(classes: &[&str]) -> Arc<dyn Dataset> {
    let labels = (0..classes.len() as i32).collect();
    let inputs = (0..classes.len()).map(|i| i as f32).collect();
    let classes = TargetSpec::named_classes(classes.iter().copied());
    Arc::new(InMemory::classification("pets", Shape::from([1]), inputs, labels, classes).unwrap())
}

#[test]
fn labels_are_matched_by_name() {
    let known = names(&["ant", "cat", "dog"]);
    let set = relabel(pets(&["dog", "ant"]), &known).unwrap();
    assert_eq!(set.target(), TargetSpec::named_classes(["ant", "cat", "dog"]));
    assert_eq!(read_sample(set.as_ref(), 0).unwrap(), (vec![0.0], vec![2.0]));
    assert_eq!((set.class(0), set.class(1)), (Some(2), Some(0)));
    let same = pets(&["ant", "cat", "dog"]);
    assert!(Arc::ptr_eq(&same, &relabel(same.clone(), &known).unwrap()));
    let error = text(relabel(pets(&["dog", "fox"]), &known));
    assert_eq!(error, "pets: expected the model's classes (ant, cat, dog), got a class `fox`");
    let values = InMemory::regression("line", [1].into(), vec![1.0], [1].into(), vec![1.0]);
    let error = text(relabel(Arc::new(values.unwrap()), &known));
    assert!(error.ends_with("got values to predict"), "{error}");
}

#[test]
fn pictures_of_fewer_classes_keep_the_models_numbers_and_size() {
    let folder = Folder::new();
    for i in 0..10 {
        for class in ["ant", "cat", "dog"] {
            folder.grey(&format!("old/{class}/{i}.png"), 4, 6, i);
        }
        folder.rgb(&format!("new/dog/{i}.png"), 9, 9, [i, i, i]);
    }
    let known = open(&format!("images:{}/old", folder.text())).unwrap().record;
    assert_eq!(known.classes, Some(names(&["ant", "cat", "dog"])));
    let new = open_as(&format!("images:{}/new", folder.text()), &known).unwrap();
    assert_eq!(new.train.input_shape().dims(), [1, 6, 4]);
    assert_eq!(read_sample(new.train.as_ref(), 0).unwrap().1, [2.0]);
    assert_eq!(new.record.classes, known.classes);
    assert!(text(open_as("digits", &known)).contains("(ant, cat, dog), got a class `0`"));
}

#[test]
fn a_record_survives_json_and_refuses_what_it_does_not_know() {
    let record = DataRecord {
        source: Some("digits".to_owned()),
        classes: Some(names(&["a", "b"])),
        targets: Some(Scaling { mean: vec![0.1], deviation: vec![1e-3] }),
        ..DataRecord::default()
    };
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<DataRecord>(&text).unwrap(), record);
    assert_eq!(serde_json::from_str::<DataRecord>("{}").unwrap(), DataRecord::default());
    assert!(serde_json::from_str::<DataRecord>(r#"{"klasses": []}"#).is_err());
}

#[test]
fn a_scaling_goes_both_ways() {
    let scaling = Scaling { mean: vec![10.0, 1.0], deviation: vec![2.0, 4.0] };
    scaling.check(2).unwrap();
    assert!(scaling.check(3).is_err());
    let mut values = [12.0, 5.0, 8.0, -3.0];
    scaling.scale(&mut values);
    assert_eq!(values, [1.0, 1.0, -1.0, -1.0]);
    scaling.restore(&mut values);
    assert_eq!(values, [12.0, 5.0, 8.0, -3.0]);
    for deviation in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(Scaling { mean: vec![0.0], deviation: vec![deviation] }.check(1).is_err());
    }
}

#[test]
fn the_source_holds_from_anywhere() {
    assert_eq!(open("digits").unwrap().record.source.as_deref(), Some("digits"));
    let folder = Folder::new();
    folder.write("t.csv", "1,a\n2,b\n3,a\n4,b\n5,a\n6,b\n7,a\n8,b\n9,a\n10,b\n");
    let spec = format!("csv:{}/t.csv?header=no", folder.text());
    assert_eq!(open(&spec).unwrap().record.source, Some(spec));
}

#[test]
fn names_are_neither_shown_raw_nor_all() {
    let folder = Folder::new();
    let path = folder.write("\u{1b}[31mt.csv", "1,a\n2,b\n1,a\n2,b\n");
    let set = onestep_data::csv_file(path, &onestep_data::CsvOptions::default()).unwrap();
    assert_eq!(set.name(), "\\u{1b}[31mt");
    let error = text(open(&format!("csv:{}/\u{1b}[31m.csv", folder.text())));
    assert!(!error.contains('\u{1b}') && error.contains("\\u{1b}[31m.csv: not found"), "{error}");
    let many: Vec<String> = (0..10_000).map(|i| format!("class {i}")).collect();
    let error = text(relabel(pets(&["\u{1b}[2J"]), &many));
    assert!(error.len() < 300 && error.ends_with("got a class `\\u{1b}[2J`"), "{error}");
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let error = text(onestep_data::DataSplits::new("x", pets(&many), pets(&["a"])));
    assert!(error.len() < 400 && error.contains("10000 classes (class 0, "), "{error}");
    assert!(error.ends_with("as in the training part, got 1 classes (a)"), "{error}");
}
