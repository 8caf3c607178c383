//! What a program is for.

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Forward, loss, backward and update.
    Train,
    /// Forward and loss, without any change of state.
    Evaluate,
    /// Forward only.
    Predict,
}

impl Mode {
    /// What is done with a batch, for messages.
    pub(crate) fn doing(self) -> &'static str {
        match self {
            Mode::Train => "train on",
            Mode::Evaluate => "evaluate",
            Mode::Predict => "predict",
        }
    }
}
