//! The forms that tables come in: found out where they are clear, refused where they are not.

#[path = "support/files.rs"]
mod files;

use files::Folder;
use onestep_data::{
    CsvOptions, DataError, DataRecord, Dataset, DecimalMark, InMemory, SampleRng, TargetSpec,
    csv_file, open, read_sample,
};

fn read(content: impl AsRef<[u8]>) -> Result<InMemory, DataError> {
    let folder = Folder::new();
    csv_file(folder.write("t.csv", content), &CsvOptions::default())
}

fn error(content: &str) -> String {
    read(content).err().unwrap_or_else(|| panic!("accepted: {content}")).to_string()
}

/// The samples as `features -> target`, classes by their names.
fn rows(content: &str) -> Vec<String> {
    let set = read(content).unwrap_or_else(|error| panic!("{error}: {content}"));
    let show = |index| {
        let (input, target) = read_sample(&set, index).unwrap();
        let target = match set.target() {
            TargetSpec::Classes { names } => names[target[0] as usize].clone(),
            _ => format!("{:?}", target[0]),
        };
        format!("{input:?} -> {target}")
    };
    (0..set.len()).map(show).collect()
}

#[test]
fn the_delimiter_and_the_decimal_mark_are_found() {
    for content in [
        "0.5,1,a\n2,3.5,b\n",
        "0.5;1;a\n2;3.5;b\n",
        "0.5\t1\ta\n2\t3.5\tb\n",
        "0.5|1|a\n2|3.5|b\n",
        "0,5;1;a\n2;3,5;b\n",
        "x;y;z\r\n0,5;1;a\r\n2;3,5;b\r\n",
        "\u{feff}x,y,z\n0.5,1,a\n2,3.5,b\n",
        "\u{feff}0,5;1;a\n\n 2 ; 3,5 ;\"b\"\n",
    ] {
        assert_eq!(rows(content), ["[0.5, 1.0] -> a", "[2.0, 3.5] -> b"], "{content}");
    }
    assert_eq!(rows("0,5;1;2\n")[..], ["[0.5, 1.0] -> 2"]);
    assert_eq!(rows("0,5;1;2\n1,5;3;4\n1,5;3;2\n").len(), 3);
    assert_eq!(rows("1;red,green\n2;blue\n"), ["[1.0] -> red,green", "[2.0] -> blue"]);
    assert_eq!(rows("1,5;1,5\n2,5;0,25\n"), ["[1.5] -> 1.5", "[2.5] -> 0.25"]);
}

#[test]
fn numbers_that_can_be_read_in_two_ways_are_refused() {
    let found = error("1,234;1;a\n2,345;3;b\n");
    assert!(
        found.contains("decimal mark: expected numbers that can be read in one way"),
        "{found}"
    );
    assert!(found.ends_with("`decimal=comma` or `decimal=point`, got `1,234`"), "{found}");
    let found = error("1,5;1;a\n2.5;3;b\n");
    assert!(found.ends_with("got `1,5` and `2.5`"), "{found}");
    let folder = Folder::new();
    let path = folder.write("t.csv", "1,234;1;a\n2,345;3;b\n");
    let options = CsvOptions { decimal: Some(DecimalMark::Comma), ..CsvOptions::default() };
    let set = csv_file(&path, &options).unwrap();
    assert_eq!(read_sample(&set, 0).unwrap().0, [1.234, 1.0]);
    let options = CsvOptions { decimal: Some(DecimalMark::Point), ..options };
    assert!(csv_file(&path, &options).unwrap_err().to_string().contains("got `1,234`"));
    // Points between thousands are no decimal points.
    assert!(error("1,5;1;a\n1.234,5;3;b\n").contains("delimiter: expected one character"));
    assert!(error("1,5;1;2\n1.234,5;3;7\n").contains("got `,` and `;`"));
}

