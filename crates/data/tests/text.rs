//! Texts by character.

use std::fs;
use std::path::PathBuf;

use onestep_data::{
    DataError, DataRecord, Dataset, IGNORED, Sample, TextForm, TextOptions, TextParts, Vocabulary,
    open, open_as, text_file, text_splits,
};
use proptest::prelude::*;
use tempfile::TempDir;

struct File(TempDir);

impl File {
    fn new(text: &str) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        fs::write(file.path(), text).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("poem.txt")
    }

    fn spec(&self, options: &str) -> String {
        format!("text:{}{options}", self.path().display())
    }
}

fn text<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

fn windows(dataset: &dyn Dataset, vocabulary: &Vocabulary) -> Vec<(String, String)> {
    let read = |index| {
        let sample = Sample::read(dataset, index).unwrap();
        let decode = |name| vocabulary.decode(sample.i32(name).unwrap());
        (decode("tokens"), decode("next"))
    };
    (0..dataset.len()).map(read).collect()
}

fn letters(count: usize) -> String {
    (0..count).map(|i| char::from(b'a' + (i * i % 26) as u8)).collect()
}

#[test]
fn windows_have_the_characters_that_follow() {
    let file = File::new("abcabcabd");
    let options = TextOptions { length: 3, ..TextOptions::default() };
    let set = text_file(file.path(), &options).unwrap();
    assert_eq!(set.name(), "poem");
    assert_eq!(set.fields().names(), "tokens, next");
    let wanted = [("abc", "bca"), ("abc", "bca")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(windows(&set, set.vocabulary()), wanted);
    assert_eq!(Sample::read(&set, 1).unwrap().i32("tokens").unwrap(), [0, 1, 2]);
    assert_eq!(set.location(1).unwrap(), "characters 3 to 6");
    assert!(text(Sample::read(&set, 2)).contains("below 2, got 2"));
    assert!(!set.fields()[1].ignores() && IGNORED < 0);
}

#[test]
fn the_last_tenth_is_validated_on() {
    let whole = letters(1000);
    let file = File::new(&whole);
    let data = open(&file.spec("?length=9")).unwrap();
    let form = data.record.text.as_ref().unwrap();
    assert_eq!((form.length, form.vocabulary.len()), (9, Vocabulary::of(&whole).len()));
    let joined = |part: &dyn Dataset| -> String {
        windows(part, &form.vocabulary).into_iter().map(|(tokens, _)| tokens).collect()
    };
    let (train, validation) = (joined(data.train.as_ref()), joined(data.validation.as_ref()));
    assert_eq!(train, whole[..train.len()]);
    assert_eq!(validation, whole[900..900 + validation.len()]);
    // No window to learn from has a character of the other part, its last target included.
    assert_eq!((train.len(), validation.len()), (99 * 9, 11 * 9));
    assert_eq!(data.notes, ["the last 100 of 1000 characters are validated on"]);
}

#[test]
fn other_text_is_read_as_the_model_knows_it() {
    let file = File::new(&letters(400));
    let known = open(&file.spec("?length=5")).unwrap().record;
    let saved = serde_json::to_string(&known).unwrap();
    assert_eq!(serde_json::from_str::<DataRecord>(&saved).unwrap(), known);

    let other = File::new(&"az".repeat(60));
    let data = open_as(&other.spec(""), &known).unwrap();
    let vocabulary = &known.text.as_ref().unwrap().vocabulary;
    let wanted = [vocabulary.token('a').unwrap(), vocabulary.token('z').unwrap()];
    let sample = Sample::read(data.train.as_ref(), 0).unwrap();
    assert_eq!(sample.i32("tokens").unwrap()[..2], wanted);
    assert_eq!(data.record.text, known.text);
    assert_eq!(data.record.classes, known.classes);
    assert_eq!(known.read_text(other.path()).unwrap().len(), 120);

    assert_eq!(
        text(open_as(&other.spec("?length=6"), &known)),
        "length of the windows: expected 5, as the model takes, got 6"
    );
    let strange = File::new(&format!("{}\nazÄz", "az".repeat(60)));
    let error = text(open_as(&strange.spec(""), &known));
    assert!(error.contains("poem.txt: line 1, column 121: expected one of the"), "{error}");
    assert!(error.ends_with("characters that the model knows, got '\\n' (U+000A)"), "{error}");
    assert_eq!(text(known.read_text(strange.path())), error);
    let wanted = "data: expected a text, as the model was trained on";
    assert!(text(open_as("digits", &known)).contains("expected the model's classes"));
    let table = DataRecord { classes: None, ..known.clone() };
    let csv = strange.0.path().join("t.csv");
    fs::write(&csv, "1,2,a\n2,3,b\n4,5,a\n").unwrap();
    assert!(text(open_as(&format!("csv:{}", csv.display()), &table)).starts_with(wanted));
    let digits = open("digits").unwrap().record;
    assert!(digits.read_text(other.path()).is_err());
}

#[test]
fn what_is_no_text_is_refused() {
    let file = File::new(&letters(100));
    let refused = |spec: &str| text(open(spec));
    assert!(refused(&file.spec("?length=0")).contains("option length: expected a number from 1"));
    assert!(refused(&file.spec("?split=half")).contains("expected position or hash, got `half`"));
    assert!(
        refused(&file.spec("?strides=2"))
            .contains("(there are length, cut, order, stride, split, tokenizer)")
    );
    assert!(refused("text:").contains("its file is missing"));
    assert!(refused("text:/nowhere/at/all").contains("expected a text file"));
    let error = refused(&file.spec("?length=95"));
    assert!(error.contains("expected at least 96 characters in each part, for windows of 95"));
    assert!(text(open(&File::new("").spec(""))).contains("at least one sample"));
    let bytes = File::new("");
    fs::write(bytes.path(), [b'a', b'b', 0xff]).unwrap();
    assert!(refused(&bytes.spec("")).ends_with("byte 2: expected UTF-8 text, got other bytes"));
    for wrong in [r#""ba""#, r#""aab""#] {
        assert!(serde_json::from_str::<Vocabulary>(wrong).is_err());
    }
    assert_eq!(Vocabulary::of("ab").decode(&[1, 7, 0]), "b\u{fffd}a");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// By hash, windows share no character, and text that is added behind moves none of them.
    #[test]
    fn added_text_moves_no_window(
        characters in proptest::collection::vec(0u8..6, 60..400),
        more in proptest::collection::vec(0u8..9, 1..200),
        length in 1usize..7,
    ) {
        let write = |bytes: &[u8]| -> String {
            bytes.iter().map(|&byte| char::from(b'a' + byte)).collect()
        };
        let first = write(&characters);
        let both = first.clone() + &write(&more);
        let options = format!("?length={length}&split=hash");
        let parts = |whole: &str| {
            let file = File::new(whole);
            open(&file.spec(&options)).ok().map(|data| {
                let vocabulary = data.record.text.unwrap().vocabulary;
                [data.train, data.validation].map(|part| windows(part.as_ref(), &vocabulary))
            })
        };
        let (Some(before), Some(after)) = (parts(&first), parts(&both)) else { return Ok(()) };
        let count = before[0].len() + before[1].len();
        prop_assert_eq!(count, first.len() / (length + 1));
        let apart = before[0].iter().all(|window| !before[1].contains(window));
        prop_assert!(apart, "equal windows in both parts");
        // A part that would be empty borrows from the other, so only what hashes decided stays.
        if before[1].len() > 1 && after[1].len() > 1 {
            prop_assert_eq!(&after[0][..before[0].len()], &before[0][..]);
            prop_assert_eq!(&after[1][..before[1].len()], &before[1][..]);
        }
    }
}

#[test]
fn tiny_shakespeare_is_read_whole() {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let root = std::env::var_os("ONESTEP_DATA").map_or_else(default, PathBuf::from);
    let folder = root.join("tinyshakespeare");
    let file = fs::read_dir(&folder).ok().and_then(|files| {
        let paths = files.filter_map(|entry| Some(entry.ok()?.path()));
        paths.into_iter().find(|path| path.extension().is_some_and(|end| end == "txt"))
    });
    let Some(file) = file else {
        eprintln!(
            "skipped: {} is not there (set ONESTEP_DATA to the folder above)",
            folder.display()
        );
        return;
    };
    let data = open(&format!("text:{}?length=64", file.display())).unwrap();
    let vocabulary = &data.record.text.as_ref().unwrap().vocabulary;
    assert_eq!(vocabulary.len(), 65);
    let (first, _) = &windows(data.train.as_ref(), vocabulary)[0];
    assert!(first.starts_with("First Citizen:\nBefore we proceed any further"), "{first}");
    assert_eq!((data.train.len(), data.validation.len()), (15_685, 1_742));
}

/// Lines of a text and what follows each character of them.
fn lines_of(data: &dyn Dataset, record: &DataRecord) -> Vec<(String, String)> {
    let vocabulary = &record.text.as_ref().unwrap().vocabulary;
    let text = |index, field: &str| {
        vocabulary.decode(Sample::read(data, index).unwrap().i32(field).unwrap())
    };
    (0..data.len()).map(|index| (text(index, "tokens"), text(index, "next"))).collect()
}

#[test]
fn lines_are_samples_of_their_own_length() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lines.txt");
    std::fs::write(&file, "ab\n\nc\nabcdefghi\nfed").unwrap();
    let options = TextOptions { length: 4, lines: true, ..TextOptions::default() };
    let all = text_file(&file, &options).unwrap();
    let record = DataRecord {
        text: Some(TextForm { vocabulary: all.vocabulary().clone(), length: 4, lines: true }),
        ..DataRecord::default()
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let wanted = [
        pair("ab", "b\n"),
        pair("c", "\n"),
        // Cut behind four, whose last target the rest does not begin with.
        pair("abcd", "bcde"),
        pair("fghi", "ghi\n"),
        pair("fe", "ed"),
    ];
    assert_eq!(lines_of(&all, &record), wanted);
    assert_eq!((all.length(0), all.length(3), all.length(5)), (Some(2), Some(4), None));
    assert!(all.fields().iter().all(|field| field.varies && field.shape == [4]));

    std::fs::write(&file, "abc\nde\n".repeat(40)).unwrap();
    let spec = |options: &str| format!("text:{}?{options}", file.display());
    let data = open(&spec("length=4&cut=lines")).unwrap();
    assert_eq!((data.train.len(), data.validation.len()), (72, 8));
    // A model that was trained on lines is measured on lines.
    let again = open_as(&spec("length=4"), &data.record).unwrap();
    assert_eq!(again.validation.len(), 8);
    let error = open_as(&spec("cut=windows"), &data.record).unwrap_err().to_string();
    assert_eq!(error, "cut of the text: expected lines, as the model was trained on, got windows");
    let error = open(&spec("cut=words")).unwrap_err().to_string();
    assert!(error.contains("option cut: expected windows or lines, got `words`"), "{error}");
    std::fs::write(&file, "abc").unwrap();
    let error = open(&spec("cut=lines")).unwrap_err().to_string();
    assert!(error.contains("expected a line with a character and another behind it"), "{error}");
}

proptest! {
    #[test]
    fn all_lines_are_there_once_and_no_line_is_in_both_parts(
        lines in proptest::collection::vec("[a-d]{0,9}", 30..80),
        length in 1usize..8,
        hash: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lines.txt");
        std::fs::write(&file, lines.join("\n") + "\n").unwrap();
        let parts = if hash { TextParts::Hash } else { TextParts::Position };
        let options = TextOptions { length, stride: None, parts, lines: true, stream: false };
        let Ok(data) = text_splits(&file, &options) else { return Ok(()) };
        // Each piece of each line, cut where it is too long.
        let mut wanted: Vec<String> = Vec::new();
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let mut rest = line.as_str();
            while !rest.is_empty() {
                wanted.push(rest[..rest.len().min(length)].to_owned());
                rest = rest.get(length + 1..).unwrap_or_default();
            }
        }
        let part = |part: &dyn Dataset| -> Vec<String> {
            lines_of(part, &data.record).into_iter().map(|(tokens, _)| tokens).collect()
        };
        let (train, validation) = (part(&*data.train), part(&*data.validation));
        if hash {
            let mut got = [train.clone(), validation.clone()].concat();
            got.sort();
            wanted.sort();
            prop_assert_eq!(got, wanted);
            let held = lines_of(&*data.validation, &data.record);
            let learnt = lines_of(&*data.train, &data.record);
            prop_assert!(learnt.iter().all(|line| !held.contains(line)));
        } else {
            // In their order; the line over the border is cut there, and what is left of it is in neither.
            prop_assert!(wanted.starts_with(&train[..train.len() - 1]));
            prop_assert!(wanted.ends_with(&validation));
        }
    }
}

