//! Tables to learn from: how rows are divided, what is standardised, and tables that a model knows.

#[path = "support/files.rs"]
mod files;

use std::collections::BTreeSet;

use files::Folder;
use onestep_data::{
    DataError, DataSplits, Dataset, SampleRng, Scaling, TargetSpec, open, open_as, read_sample,
};

fn text<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

struct Place(Folder);

impl Place {
    fn new() -> Self {
        Self(Folder::new())
    }

    fn spec(&self, content: &str, options: &str) -> String {
        self.0.write("t.csv", content);
        format!("csv:{}/t.csv{options}", self.0.text())
    }

    fn open(&self, content: &str, options: &str) -> DataSplits {
        let spec = self.spec(content, options);
        open(&spec).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The first feature, which tells the rows of these tests apart.
fn ids(set: &dyn Dataset) -> BTreeSet<u32> {
    (0..set.len()).map(|index| read_sample(set, index).unwrap().0[0] as u32).collect()
}

fn row(id: u32) -> String {
    let class = ["a", "b", "b", "c", "c", "c"][SampleRng::new(1, 0, id.into()).below(6)];
    format!("{id},{}.25,{class}\n", id % 13)
}

#[test]
fn rows_that_are_added_move_no_other() {
    let place = Place::new();
    for seed in 0..60 {
        let mut rng = SampleRng::new(seed, 0, 0);
        let count = 30 + rng.below(400) as u32;
        let before = place.open(&(0..count).map(row).collect::<String>(), "");
        let mut rows: Vec<String> = (0..count + 1 + rng.below(300) as u32).map(row).collect();
        // At any place, in any order.
        (1..rows.len()).rev().for_each(|i| rows.swap(i, rng.below(i + 1)));
        let after = place.open(&rows.concat(), "");
        let (old, new) = (ids(before.train.as_ref()), ids(after.validation.as_ref()));
        assert!(old.is_disjoint(&new), "seed {seed}: {:?}", old.intersection(&new));
        let (old, new) = (ids(before.validation.as_ref()), ids(after.train.as_ref()));
        assert!(old.is_disjoint(&new), "seed {seed}: {:?}", old.intersection(&new));
    }
}

#[test]
fn about_a_fifth_of_each_class_is_held_out() {
    let splits = Place::new().open(&(0..6000).map(row).collect::<String>(), "");
    for class in 0..3 {
        let count =
            |set: &dyn Dataset| (0..set.len()).filter(|&i| set.class(i) == Some(class)).count();
        let (train, held) = (count(splits.train.as_ref()), count(splits.validation.as_ref()));
        let share = held as f64 / (train + held) as f64;
        assert!((0.16..0.24).contains(&share), "{class}: {share}");
    }
    // Written down once: the parts must never change between versions or platforms.
    let held: Vec<u32> = ids(splits.validation.as_ref()).into_iter().take(6).collect();
    assert_eq!(held, [2, 5, 6, 9, 12, 15]);
}

#[test]
fn equal_rows_stay_together_however_they_are_written() {
    let place = Place::new();
    let rows: String =
        (0..300).map(|id| format!("{id},1.5,a\n{id}.0,1.50,a\n+{id},15e-1,\"a\"\n")).collect();
    let splits = place.open(&rows, "");
    assert!(ids(splits.train.as_ref()).is_disjoint(&ids(splits.validation.as_ref())));
    // The same rows with the other decimal mark, in another column order.
    let other: String = (0..300).map(|id| format!("1,5;{id};a\n")).collect();
    let known = open_as(&place.spec(&format!("y;x;z\n{other}"), ""), &splits.record).unwrap();
    assert_eq!(known.train.len() + known.validation.len(), 300);
    let error = text(open(&place.spec("1,a\n1.0,a\n01,a\n", "")));
    assert!(
        error.ends_with(
            "t.csv: cannot be divided: expected two different samples at least, got 3 of one kind"
        ),
        "{error}"
    );
}

#[test]
fn small_tables_have_both_parts() {
    let place = Place::new();
    for count in 2..40u32 {
        let splits = place.open(&(0..count).map(row).collect::<String>(), "?kind=classes");
        assert_eq!(splits.train.len() + splits.validation.len(), count as usize);
    }
    // A class whose only row is held out is named.
    let alone = (0..100).map(|i| {
        let rows: String = (0..30).map(|id| format!("{id},a\n")).collect();
        place.open(&format!("{rows}{},rare\n", 1000 + i), "")
    });
    let (held, learnt): (Vec<_>, Vec<_>) = alone.partition(|splits| {
        let set = &splits.validation;
        (0..set.len()).any(|index| set.class(index) == Some(1))
    });
    assert!(!held.is_empty() && !learnt.is_empty());
    assert!(held.iter().all(|splits| splits.notes.iter().any(|note| note.ends_with("none: rare"))));
    assert!(!learnt.iter().any(|splits| splits.notes.iter().any(|note| note.contains("rare"))));
}

fn mean_and_deviation(values: &[f32]) -> (f32, f32) {
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    let squares: f32 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, (squares / values.len() as f32).sqrt())
}

#[test]
fn features_and_values_are_standardised_over_the_rows_to_learn_from() {
    let rows: String =
        (0..500).map(|i| format!("{i},7,{}\n", 150_000.0 + 300.5 * i as f32)).collect();
    let place = Place::new();
    let splits = place.open(&format!("area,floors,price\n{rows}"), "");
    let targets = splits.record.targets.clone().unwrap();
    let read = |i| read_sample(splits.train.as_ref(), i).unwrap();
    let values: Vec<f32> = (0..splits.train.len()).map(|i| read(i).1[0]).collect();
    let (mean, deviation) = mean_and_deviation(&values);
    assert!(mean.abs() < 1e-4 && (deviation - 1.0).abs() < 1e-4, "{mean} {deviation}");
    let (input, mut target) = read(10);
    targets.restore(&mut target);
    assert!((target[0] - (150_000.0 + 300.5 * input[0])).abs() < 0.1, "{target:?}");
    // The pipeline does the same to the features, and survives as text.
    let pipeline: onestep_data::Pipeline = splits.augmentation.to_string().parse().unwrap();
    let features: Vec<Vec<f32>> = (0..splits.train.len())
        .map(|i| {
            let mut input = read(i).0;
            let mut rng = SampleRng::new(0, 0, 0);
            pipeline.apply(&mut input, &[2].into(), false, &mut rng, &mut Vec::new()).unwrap();
            input
        })
        .collect();
    let (mean, deviation) = mean_and_deviation(&features.iter().map(|f| f[0]).collect::<Vec<_>>());
    assert!(mean.abs() < 1e-4 && (deviation - 1.0).abs() < 1e-4, "{mean} {deviation}");
    assert!(features.iter().all(|f| f[1] == 0.0), "a constant column is only moved");
    assert!(splits.notes.iter().any(|note| note.contains("standardise=no")));

    let plain = place.open(&format!("area,floors,price\n{rows}"), "?standardise=no");
    assert!(plain.augmentation.is_empty() && plain.record.targets.is_none());
    assert!(read_sample(plain.train.as_ref(), 0).unwrap().1[0] >= 150_000.0);
}

#[test]
fn another_table_is_read_as_the_model_knows_it() {
    let place = Place::new();
    let rows = |order: fn(u32) -> String| (0..60).map(order).collect::<String>();
    let first = place.open(
        &format!(
            "w,h,kind\n{}",
            rows(|i| format!("{i},{},{}\n", 2 * i, ["x", "y", "z"][i as usize % 3]))
        ),
        "",
    );
    let fewer = rows(|i| format!("{},n,{i},{}\n", 2 * i, ["z", "y"][i as usize % 2]));
    let other =
        open_as(&place.spec(&format!("h,note,w,kind\n{fewer}"), ""), &first.record).unwrap();
    assert_eq!(other.train.target(), TargetSpec::named_classes(["x", "y", "z"]));
    for index in 0..other.train.len() {
        let (input, label) = read_sample(other.train.as_ref(), index).unwrap();
        assert_eq!(input[1], 2.0 * input[0]);
        assert_eq!(label[0], if (input[0] as u32).is_multiple_of(2) { 2.0 } else { 1.0 });
    }
    // What the model does to its inputs is its own, and is not measured anew.
    assert!(other.augmentation.is_empty());
    assert_eq!(other.record.columns, first.record.columns);
    for (content, wanted) in [
        (
            "w,h,kind\n1,2,q\n2,2,x\n",
            "line 2, column `kind`: expected one of the model's classes (x, y, z), got `q`",
        ),
        (
            "w,kind\n1,x\n2,y\n",
            "columns: expected a column `h`, as the model was trained on, got w, kind",
        ),
        (
            "w,h\n1,2\n2,3\n",
            "columns: expected a column `kind`, as the model was trained on, got w, h",
        ),
        ("1,2\n2,3\n", "columns: expected a column `kind`"),
        ("1,2,x,4\n2,3,y,4\n", "number of columns: expected 2 (the model's features), or 3"),
    ] {
        let error = text(open_as(&place.spec(content, ""), &first.record));
        assert!(error.contains(wanted), "{error}");
    }
    // Without names it goes by place.
    let plain = open_as(&place.spec("1,2,x\n2,4,y\n3,6,z\n", ""), &first.record).unwrap();
    assert_eq!(plain.train.len() + plain.validation.len(), 3);
}

#[test]
fn values_are_scaled_by_the_model_and_stay_values() {
    let place = Place::new();
    let rows: String = (0..80).map(|i| format!("{i},{}.5\n", 10 * i)).collect();
    let mut record = place.open(&rows, "").record;
    record.targets = Some(Scaling { mean: vec![100.0], deviation: vec![50.0] });
    // By themselves these targets would be classes.
    let spec = place.spec("1,0\n2,200\n3,0\n4,200\n", "");
    assert_eq!(open(&spec).unwrap().train.target().class_count(), Some(2));
    let other = open_as(&spec, &record).unwrap();
    for set in [&other.train, &other.validation] {
        for index in 0..set.len() {
            let (input, target) = read_sample(set.as_ref(), index).unwrap();
            assert_eq!(target[0], if (input[0] as u32).is_multiple_of(2) { 2.0 } else { -2.0 });
        }
    }
    assert_eq!(other.record.targets, record.targets);
}

#[test]
fn numeric_classes_are_matched_as_numbers() {
    let place = Place::new();
    let record =
        place.open(&(0..60).map(|i| format!("{i},{}\n", i % 3)).collect::<String>(), "").record;
    let other = open_as(&place.spec("1,2.0\n2,02\n3,+1\n4,1\n5,2\n", ""), &record).unwrap();
    let mut labels: Vec<f32> = Vec::new();
    for set in [&other.train, &other.validation] {
        labels.extend((0..set.len()).map(|index| read_sample(set.as_ref(), index).unwrap().1[0]));
    }
    labels.sort_by(f32::total_cmp);
    assert_eq!(labels, [1.0, 1.0, 2.0, 2.0, 2.0]);
}

#[test]
fn a_table_of_many_columns_is_read_by_name() {
    let names: Vec<String> = (0..4000).map(|i| format!("pixel{i}")).collect();
    let row =
        |i: u32| -> String { (0..4000).map(|column| format!("{},", (column + i) % 256)).collect() };
    let rows: String = (0..12).map(|i| format!("{}{}\n", row(i), i % 2)).collect();
    let place = Place::new();
    let record = place.open(&format!("{},label\n{rows}", names.join(",")), "").record;
    let mut names = names;
    names.reverse();
    place.0.write("new.csv", format!("{}\n{}", names.join(","), row(3).trim_end_matches(',')));
    let read = record.read_table(place.0.path().join("new.csv")).unwrap();
    assert_eq!(read.width, 4000);
    assert_eq!((read.values[0], read.values[3999]), ((3999 + 3) as f32 % 256.0, 3.0));
}

#[test]
fn a_column_that_f32_cannot_tell_apart_is_named() {
    let place = Place::new();
    let table = |first: u64| {
        let rows = (0..100).map(|i| format!("{},{}\n", first + i, ["a", "b"][i as usize % 2]));
        format!("time,class\n{}", rows.collect::<String>())
    };
    let coarse =
        |splits: DataSplits| splits.notes.iter().any(|note| note.contains("column `time`"));
    assert!(coarse(place.open(&table(1_700_000_000), "")));
    assert!(!coarse(place.open(&table(0), "")));
}

#[test]
fn an_option_that_stands_twice_is_refused() {
    let place = Place::new();
    let spec = place.spec("a,b\n1,u\n2,v\n", "?target=a&target=b");
    assert!(text(open(&spec)).contains("option target is given twice"));
}

#[test]
fn a_mark_for_what_is_missing_is_no_class() {
    let place = Place::new();
    let rows: String = (0..60).map(|i| format!("{i},{}\n", i % 2)).collect();
    let table = format!("a,b\n{rows}60,missing\n");
    let error = text(open(&place.spec(&table, "")));
    assert!(error.contains("line 62") && error.contains("`missing`"), "{error}");
    assert!(open(&place.spec(&table, "?kind=classes")).is_ok());
}

#[test]
fn what_a_model_has_settled_is_no_option_any_more() {
    let place = Place::new();
    let table: String = (0..60).map(|i| format!("{i},{},{}\n", i % 7, ["u", "v"][i % 2])).collect();
    let spec = place.spec(&format!("a,b,c\n{table}"), "?target=c");
    let record = open(&spec).unwrap().record;
    assert!(open_as(&spec, &record).is_ok());
    for option in ["kind=values", "target=a", "standardise=no"] {
        let other = spec.replace("target=c", option);
        let key = option.split('=').next().unwrap();
        assert!(text(open_as(&other, &record)).contains(&format!("option {key}: it was settled")));
    }
}