#[test]
fn names_that_are_numbers_are_names() {
    for content in [
        "0,1,label\n0.5,7,a\n2,3.5,b\n0.5,7,a\n",
        "2019,2020,2021,kind\n0.5,7,1,a\n2,3.5,1,b\n0.5,7,1,a\n",
        "7,9,species\n0.5,7,a\n2,3.5,b\n0.5,7,a\n",
        "x,y,z\n0.5,7,a\n2,3.5,b\n0.5,7,a\n",
    ] {
        assert_eq!(rows(content).len(), 3, "{content}");
        assert_eq!(read(content).unwrap().target(), TargetSpec::named_classes(["a", "b"]));
    }
    // As pandas writes a frame without names.
    let content = "0,1,2,3\n0.5,7,1,0\n2,3.5,2,1\n";
    assert_eq!(rows(content), ["[0.5, 7.0, 1.0] -> 0", "[2.0, 3.5, 2.0] -> 1"]);
    // Samples of the same look are samples.
    for content in [
        "1,2\n3,4\n",
        "1,2,3\n4,5,6\n",
        "0,1,a\n1,2,b\n5,7,a\n",
        "5.1,3.5,a\n4,3,b\n",
        "1,a\n2,b\n",
        "1,2,a\n7,3,a\n",
        "1,7,4\n5,3,4\n",
        "1,2,x\n2,4,y\n3,6,z\n",
    ] {
        assert_eq!(rows(content).len(), content.lines().count(), "{content}");
    }
    for content in [
        "1,2,3\n7,5,3\n",
        "5,3,price\n7,1,0.5\n9,2,0.7\n",
        "2.5,3.5,x\n7,1,0\n9,2,1\n",
        "1,2,x\n7,1,a\n9,2,b\n3,6,a\n3,7,b\n",
    ] {
        let found = error(content);
        assert!(
            found.contains("line 1: expected names or a sample; say which by `header=yes`"),
            "{found}"
        );
    }
    let found = error("width,2020,species\n1,2,a\n");
    assert!(
        found.contains("a finite number (`header=yes` where the line holds names), got `width`")
    );
    assert!(
        error("a,b,a\n1,2,x\n")
            .contains("header: expected a name of its own for each column, got `a` twice")
    );
}

#[test]
fn one_number_is_one_class_however_it_is_written() {
    let set = read("5,1\n6,01\n7,+1\n8,1.0\n9,0\n").unwrap();
    assert_eq!(set.target(), TargetSpec::named_classes(["0", "1"]));
    let set = read("5,0.0\n6,1.0\n7,-0.0\n").unwrap();
    assert_eq!(set.target(), TargetSpec::named_classes(["0", "1"]));
    assert_eq!(read_sample(&set, 2).unwrap().1, [0.0]);
    // Texts among them: each as it stands.
    let set = read("5,1\n6,01\n7,a\n").unwrap();
    assert_eq!(set.target(), TargetSpec::named_classes(["01", "1", "a"]));
}

#[test]
fn many_numbers_and_fractions_are_values() {
    let table = |count: u32, repeated: u32| -> String {
        (0..count * repeated).map(|i| format!("{i},{}\n", 1000 + i % count)).collect()
    };
    let is_values = |content: &str| read(content).unwrap().target().class_count().is_none();
    assert!(!is_values(&table(50, 3)));
    assert!(is_values(&table(51, 3)));
    assert!(is_values(&table(800, 1)));
    // Few samples: whole numbers that hardly ever come twice are no classes.
    assert!(is_values(&table(20, 1)));
    assert!(!is_values(&table(10, 1)));
    assert!(!is_values(&table(20, 2)));
    assert!(is_values("1,0.5\n2,1\n3,1\n"));
    let folder = Folder::new();
    folder.write("t.csv", table(800, 1));
    let spec = format!("csv:{}/t.csv", folder.text());
    let notes = open(&spec).unwrap().notes.join("\n");
    assert!(
        notes.contains("target 2 has 800 different whole numbers, so values are predicted"),
        "{notes}"
    );
    let classes = open(&format!("{spec}?kind=classes")).unwrap();
    assert_eq!(classes.train.target().class_count(), Some(800));
}

#[test]
fn a_target_that_is_no_number_among_numbers_is_refused() {
    for bad in ["nan", "1e39", "inf", "-inf"] {
        let found = error(&format!("1,0\n2,1\n3,{bad}\n4,1\n"));
        assert!(
            found.contains("line 3, column 2: expected a finite number, as other targets"),
            "{found}"
        );
        assert!(found.ends_with(&format!("got `{bad}`")), "{found}");
    }
    let prices: String = (0..30).map(|i| format!("{i},{}.5\n", i * 3)).collect();
    let found = error(&format!("{prices}1,missing\n"));
    assert!(found.contains("line 31") && found.ends_with("got `missing`"), "{found}");
    assert!(error(&format!("{prices}1,\n")).ends_with("got an empty field"));
}

#[test]
fn other_encodings_are_named() {
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain("1,a\n".bytes().flat_map(|b| [b, 0])).collect();
    assert!(read(utf16).unwrap_err().to_string().contains("expected UTF-8 text; save"));
}

#[test]
fn what_a_cell_holds_is_never_shown_whole_or_raw() {
    let long = "x".repeat(3_000_000);
    let found = error(&format!("1,2,a\n{long},2,b\n"));
    assert!(found.len() < 400, "{}", found.len());
    let found = error("1,2,a\n\u{1b}[2Jx,2,b\n");
    assert!(found.ends_with("got `\\u{1b}[2Jx`"), "{found}");
    let found = open(&format!("{long}:a")).unwrap_err().to_string();
    assert!(found.len() < 400, "{found}");
    let names: String = (0..5000).map(|i| format!("name{i},")).collect();
    let folder = Folder::new();
    folder.write("t.csv", format!("{names}y\n"));
    let found = open(&format!("csv:{}/t.csv?target=none", folder.text())).unwrap_err().to_string();
    assert!(found.len() < 500 && found.contains("and 4989 more"), "{found}");
}

