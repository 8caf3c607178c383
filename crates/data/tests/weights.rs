//! Rows that do not count alike.

#[path = "support/files.rs"]
mod files;

use files::Folder;
use onestep_data::{DataError, Dataset, Role, Sample, open, open_as};

fn text<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

/// The weights of all rows, by their first feature.
fn weights(parts: &[&dyn Dataset]) -> Vec<(f32, f32)> {
    let mut all: Vec<(f32, f32)> = Vec::new();
    for part in parts {
        for index in 0..part.len() {
            let sample = Sample::read(*part, index).unwrap();
            all.push((sample.f32("input").unwrap()[0], sample.f32("weight").unwrap()[0]));
        }
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

#[test]
fn a_column_is_the_weight() {
    let folder = Folder::new();
    let rows: String =
        (0..20).map(|i| format!("{i},{},{},{}\n", i as f32 / 4.0, i * 2, i % 2)).collect();
    folder.write("t.csv", format!("a,w,b,kind\n{rows}"));
    let spec = format!("csv:{}/t.csv", folder.text());
    let wanted: Vec<(f32, f32)> = (0..20).map(|i| (i as f32, i as f32 / 4.0)).collect();
    for column in ["w", "1"] {
        let data = open(&format!("{spec}?weight={column}&standardise=no")).unwrap();
        let fields = data.train.fields();
        assert_eq!(fields.names(), "input, target, weight");
        assert_eq!((fields[0].shape.dims(), fields[2].role), (&[2][..], Role::Weight));
        assert_eq!(weights(&[data.train.as_ref(), data.validation.as_ref()]), wanted);
    }
    // Without a name for the target it is the last of the other columns.
    folder.write("last.csv", format!("a,kind,w\n{}", "1,x,2\n2,y,0.5\n3,x,1\n4,y,1\n"));
    let last = open(&format!("csv:{}/last.csv?weight=w", folder.text())).unwrap();
    assert_eq!(last.record.columns.as_ref().unwrap().target, "kind");
    assert_eq!(last.record.columns.as_ref().unwrap().features, ["a"]);
}

#[test]
fn the_record_knows_the_weight() {
    let folder = Folder::new();
    let rows: String = (0..20).map(|i| format!("{i},{},{}\n", i % 3, i % 2)).collect();
    folder.write("t.csv", format!("a,w,kind\n{rows}"));
    let spec = format!("csv:{}/t.csv?weight=w&standardise=no", folder.text());
    let known = open(&spec).unwrap().record;
    let saved = serde_json::to_string(&known).unwrap();
    assert_eq!(serde_json::from_str::<onestep_data::DataRecord>(&saved).unwrap(), known);
    // Weights are for training: what is asked of the model need not have them.
    assert_eq!(known.fields.as_ref().unwrap().len(), 2);
    folder.write("ask.csv", "w,a\n1,5\n0,6\n");
    assert_eq!(known.read_table(folder.path().join("ask.csv")).unwrap().values, [5.0, 6.0]);
    folder.write("other.csv", format!("kind,w,a\n{}", "0,2,7\n1,3,8\n".repeat(9)));
    let other = open_as(&format!("csv:{}/other.csv", folder.text()), &known).unwrap();
    let sample = Sample::read(other.train.as_ref(), 0).unwrap();
    let weight = sample.f32("weight").unwrap()[0];
    assert!(weight == 2.0 || weight == 3.0);
    folder.write("less.csv", format!("kind,a\n{}", "0,7\n1,8\n".repeat(9)));
    let error = text(open_as(&format!("csv:{}/less.csv", folder.text()), &known));
    assert!(error.contains("expected a column `w`, as the model was trained on"), "{error}");
    let error = text(open_as(&format!("csv:{}/other.csv?weight=a", folder.text()), &known));
    assert!(error.contains("option weight: it was settled"), "{error}");
}

#[test]
fn weights_that_are_none_are_named() {
    let folder = Folder::new();
    let refused = |rows: &str, option: &str| {
        folder.write("t.csv", rows);
        text(open(&format!("csv:{}/t.csv?{option}", folder.text())))
    };
    let error = refused("a,w,kind\n1,-1,x\n2,2,y\n", "weight=w");
    assert!(
        error.ends_with("line 2, column `w`: expected a weight: a number from 0 on, got `-1`"),
        "{error}"
    );
    let error = refused("a,w,kind\n1,1,x\n2,2,y\n", "weight=v");
    assert!(error.contains("weight column: expected a column of the file (a, w, kind), got `v`"));
    let error = refused("a,w,kind\n1,1,x\n2,2,y\n", "weight=kind&target=kind");
    assert!(error.contains("weight column: expected another column than the target's"));
    let error = refused("w,kind\n1,x\n2,y\n", "weight=w");
    assert!(error.contains("expected a feature beside the target and the weight"), "{error}");
}
