//! Damaged and unusual files and settings, drawn from a corpus of good ones: whatever they hold, each
//! door answers or refuses, without a panic, within a bound of memory, and a refusal says something.
//!
//! A run of CI draws some thousands; `ONESTEP_MUTATIONS=100000` draws more, `ONESTEP_SEED=7` others.
//! A failure names the seed and the number of the draw, and the input that was drawn is left in the
//! folder of temporary files.

mod corpus;
mod doors;
mod memory;
mod mutate;

use std::panic::{AssertUnwindSafe, catch_unwind};

use corpus::Corpus;
use onestep::data::SampleRng;

/// Draws of a run of CI, over all doors.
const DRAWS: u64 = 4_000;

/// More than any good file of the corpus needs, by far; less than what a damaged one may claim.
const MOST_BYTES: usize = 512 << 20;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => {
            text.parse().unwrap_or_else(|_| panic!("{name}: expected a number, got {text}"))
        }
        Err(_) => default,
    }
}

#[test]
fn nothing_that_is_read_panics_or_takes_memory_on_faith() {
    let (draws, seed) = (setting("ONESTEP_MUTATIONS", DRAWS), setting("ONESTEP_SEED", 0));
    let corpus = Corpus::new();
    let (mut accepted, mut refused) = (0, 0);
    for draw in 0..draws {
        let item = &corpus.items[draw as usize % corpus.items.len()];
        let mut rng = SampleRng::new(seed, 0, draw);
        let bytes = mutate::mutate(&item.bytes, &mut rng);
        let before = memory::start();
        let result = catch_unwind(AssertUnwindSafe(|| (item.door)(&corpus, item, &bytes)));
        let used = memory::peak_since(before);
        let complain = |what: &str| -> ! {
            let kept = std::env::temp_dir().join(format!("onestep-mutation-{seed}-{draw}"));
            std::fs::write(&kept, &bytes).unwrap();
            panic!("{} (seed {seed}, draw {draw}): {what}; see {}", item.name, kept.display())
        };
        match result {
            Err(_) => complain("a panic"),
            Ok(Ok(())) => accepted += 1,
            Ok(Err(message)) if message.trim().is_empty() => complain("an empty message"),
            Ok(Err(message)) if message.len() > 4_000 => complain("a message of pages"),
            Ok(Err(_)) => refused += 1,
        }
        if used > MOST_BYTES {
            complain(&format!("{used} bytes of memory"));
        }
    }
    // Doors that refuse or take all would not be tested by this.
    assert!(accepted * 50 > draws && refused * 50 > draws, "{accepted} taken, {refused} refused");
}
