//! Tokenizer files: trained, read, kept with the model, refused.

use std::path::{Path, PathBuf};

use onestep_data::{TokenizerOptions, Vocabulary, train_tokenizer};

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

const VERSE: &str = "a rose is a rose is a rose; the rest is silence.\n";

#[test]
fn a_vocabulary_smaller_than_the_bytes_is_refused() {
    let options = TokenizerOptions { vocabulary: 255, ..TokenizerOptions::default() };
    let error = train_tokenizer(&[], &options, |_| {}).unwrap_err().to_string();
    assert!(error.contains("from 256") && error.contains("255"), "{error}");
}

#[cfg(not(feature = "bpe"))]
#[test]
fn without_the_feature_it_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = write(root.path(), "tok.json", "{}");
    let record = r#"{"text": {"vocabulary": {"model": {}}, "length": 4}}"#;
    let verse = write(root.path(), "verse.txt", &VERSE.repeat(40));
    let data = format!("text:{}?tokenizer={}", verse.display(), file.display());
    for error in [
        Vocabulary::from_file(&file).unwrap_err().to_string(),
        onestep_data::open(&data).unwrap_err().to_string(),
        train_tokenizer(&[verse], &TokenizerOptions::default(), |_| {}).unwrap_err().to_string(),
        serde_json::from_str::<onestep_data::DataRecord>(record).unwrap_err().to_string(),
    ] {
        assert!(error.contains("--features bpe"), "{error}");
    }
}

#[cfg(feature = "bpe")]
mod with_the_feature {
    use onestep_data::{DataRecord, Sample, TrainingPhase, open, open_as};

    use super::*;

    fn trained(folder: &Path, vocabulary: usize) -> Vocabulary {
        let verse = write(folder, "verse.txt", &VERSE.repeat(40));
        let options = TokenizerOptions { vocabulary, ..TokenizerOptions::default() };
        let mut phases = Vec::new();
        let trained = train_tokenizer(std::slice::from_ref(&verse), &options, |phase| {
            phases.push(matches!(phase, TrainingPhase::Merging(_)));
        });
        assert_eq!(phases, [false, true]);
        trained.unwrap()
    }

    #[test]
    fn every_text_leads_back_and_what_is_frequent_is_one_piece() {
        let root = tempfile::tempdir().unwrap();
        let vocabulary = trained(root.path(), 270);
        assert_eq!((vocabulary.len(), vocabulary.is_empty()), (270, false));
        for text in [VERSE, "", " ", "Füße 猫\n\t\u{1f600}\0", "roses are not silent\r\n\r\n"] {
            let tokens = vocabulary.encode(text).unwrap();
            assert_eq!(vocabulary.decode(&tokens), text);
            assert!(tokens.len() <= text.len());
        }
        let rose = vocabulary.encode(" rose").unwrap();
        assert_eq!((rose.len(), vocabulary.name(rose[0]).as_deref()), (1, Some("\u{120}rose")));
        // A byte of several is no character yet.
        let cat = vocabulary.encode("猫").unwrap();
        assert_eq!((cat.len(), vocabulary.decode(&cat[..1]).as_str()), (3, "\u{fffd}"));
        assert_eq!((vocabulary.name(-1), vocabulary.name(270)), (None, None));
    }

    #[test]
    fn a_file_and_a_record_give_the_same_vocabulary() {
        let root = tempfile::tempdir().unwrap();
        let vocabulary = trained(root.path(), 270);
        let file = write(root.path(), "tok.json", vocabulary.tokenizer_json().unwrap());
        assert_eq!(Vocabulary::from_file(&file).unwrap(), vocabulary);
        let verse = root.path().join("verse.txt");
        let text = format!("text:{}?length=6&tokenizer={}", verse.display(), file.display());
        let data = open(&text).unwrap();
        let form = data.record.text.clone().unwrap();
        assert_eq!((&form.vocabulary, form.length), (&vocabulary, 6));
        assert!(data.notes.iter().any(|note| note.contains("tokens are validated on")));
        assert_eq!(data.train.target().class_count(), Some(270));
        let saved = serde_json::to_string(&data.record).unwrap();
        let record: DataRecord = serde_json::from_str(&saved).unwrap();
        assert_eq!(record.text, data.record.text);
        // The record is enough: the file may be gone.
        std::fs::remove_file(&file).unwrap();
        let again = open_as(&text, &record).unwrap();
        assert_eq!(again.record.text, data.record.text);
        // Another one in its place is refused.
        write(root.path(), "tok.json", trained(root.path(), 265).tokenizer_json().unwrap());
        let error = open_as(&text, &record).unwrap_err().to_string();
        assert!(error.contains("tokenizer: expected that of the model"), "{error}");
    }

    #[test]
    fn what_is_no_tokenizer_is_refused_by_name() {
        let root = tempfile::tempdir().unwrap();
        let verse = write(root.path(), "verse.txt", &VERSE.repeat(40));
        for content in ["", "{}", "[1", "\u{0}", r#"{"model": {"type": "BPE"}}"#] {
            let file = write(root.path(), "tok.json", content);
            let error = Vocabulary::from_file(&file).unwrap_err().to_string();
            assert!(error.contains("tok.json") && error.contains("a tokenizer"), "{error}");
        }
        let data = format!("text:{}?tokenizer=none.json", verse.display());
        assert!(open(&data).unwrap_err().to_string().contains("none.json"));
        let empty = write(root.path(), "empty.txt", "");
        let error = train_tokenizer(&[empty], &TokenizerOptions::default(), |_| {});
        assert!(error.unwrap_err().to_string().contains("texts"));
        let error =
            train_tokenizer(&[root.path().join("none.txt")], &TokenizerOptions::default(), |_| {});
        assert!(error.unwrap_err().to_string().contains("none.txt"));
    }

    #[test]
    fn lines_are_encoded_one_by_one() {
        let root = tempfile::tempdir().unwrap();
        let vocabulary = trained(root.path(), 270);
        let file = write(root.path(), "tok.json", vocabulary.tokenizer_json().unwrap());
        let lines = ["a rose", "is", "a rose is a rose"];
        let text = write(root.path(), "lines.txt", &(lines.join("\n\n") + "\n").repeat(30));
        let options = format!("length=16&cut=lines&tokenizer={}", file.display());
        let data = open(&format!("text:{}?{options}", text.display())).unwrap();
        let newline = vocabulary.encode("\n").unwrap();
        // The last one to learn from may be cut where the others begin.
        for index in 0..data.train.len() - 1 {
            let sample = Sample::read(&*data.train, index).unwrap();
            let (tokens, next) = (sample.i32("tokens").unwrap(), sample.i32("next").unwrap());
            let length = data.train.length(index).unwrap();
            assert_eq!(vocabulary.decode(&tokens[..length]), lines[index % 3]);
            assert_eq!(next[..length - 1], tokens[1..length]);
            assert_eq!(next[length - 1], newline[0]);
        }
        assert!(data.train.len() >= 70, "{}", data.train.len());
    }
}