#[test]
fn a_file_larger_than_what_is_looked_at_is_read_whole() {
    let lines: String = (0..120_000).map(|i| format!("{i};0,5;{}\n", i % 2)).collect();
    assert!(lines.len() > 1 << 20);
    let set = read(format!("\u{feff}{lines}")).unwrap();
    assert_eq!(set.len(), 120_000);
    assert_eq!(read_sample(&set, 119_999).unwrap(), (vec![119_999.0, 0.5], vec![1.0]));
}

fn flowers() -> DataRecord {
    let folder = Folder::new();
    let rows: String =
        (0..20).map(|i| format!("{i},{}.5,{}\n", i % 7, ["rose", "lily"][i % 2])).collect();
    folder.write("t.csv", format!("width,height,kind\n{rows}"));
    open(&format!("csv:{}/t.csv", folder.text())).unwrap().record
}

#[test]
fn rows_to_predict_are_read_as_the_table_was() {
    let record = flowers();
    let predict = |content: &str| {
        let folder = Folder::new();
        record.read_table(folder.write("new.csv", content))
    };
    for content in [
        "width,height\n1,2.5\n3,4\n",
        "height,width\n2.5,1\n4,3\n",
        "kind,height,width\nrose,2.5,1\n,4,3\n",
        "\u{feff}height;id;width\r\n2,5;a7;1\r\n4;a8;3\r\n",
        "1,2.5\n3,4\n",
        "1,2.5,rose\n3,4,unknown\n",
        "1;2,5\n3;4\n",
    ] {
        let rows = predict(content).unwrap_or_else(|error| panic!("{error}: {content}"));
        assert_eq!(rows.rows().collect::<Vec<_>>(), [[1.0, 2.5], [3.0, 4.0]], "{content}");
        assert_eq!(rows.lines.len(), 2);
    }
    for (content, wanted) in [
        (
            "width,depth\n1,2\n",
            "columns: expected a column `height`, as the model was trained on, got width, depth",
        ),
        (
            "1\n2\n",
            "number of columns: expected 2 (the model's features), or 3 with the target, got 1",
        ),
        ("1,2,3,4\n", "got 4"),
        ("width,height\n1,nan\n", "line 2, column `height`: expected a finite number, got `nan`"),
        (
            "width,height\n1,2\n1e39,2\n",
            "line 3, column `width`: expected a finite number, got `1e39`",
        ),
        ("width,height\n1,\n", "got an empty field"),
        ("width,height\n", "expected at least one sample, got none"),
        ("", "expected at least one sample, got none"),
    ] {
        let found = predict(content).unwrap_err().to_string();
        assert!(found.contains(wanted), "{found}");
    }
}

#[test]
fn a_model_of_no_table_takes_all_columns() {
    let folder = Folder::new();
    let read = |content: &str| DataRecord::default().read_table(folder.write("x.csv", content));
    assert_eq!(read("1,2\n3,4.5\n").unwrap().values, [1.0, 2.0, 3.0, 4.5]);
    assert_eq!(read("a;b\n1;2\n").unwrap().values, [1.0, 2.0]);
    assert_eq!(read("1\n2\n").unwrap().width, 1);
    assert!(read("1,2\n3\n").unwrap_err().to_string().contains("line 2: expected 2 fields, got 1"));
    assert!(read("1,2\n3,x\n").unwrap_err().to_string().contains("line 2, column 2"));
}

#[test]
fn no_text_brings_the_reader_down() {
    const PIECES: [&str; 22] = [
        "0", "1", "7", "25", ",", ",", ";", ";", ".", "\n", "\n", "\n", "\r\n", "\"", " ", "\t",
        "|", "a", "nan", "-", "1e39", "\u{feff}",
    ];
    let folder = Folder::new();
    let (path, record) = (folder.path().join("t.csv"), flowers());
    let mut accepted = 0;
    for seed in 0..800 {
        let mut rng = SampleRng::new(seed, 0, 0);
        let length = rng.below(40);
        let text: String = (0..length).map(|_| PIECES[rng.below(PIECES.len())]).collect();
        std::fs::write(&path, &text).unwrap();
        if let Ok(set) = csv_file(&path, &CsvOptions::default()) {
            accepted += 1;
            let finite = |index| read_sample(&set, index).unwrap().0.iter().all(|v| v.is_finite());
            assert!((0..set.len()).all(finite), "{text:?}");
        }
        for record in [&record, &DataRecord::default()] {
            if let Ok(rows) = record.read_table(&path) {
                assert!(rows.values.iter().all(|value| value.is_finite()), "{text:?}");
                assert_eq!(rows.rows().len(), rows.lines.len(), "{text:?}");
            }
        }
        let _ = open(&format!("csv:{}", path.display()));
    }
    assert!(accepted > 4, "{accepted}");
}
