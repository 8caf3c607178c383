//! A text through the doors that take one: what follows each character.

use crate::support::Place;

fn model(rows: usize) -> String {
    format!(
        r#"{{ "name": "letters", "input": {{ "shape": [8], "dtype": "i32" }}, "layers": [
  {{ "type": "embedding", "name": "embed", "num_embeddings": {rows}, "embedding_dim": 12 }},
  {{ "type": "dense", "name": "head", "out_features": {rows} }},
  {{ "type": "permute", "name": "classes_first", "dims": [0, 2, 1] }} ] }}"#
    )
}

/// `abc...abc...`: what follows a letter is always the same.
fn letters(count: usize) -> String {
    "abcdefghij\n".repeat(count)
}

pub(crate) fn walk() {
    let place = Place::new();
    place.write("letters.txt", letters(60));
    place.write("net.json", model(11));
    let data = "text:letters.txt?length=8";
    let trained = place.json(&format!(
        "train --data {data} --model net.json --epochs 20 --lr 0.05 --batch-size 8 --threads 1 \
         --metrics accuracy,perplexity --out run --json"
    ));
    assert_eq!(trained["validation_accuracy"].as_f64(), Some(1.0), "{trained}");
    let same = place.json("evaluate --checkpoint run --threads 1 --json");
    let (measured, loss) = (&same["loss"], &trained["validation_loss"]);
    let gap = measured.as_f64().unwrap() - loss.as_f64().unwrap();
    assert!(gap.abs() < 1e-5, "{same}, in training {trained}");

    place.write("start.txt", "abcdefghij\nabcde");
    let said = place.json("predict --checkpoint run --threads 1 --json start.txt letters.txt");
    let next = |answer: usize| said["predictions"][answer]["top"][0]["name"].as_str().unwrap();
    assert_eq!((next(0), next(1)), ("f", "a"), "{said}");
    assert_eq!(said["predictions"][0]["output"].as_array().unwrap().len(), 11);

    generate(&place);
    let resumed = place.json("train --resume run --epochs 22 --threads 1 --json");
    assert_eq!(resumed["epochs"].as_f64(), Some(22.0), "{resumed}");

    place.write("other.txt", "abcdefghij\nabcdefghij\nabc!".repeat(8));
    place.write("short.txt", "abc");
    place.fails("evaluate --checkpoint run --data text:other.txt?length=8", 1, &["other.txt", "!"]);
    place.fails("predict --checkpoint run other.txt", 1, &["other.txt", "!"]);
    place.fails("predict --checkpoint run short.txt", 1, &["short.txt", "at least 8", "got 3"]);
    place.write("small.json", model(5));
    let small = format!("train --data {data} --model small.json --out small");
    place.fails(&small, 1, &["at most 5, the outputs of the model, got 11"]);
    // Tokens cannot be blended, and no network suits all texts.
    let mixed = format!("train --data {data} --model net.json --mix mixup=0.2 --out mixed");
    place.fails(&mixed, 1, &["to mix"]);
    let bare = format!("train --data {data} --out bare");
    place.fails(&bare, 1, &["--model"]);
}

/// A letter is always followed by the same one, so what is most probable is the text itself.
fn generate(place: &Place) {
    let command = "generate --checkpoint run --threads 1 --prompt c --tokens 12";
    let shown = place.run(&format!("{command} --temperature 0"));
    assert_eq!((shown.code, shown.stdout.as_str()), (Some(0), "cdefghij\nabcd\n"), "{shown:?}");
    assert!(shown.stderr.contains("12 tokens in"), "{shown:?}");
    let whole = place.run(&format!("{command} --temperature 0 --no-cache"));
    assert_eq!((whole.code, whole.stdout), (Some(0), shown.stdout), "{}", whole.stderr);
    let drawn = format!("{command} --temperature 5 --top-p 0.99 --num-samples 2 --json --seed");
    let said = place.json(&format!("{drawn} 1"));
    let text = |sample: usize| said["samples"][sample]["text"].as_str().unwrap();
    assert_eq!((text(0).len(), said["context"].as_u64()), (12, Some(8)), "{said}");
    assert_ne!(text(0), text(1));
    assert_eq!(place.json(&format!("{drawn} 1"))["samples"], said["samples"]);
    assert_ne!(place.json(&format!("{drawn} 2"))["samples"], said["samples"]);
    let bad = |flags: &str, names: &[&str]| {
        place.fails(&format!("generate --checkpoint run --threads 1 {flags}"), 1, names);
    };
    bad("--prompt ab!", &["prompt: line 1, column 3", "11 characters", "'!'"]);
    bad("--prompt=", &["prompt", "at least one token"]);
    bad("--temperature -1", &["temperature", "at least 0"]);
    bad("--top-k 0", &["top_k", "at least 1"]);
    bad("--top-p 2", &["top_p", "at most 1"]);
    bad("--num-samples 0", &["--num-samples", "at least 1"]);
    place.json("train --data digits --epochs 1 --threads 1 --out digits --json");
    place.fails("generate --checkpoint digits", 1, &["what follows each token", "f32 [1, 8, 8]"]);
}

