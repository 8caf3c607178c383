//! Tokenizer files of Hugging Face's form, and training one: behind the feature `bpe`.

use std::path::{Path, PathBuf};

use crate::DataError;
use crate::shown::shown_path;

/// How a tokenizer is trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerOptions {
    /// How many pieces there are at most: 256 for the bytes, and one more for each that is merged.
    pub vocabulary: usize,
    /// Pieces that come together less often are not merged; default 2.
    pub min_frequency: u64,
}

impl Default for TokenizerOptions {
    fn default() -> Self {
        TokenizerOptions { vocabulary: 1000, min_frequency: 2 }
    }
}

/// What training a tokenizer is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainingPhase<'a> {
    /// It reads a file and counts its words.
    Reading(&'a Path),
    /// It merges pieces, until there are so many.
    Merging(usize),
}

/// The fewest pieces: one for each byte, so that no text is refused.
const BYTES: usize = 256;

impl TokenizerOptions {
    fn check(&self) -> Result<(), DataError> {
        const MOST: usize = 1 << 24;
        if (BYTES..=MOST).contains(&self.vocabulary) {
            return Ok(());
        }
        let wanted = format!("from {BYTES} (a piece for each byte) to {MOST}");
        Err(DataError::setting("size of the vocabulary", wanted, self.vocabulary))
    }
}

/// Trains a tokenizer, where the options make sense.
pub(crate) fn train(
    files: &[PathBuf],
    options: &TokenizerOptions,
    watch: impl FnMut(TrainingPhase<'_>),
) -> Result<Tokenizer, DataError> {
    options.check()?;
    own::train(files, options, watch)
}

pub(crate) use own::Tokenizer;

impl Tokenizer {
    pub(crate) fn from_file(path: &Path) -> Result<Self, DataError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| DataError::io(path, "read", "a tokenizer file", source))?;
        Self::read(&text).map_err(|got| match cfg!(feature = "bpe") {
            true => DataError::format(path, "the file", "a tokenizer (tokenizer.json)", got),
            false => DataError::setting("tokenizer", NEEDED, shown_path(path)),
        })
    }
}

/// What is said without the feature.
const NEEDED: &str = "a build with tokenizers (`cargo build --release --features bpe`)";

#[cfg(not(feature = "bpe"))]
mod own {
    use super::{DataError, NEEDED, PathBuf, TokenizerOptions, TrainingPhase};

    /// There is none in this build.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) enum Tokenizer {}

    impl Tokenizer {
        pub(crate) fn read(_: &str) -> Result<Self, String> {
            Err(format!("expected {NEEDED}, got one without"))
        }

        pub(crate) fn json(&self) -> &str {
            match *self {}
        }

        pub(crate) fn to_value(&self) -> serde_json::Value {
            match *self {}
        }

        pub(crate) fn len(&self) -> usize {
            match *self {}
        }

        pub(crate) fn name(&self, _: i32) -> Option<String> {
            match *self {}
        }

        pub(crate) fn encode(&self, _: &str, _: &str) -> Result<Vec<i32>, DataError> {
            match *self {}
        }

        pub(crate) fn decode(&self, _: &[i32]) -> String {
            match *self {}
        }
    }

    pub(super) fn train(
        _: &[PathBuf],
        _: &TokenizerOptions,
        _: impl FnMut(TrainingPhase<'_>),
    ) -> Result<Tokenizer, DataError> {
        Err(DataError::setting("tokenizer", NEEDED, "one without"))
    }
}

#[cfg(feature = "bpe")]
mod own {
    use std::sync::Arc;

    use serde_json::Value;
    use tokenizers::TokenizerImpl;
    use tokenizers::models::bpe::{BPE, BpeTrainer};
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;
    use tokenizers::{
        DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    };

    use super::{DataError, PathBuf, TokenizerOptions, TrainingPhase};
    use crate::plain_text::read_text;

    /// A tokenizer, and the file that it is.
    #[derive(Clone, Debug)]
    pub(crate) struct Tokenizer {
        json: Arc<str>,
        inner: Arc<tokenizers::Tokenizer>,
        len: usize,
    }

