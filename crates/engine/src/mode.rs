//! What a program is for.

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Forward, loss, backward and update.
    Train,
    /// Forward, loss and backward; the gradient is added to those of batches before, for an update
    /// in the next step to train.
    Accumulate,
    /// Forward and loss, without any change of state.
    Evaluate,
    /// Forward only. Of the state it changes what the program says, such as what a text that is
    /// written has so far.
    Predict,
}

impl Mode {
    /// Whether gradients are taken: dropout drops, batch statistics are used and kept.
    pub fn trains(self) -> bool {
        matches!(self, Mode::Train | Mode::Accumulate)
    }

    /// What is done with a batch, for messages.
    pub(crate) fn doing(self) -> &'static str {
        match self {
            Mode::Train => "train on",
            Mode::Accumulate => "accumulate the gradient of",
            Mode::Evaluate => "evaluate",
            Mode::Predict => "predict",
        }
    }
}
