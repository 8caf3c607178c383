//! Texts with a class each.

use std::path::PathBuf;

use onestep_data::{
    DataRecord, DataSplits, Dataset, Sample, TextEncoding, open, open_as, sample_key,
};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn spec(&self, rest: &str) -> String {
        format!("texts:{}/{rest}", self.0.path().display())
    }

    fn refused(&self, rest: &str) -> String {
        open(&self.spec(rest)).expect_err("an error").to_string()
    }
}

fn table(rows: usize) -> String {
    let row = |number: usize| match number % 3 {
        0 => format!("\"good, and film {number}\",up\n"),
        _ => format!("bad film {number},down\n"),
    };
    "review,mood\n".to_owned() + &(0..rows).map(row).collect::<String>()
}

fn samples(data: &DataSplits) -> usize {
    data.train.len() + data.validation.len()
}

#[test]
fn a_table_has_a_text_and_a_class_in_each_line() {
    let place = Place::new();
    place.write("films.csv", &table(60));
    let data = open(&place.spec("films.csv?length=20&tokens=words")).unwrap();
    assert_eq!((data.name.as_str(), samples(&data)), ("films", 60));
    assert_eq!(data.notes, ["the first line holds the columns' names"]);
    let form = data.record.texts.as_ref().unwrap();
    let columns = form.columns.as_ref().unwrap();
    assert_eq!((&columns.text[..], &columns.target[..]), ("review", "mood"));
    // Numbers come once each, so that they are unknown; `film` is in all.
    let TextEncoding::Words(words) = &form.encoding else { panic!("{:?}", form.encoding) };
    assert_eq!(words.list()[..2], ["film", "bad"]);
    let fields = data.train.fields();
    assert_eq!(fields.names(), "tokens, label");
    assert!(fields[0].varies && fields[0].shape == [20]);
    for index in 0..data.train.len() {
        let sample = Sample::read(data.train.as_ref(), index).unwrap();
        let (tokens, label) = (sample.i32("tokens").unwrap(), sample.i32("label").unwrap()[0]);
        // `good , and film N` and `bad film N`, of the classes down and up by their letters.
        assert_eq!(data.train.length(index), Some(if label == 1 { 5 } else { 3 }));
        assert_eq!(tokens[if label == 1 { 4 } else { 2 }], 1);
        assert!(data.train.location(index).unwrap().contains("films.csv: line "));
    }
    // What is said of a text follows from the record alone.
    let known = data.record.encode_labelled_text("t", "BAD film: seen").unwrap();
    assert_eq!((known.len(), &known[..5]), (20, &[3, 2, 1, 1, 0][..]));
    let again = open_as(&place.spec("films.csv"), &data.record).unwrap();
    assert_eq!(again.train.len(), data.train.len());
    assert_eq!(again.record.texts, data.record.texts);
}

#[test]
fn folders_of_files_are_classes() {
    let place = Place::new();
    for (file, text) in
        [("a/1", "aa"), ("a/2", "ab"), ("b/1", "bb"), ("b/2", "ba"), ("a/3", "aaa"), ("b/3", "b")]
    {
        place.write(&format!("flat/{file}.txt"), text);
        place.write(&format!("parts/train/{file}.txt"), text);
        place.write(&format!("parts/test/{file}.txt"), text);
    }
    place.write("parts/val/b/9.txt", "bbx");
    place.write("parts/val/b/9.md", "no text of a class");
    let flat = open(&place.spec("flat?length=4")).unwrap();
    assert_eq!((samples(&flat), flat.test.is_none()), (6, true));
    let parts = open(&place.spec("parts?length=4&tokens=characters")).unwrap();
    assert_eq!((parts.train.len(), parts.validation.len()), (6, 1));
    assert_eq!(parts.test.as_ref().unwrap().len(), 6);
    let sample = Sample::read(parts.validation.as_ref(), 0).unwrap();
    // The x was not in the texts to learn from.
    assert_eq!(sample.i32("tokens").unwrap()[..3], [3, 3, 1]);
    assert_eq!(sample.i32("label").unwrap(), [1]);
    assert!(parts.validation.location(0).unwrap().ends_with("9.txt"));
}