#[test]
fn windows_to_learn_from_begin_as_far_apart_as_was_said() {
    let whole = letters(200);
    let file = File::new(&whole);
    let data = open(&file.spec("?length=9&stride=1")).unwrap();
    let vocabulary = &data.record.text.as_ref().unwrap().vocabulary;
    let train = windows(data.train.as_ref(), vocabulary);
    assert_eq!(train.len(), 180 - 9);
    for (start, (tokens, next)) in train.iter().enumerate() {
        assert_eq!(
            (&tokens[..], &next[..]),
            (&whole[start..start + 9], &whole[start + 1..start + 10])
        );
    }
    // What is validated on is read once.
    let validation = windows(data.validation.as_ref(), vocabulary);
    assert_eq!(
        validation.iter().map(|(tokens, _)| &tokens[..]).collect::<String>(),
        whole[180..198]
    );
    let data = open(&file.spec("?length=9&stride=20")).unwrap();
    assert_eq!(data.train.len(), 9);

    let error = |options| text(open(&file.spec(options)));
    assert_eq!(
        error("?length=9&stride=1&split=hash"),
        "stride of the windows: expected none with split=hash, whose windows share no character, got 1"
    );
    assert!(error("?length=9&stride=1&cut=lines").contains("none with cut=lines"));
    assert!(error("?length=9&stride=0").contains("stride: expected a number from 1 to"));
}