/// Texts with a class each: two moods by the words they are said with.
pub(crate) fn labelled() {
    let place = Place::new();
    let line = |number: usize| {
        let (word, mood) = [("fine", "up"), ("dull", "down")][number % 2];
        format!("\"a {word} day, number {number}\",{mood}\n")
    };
    let table = |lines: usize| "text,mood\n".to_owned() + &(0..lines).map(line).collect::<String>();
    place.write("days.csv", table(80));
    place.write("new.csv", "text\na dull day\n\"a fine day, number 1\"\n");
    place.write("note.txt", "a dull day");
    let data = "texts:days.csv?length=12&tokens=words";
    // Without a model the preset for texts is taken, with as many rows as there are words.
    let trained = place.json(&format!(
        "train --data {data} --epochs 15 --batch-size 8 --lr 1e-3 --threads 1 --out run --json"
    ));
    assert_eq!(trained["validation_accuracy"].as_f64(), Some(1.0), "{trained}");
    assert_eq!(trained["model"], "text_encoder");
    let same = place.json("evaluate --checkpoint run --threads 1 --json");
    let gap = same["loss"].as_f64().unwrap() - trained["validation_loss"].as_f64().unwrap();
    assert!(gap.abs() < 1e-5, "{same}, in training {trained}");
    let predict = |rest: &str| {
        let said = place.json(&format!("predict --checkpoint run --threads 1 --json {rest}"));
        let said = said["predictions"].as_array().unwrap().clone();
        let mood =
            |answer: &serde_json::Value| answer["top"][0]["name"].as_str().unwrap().to_owned();
        said.iter().map(mood).collect::<Vec<_>>()
    };
    assert_eq!(predict("new.csv note.txt"), ["down", "up", "down"]);
    assert_eq!(predict("new.csv"), ["down", "up"]);
    let resumed = place.json("train --resume run --epochs 16 --threads 1 --json");
    assert_eq!(resumed["epochs"].as_f64(), Some(16.0), "{resumed}");
    let bucketed =
        format!("train --data {data} --buckets 6,9 --epochs 1 --threads 1 --out b --json");
    assert!(place.json(&bucketed)["validation_loss"].as_f64().is_some());

    place.write("other.csv", "text,mood\na,up\nb,sideways\nc,up\nd,down\n");
    place.fails("evaluate --checkpoint run --data texts:other.csv", 1, &["sideways"]);
    place.fails("evaluate --checkpoint run --data texts:days.csv?length=9", 1, &["12", "9"]);
    place.fails("evaluate --checkpoint run --data digits", 1, &[]);
    place.fails("predict --checkpoint run --text=", 1, &["the text"]);
    let small = format!("train --data {data} --model text_encoder:tokens=3 --out small");
    place.fails(&small, 1, &["text_encoder", "tokens", "at least"]);
}

/// Pieces in place of characters: trained, learnt from, kept in the checkpoint, and streamed.
#[cfg(feature = "bpe")]
pub(crate) fn walk_in_pieces() {
    let place = Place::new();
    place.write("letters.txt", letters(120));
    place.write("net.json", model(262));
    let made = "tokenizer train --vocab-size 262 --out tok.json --json letters.txt";
    place.json(made);
    for (cut, run) in [("windows", "run"), ("lines", "lines")] {
        place.json(&format!(
            "train --data text:letters.txt?length=8&tokenizer=tok.json&cut={cut} --model net.json \
             --epochs 20 --lr 0.05 --batch-size 8 --threads 1 --out {run} --json"
        ));
    }
    std::fs::remove_file(place.path("tok.json")).unwrap();
    let command =
        "generate --checkpoint run --threads 1 --temperature 0 --tokens 40 --prompt abcdefghij";
    let shown = place.run(command);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.starts_with(&letters(4)), "{shown:?}");
    assert!(
        shown.stderr.contains("40 tokens in") && shown.stderr.contains("tokens/s"),
        "{shown:?}"
    );
    let lines = place.json(&format!("{} --json", command.replace("run", "lines")));
    assert_eq!(lines["samples"][0]["tokens"].as_array().map(Vec::len), Some(40), "{lines}");
}
