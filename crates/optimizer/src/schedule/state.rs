//! What a checkpoint keeps of a schedule.

use serde::{Deserialize, Serialize};

use super::PlateauState;

/// What a checkpoint keeps of a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ScheduleState {
    /// Nothing: the schedule is a function of the step.
    Stateless {},
    /// The past of [`ReduceOnPlateau`](super::ReduceOnPlateau).
    ReduceOnPlateau(PlateauState),
}

impl ScheduleState {
    /// What it is the state of.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            ScheduleState::Stateless {} => "no state",
            ScheduleState::ReduceOnPlateau(_) => "the state of reduce_on_plateau",
        }
    }
}

/// Numbers as text. JSON has no infinity, and its readers may round a number's last bit, but a
/// resumed run must be the same to the bit.
pub(super) mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in super::super) fn serialize<S: Serializer>(
        value: &f64,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        // The shortest text that reads back as the same number.
        serializer.collect_str(value)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<f64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom(format!("expected a number, got `{text}`")))
    }
}

/// The same for a number that may be missing.
pub(super) mod exact_option {
    use serde::{Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        value: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::exact::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        super::exact::deserialize(deserializer).map(Some)
    }
}