#[test]
fn rows_of_a_stream_go_on_where_they_ended() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("letters.txt");
    let text: String = (0..260_u32).map(|i| char::from_u32(0x4e00 + i).unwrap()).collect();
    std::fs::write(&file, &text).unwrap();
    let spec = |options: &str| format!("text:{}?length=5&{options}", file.display());
    let data = open(&spec("order=stream")).unwrap();
    let memory = onestep_memory::MemoryManager::host();
    // 46 windows to learn from: 11 for each of four rows.
    let loader = onestep_data::DataLoader::builder(data.train.clone()).batch_size(4).shuffle(true);
    let mut loader = loader.workers(1).build(&memory).unwrap();
    assert_eq!((data.train.len(), loader.batches_per_epoch()), (46, 11));
    assert_eq!(loader.order(0), loader.order(1));
    let mut ends: Option<Vec<i32>> = None;
    for batch in loader.epoch(0) {
        let tokens: Vec<i32> = batch.unwrap().tensor("tokens").unwrap().read().unwrap();
        let rows: Vec<&[i32]> = tokens.chunks(5).collect();
        // Characters are numbered as they stand in the text.
        match &ends {
            None => assert_eq!([rows[0][0], rows[1][0], rows[2][0]], [0, 55, 110]),
            Some(ends) => {
                assert!(rows.iter().zip(ends).all(|(row, end)| row[0] == end + 1), "{rows:?}");
            }
        }
        ends = Some(rows.iter().map(|row| row[4]).collect());
    }
    let error = open(&spec("order=stream&cut=lines")).unwrap_err().to_string();
    assert!(error.contains("order of the text: expected shuffled"), "{error}");
    let error = open(&spec("order=stream&split=hash")).unwrap_err().to_string();
    assert!(error.contains("order of the text: expected shuffled"), "{error}");
}
