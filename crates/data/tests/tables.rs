//! CSV files, good and bad, and the specs of the command line.

#[path = "support/files.rs"]
mod files;

use files::Folder;
use onestep_data::{
    Column, CsvOptions, CsvTarget, DataError, Dataset, InMemory, TargetSpec, csv_file, open,
    read_sample,
};

fn text<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

fn read(content: &str, options: &CsvOptions) -> Result<InMemory, DataError> {
    let folder = Folder::new();
    csv_file(folder.write("table.csv", content), options)
}

const FLOWERS: &str = "width,length,species\n1.5, 2.5, rose\n3,4,\"lily\"\n5,6,rose\n";

#[test]
fn classes_by_name() {
    let set = read(FLOWERS, &CsvOptions::default()).unwrap();
    assert_eq!((set.name(), set.len()), ("table", 3));
    assert_eq!(set.target(), TargetSpec::named_classes(["lily", "rose"]));
    assert_eq!(read_sample(&set, 0).unwrap(), (vec![1.5, 2.5], vec![1.0]));
    assert_eq!(read_sample(&set, 1).unwrap(), (vec![3.0, 4.0], vec![0.0]));
}

#[test]
fn whole_numbers_are_classes_in_numerical_order() {
    let set = read("1,10\n2,9\n3,10\n", &CsvOptions::default()).unwrap();
    assert_eq!(set.target(), TargetSpec::named_classes(["9", "10"]));
    assert_eq!(read_sample(&set, 0).unwrap(), (vec![1.0], vec![1.0]));
}

#[test]
fn fractions_are_values_and_any_column_can_be_the_target() {
    let content = "price;rooms;size\n1.5;2;30\n2;3;40\n";
    let target = Column::Name("price".to_owned());
    let options = CsvOptions { target, ..CsvOptions::default() };
    let set = read(content, &options).unwrap();
    assert_eq!(set.target(), TargetSpec::values([1].into()));
    assert_eq!(read_sample(&set, 1).unwrap(), (vec![3.0, 40.0], vec![2.0]));
    let options = CsvOptions { target: Column::Index(1), kind: CsvTarget::Values, ..options };
    assert_eq!(read_sample(&read(content, &options).unwrap(), 0).unwrap().1, [2.0]);
}

#[test]
fn bad_fields_are_named_by_line_and_column() {
    let auto = CsvOptions::default();
    let error = text(read("a,b\n1,x\n\n2,y\nthree,z\n", &auto));
    assert!(
        error.ends_with("table.csv: line 5, column `a`: expected a finite number, got `three`")
    );
    for (field, shown) in [
        ("nan", "`nan`"),
        ("inf", "`inf`"),
        ("1e39", "`1e39`"),
        ("1e99", "`1e99`"),
        ("", "an empty field"),
    ] {
        let error = text(read(&format!("1,2,x\n{field},3,x\n"), &auto));
        let wanted = format!("line 2, column 1: expected a finite number, got {shown}");
        assert!(error.ends_with(&wanted), "{error}");
    }
    let labels = CsvOptions { kind: CsvTarget::Labels(3), ..auto.clone() };
    for bad in ["3", "-1", "1.5", "x"] {
        let error = text(read(&format!("1,0\n2,{bad}\n"), &labels));
        let wanted = format!("line 2, column 2: expected a label from 0 to 2, got `{bad}`");
        assert!(error.ends_with(&wanted), "{error}");
    }
    let values = CsvOptions { kind: CsvTarget::Values, ..auto.clone() };
    assert!(text(read("1,2\n2,x\n", &values)).contains("line 2, column 2: expected a finite"));
    assert!(text(read("1,a\n2,\n", &auto)).ends_with("expected a class, got an empty field"));
}

#[test]
fn bad_tables_are_refused() {
    let auto = CsvOptions::default();
    let error = text(read("1,2\n3,4,5\n", &auto));
    assert!(error.ends_with("table.csv: line 2: expected 2 fields, got 3"), "{error}");
    assert!(text(read("", &auto)).ends_with("expected at least one sample, got none"));
    assert!(text(read("a,b\n", &auto)).ends_with("expected at least one sample, got none"));
    assert!(text(read("1\n2\n", &auto)).contains("number of columns: expected at least 2"));
    let named = CsvOptions { target: Column::Name("c".to_owned()), ..auto.clone() };
    let error = text(read("a,b\n1,2\n", &named));
    assert!(error.contains("target column: expected a column of the file (a, b), got"), "{error}");
    let numbered = CsvOptions { target: Column::Index(2), ..auto.clone() };
    assert!(text(read("1,2\n", &numbered)).contains("2 columns without names"));
    let folder = Folder::new();
    let error = text(csv_file(folder.path().join("none.csv"), &auto));
    assert!(error.ends_with("none.csv: not found; expected a CSV file"), "{error}");
    let bytes = folder.write("bytes.csv", b"1,a\n2,\xff\xfe\n");
    let error = text(csv_file(bytes, &auto));
    assert!(error.ends_with("line 2: expected UTF-8 text, got other bytes in field 2"), "{error}");
}

#[test]
fn specs_are_read_and_bad_ones_explained() {
    let folder = Folder::new();
    let rows: String = (0..20).map(|i| format!("{i},{}\n", i % 2)).collect();
    let path = folder.write("rows.csv", format!("x,y\n{rows}"));
    let spec = format!("csv:{}", path.display());
    let splits = open(&spec).unwrap();
    assert_eq!(splits.train.len() + splits.validation.len(), 20);
    let splits = open(&format!("{spec}?target=x&kind=values&header=yes&delimiter=,")).unwrap();
    assert_eq!(splits.train.target().class_count(), None);
    assert_eq!(open(&format!("{spec}?kind=5")).unwrap().train.target().class_count(), Some(5));

    for (bad, wanted) in [
        ("digits:here".to_owned(), "the digits are embedded"),
        ("mnist".to_owned(), "its folder is missing"),
        ("csv:".to_owned(), "its file is missing"),
        ("imagenet:x".to_owned(), "unknown kind `imagenet`; expected digits, mnist:DIR"),
        (format!("{spec}?colour=grey"), "unknown option `colour`"),
        (
            format!("{spec}?kind=some"),
            "option kind: expected classes, values or a number from 1 to 1000000, got `some`",
        ),
        (format!("{spec}?kind=2147483648"), "a number from 1 to 1000000, got `2147483648`"),
        (format!("{spec}?kind=0"), "a number from 1 to 1000000, got `0`"),
        (format!("{spec}?delimiter=7"), "expected one ASCII character, or tab, got `7`"),
        (format!("{spec}?decimal=dot"), "option decimal: expected point or comma, got `dot`"),
        (format!("{spec}?standardise=1"), "option standardise: expected yes or no, got `1`"),
        (format!("{spec}?header=maybe"), "option header: expected yes or no, got `maybe`"),
        (format!("{spec}?delimiter=ab"), "expected one ASCII character"),
        ("images:x?size=big".to_owned(), "option size: expected a number of pixels"),
        ("images:x?colour=blue".to_owned(), "option colour: expected grey or rgb"),
        ("mnist:/nonexistent".to_owned(), "/nonexistent: not found; expected train-images"),
        ("cifar10:/nonexistent".to_owned(), "/nonexistent: not found; expected data_batch"),
    ] {
        let error = text(open(&bad));
        assert!(error.contains(wanted), "{error}");
    }
}