#[test]
fn texts_that_are_added_move_no_other() {
    let place = Place::new();
    place.write("few.csv", &table(60));
    place.write("more.csv", &(table(60) + "new one,up\nnew two,down\n"));
    let keys = |name: &str| {
        let data = open(&place.spec(name)).unwrap();
        let keys = |part: &dyn Dataset| {
            (0..part.len()).map(|index| sample_key(part, index).unwrap()).collect::<Vec<_>>()
        };
        (keys(data.train.as_ref()), keys(data.validation.as_ref()))
    };
    let ((train, validation), (more, held)) = (keys("few.csv"), keys("more.csv"));
    assert!(train.iter().all(|key| more.contains(key)));
    assert!(validation.iter().all(|key| held.contains(key)));
}

#[test]
fn what_cannot_be_read_is_refused_by_line() {
    let place = Place::new();
    place.write("three.csv", "id,words,label\n1,ab,x\n2,cd,y\n3,ef,x\n4,gh,y\n");
    let error = place.refused("three.csv");
    assert!(error.contains("text column: expected one called `text`, or `text=COLUMN`"), "{error}");
    assert_eq!(samples(&open(&place.spec("three.csv?text=words")).unwrap()), 4);
    assert_eq!(samples(&open(&place.spec("three.csv?text=1&header=yes")).unwrap()), 4);
    let error = place.refused("three.csv?text=nope");
    assert!(error.contains("a column of the file (id, words, label), got `nope`"), "{error}");
    place.write("comma.csv", "text,label\nno, quotes,x\n");
    let error = place.refused("comma.csv");
    assert!(error.contains("line 2: expected 2 fields") && error.contains("quotes"), "{error}");
    place.write("empty.csv", "text,label\nab,x\n,y\ncd,x\nef,y\n");
    let error = place.refused("empty.csv");
    assert!(error.contains("empty.csv: line 3: the text"), "{error}");
    place.write("one.csv", "text\nab\n");
    assert!(place.refused("one.csv").contains("number of columns: expected at least 2"));
    place.write("films.csv", &table(30));
    assert!(place.refused("films.csv?length=0").contains("expected a number from 1"));
    assert!(place.refused("films.csv?tokens=letters").contains("bytes, characters or words"));
    assert!(place.refused("films.csv?tokens=words&tokenizer=t.json").contains("leave the option"));
    assert!(place.refused("nothing.csv").contains("nothing.csv"));
    std::fs::create_dir_all(place.0.path().join("bare/a")).unwrap();
    assert!(place.refused("bare").contains("a folder of .txt files for each class"));
}

#[test]
fn other_texts_are_read_as_the_model_knows_them() {
    let place = Place::new();
    place.write("films.csv", &table(60));
    let data = open(&place.spec("films.csv?tokens=words&length=9")).unwrap();
    let refused =
        |rest: &str| open_as(&place.spec(rest), &data.record).expect_err("an error").to_string();
    assert!(refused("films.csv?length=8").contains("expected 9, as the model takes, got 8"));
    assert!(refused("films.csv?tokens=bytes").contains("expected words, as the model takes"));
    place.write("other.csv", "mood,review\ndown,a bad film\nup,a film\nside,a good film\n");
    assert!(refused("other.csv").contains("side"));
    // The columns go by their names.
    place.write("turned.csv", "mood,review\nup,good film\ndown,bad film\nup,film\ndown,bad bad\n");
    let turned = open_as(&place.spec("turned.csv"), &data.record).unwrap();
    assert_eq!(samples(&turned), 4);
    let read = |name: &str, text: &str| data.record.read_labelled_texts(place.write(name, text));
    let texts = read("ask.csv", "review\none film\ntwo\n").unwrap();
    assert_eq!((texts.len(), &texts[1].1[..]), (2, "two"));
    assert_eq!(read("ask.txt", "all of it\n").unwrap()[0].1, "all of it\n");
    assert!(read("no.csv", "a,b\n1,2\n").unwrap_err().to_string().contains("review"));
    let error = DataRecord::default().encode_labelled_text("t", "x").unwrap_err().to_string();
    assert!(error.contains("texts with a class each"), "{error}");
    let text = serde_json::to_string(&data.record).unwrap();
    assert_eq!(serde_json::from_str::<DataRecord>(&text).unwrap(), data.record);
}