    impl PartialEq for Tokenizer {
        fn eq(&self, other: &Self) -> bool {
            self.json == other.json
        }
    }

    impl Eq for Tokenizer {}

    impl Tokenizer {
        /// Of the content of a file.
        pub(crate) fn read(text: &str) -> Result<Self, String> {
            let inner =
                tokenizers::Tokenizer::from_bytes(text).map_err(|error| error.to_string())?;
            Self::of(inner)
        }

        fn of(mut inner: tokenizers::Tokenizer) -> Result<Self, String> {
            // Windows are cut from the whole text: nothing is filled up or cut off before.
            inner.with_padding(None);
            inner.with_truncation(None).map_err(|error| error.to_string())?;
            let last = inner.get_vocab(true).into_values().max();
            let len = last.map_or(0, |last| last as usize + 1);
            // One order of keys, so that equal tokenizers are equal texts.
            let value = serde_json::to_value(&inner).map_err(|error| error.to_string())?;
            Ok(Self { json: value.to_string().into(), inner: Arc::new(inner), len })
        }

        pub(crate) fn json(&self) -> &str {
            &self.json
        }

        pub(crate) fn to_value(&self) -> Value {
            serde_json::from_str(&self.json).unwrap_or_default()
        }

        pub(crate) fn len(&self) -> usize {
            self.len
        }

        pub(crate) fn name(&self, token: i32) -> Option<String> {
            self.inner.id_to_token(u32::try_from(token).ok()?)
        }

        pub(crate) fn encode(&self, name: &str, text: &str) -> Result<Vec<i32>, DataError> {
            let refused = |got: String| {
                DataError::field(name, "a text that the tokenizer can take apart", got)
            };
            let encoding =
                self.inner.encode(text, false).map_err(|error| refused(error.to_string()))?;
            if encoding.is_empty() && !text.is_empty() {
                return Err(refused("one that it has no pieces for".to_owned()));
            }
            let tokens = encoding.get_ids().iter().map(|&token| i32::try_from(token));
            tokens.collect::<Result<_, _>>().map_err(|error| refused(error.to_string()))
        }

        pub(crate) fn decode(&self, tokens: &[i32]) -> String {
            let tokens: Vec<u32> =
                tokens.iter().map(|&t| u32::try_from(t).unwrap_or(u32::MAX)).collect();
            self.inner.decode(&tokens, false).unwrap_or_default()
        }
    }

    /// Byte-level byte-pair encoding, before and after training.
    type ByteLevelBpe = TokenizerImpl<
        BPE,
        NormalizerWrapper,
        PreTokenizerWrapper,
        PostProcessorWrapper,
        DecoderWrapper,
    >;

    pub(super) fn train(
        files: &[PathBuf],
        options: &TokenizerOptions,
        mut watch: impl FnMut(TrainingPhase<'_>),
    ) -> Result<Tokenizer, DataError> {
        let mut texts = Vec::with_capacity(files.len());
        for file in files {
            watch(TrainingPhase::Reading(file));
            texts.push(read_text(file)?);
        }
        if texts.iter().all(String::is_empty) {
            return Err(DataError::Empty { dataset: "the tokenizer's texts".to_owned() });
        }
        watch(TrainingPhase::Merging(options.vocabulary));
        let mut trainer = BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(options.vocabulary)
            .min_frequency(options.min_frequency)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        let failed = |error: tokenizers::Error| {
            DataError::setting("tokenizer", "texts that it can be trained on", error)
        };
        let mut bpe: ByteLevelBpe = TokenizerImpl::new(BPE::default());
        bpe.with_pre_tokenizer(Some(PreTokenizerWrapper::ByteLevel(ByteLevel::new(
            false, true, true,
        ))));
        bpe.with_decoder(Some(DecoderWrapper::ByteLevel(ByteLevel::default())));
        // Lines, so that words are counted in parallel; each keeps what ends it.
        let lines = texts.iter().flat_map(|text| text.split_inclusive('\n'));
        bpe.train(&mut trainer, lines).map_err(failed)?;
        let text = bpe.to_string(false).map_err(failed)?;
        Tokenizer::read(&text)
            .map_err(|error| DataError::setting("tokenizer", "a whole one", error))
    }
}
