//! What schedules look like as texts: one list for reading them and for saying how.

use std::sync::LazyLock;

/// An option as a part of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Argument {
    /// Its name in JSON.
    pub(super) option: &'static str,
    /// Its name in the form.
    pub(super) shown: &'static str,
    pub(super) required: bool,
    /// Whether it is whole numbers with commas between.
    pub(super) list: bool,
}

const fn required(option: &'static str, shown: &'static str) -> Argument {
    Argument { option, shown, required: true, list: false }
}

const fn optional(option: &'static str, shown: &'static str) -> Argument {
    Argument { option, shown, required: false, list: false }
}

const fn list(option: &'static str, shown: &'static str) -> Argument {
    Argument { option, shown, required: true, list: true }
}

/// A schedule as a text: its name, then its arguments.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextForm {
    /// Its `type`.
    pub(super) kind: &'static str,
    /// Its name in a text, beside the type.
    pub(super) name: &'static str,
    pub(super) arguments: &'static [Argument],
    /// Whether it counts something.
    pub(super) counts: bool,
    /// Whether another may follow.
    pub(super) leads: bool,
}

const fn form(kind: &'static str, arguments: &'static [Argument]) -> TextForm {
    TextForm { kind, name: kind, arguments, counts: true, leads: false }
}

/// All, in the order of the list of schedules.
pub(super) const FORMS: [TextForm; 8] = [
    TextForm { counts: false, ..form("constant", &[]) },
    form("step", &[required("step_size", "SIZE"), optional("gamma", "GAMMA")]),
    form("multi_step", &[list("milestones", "AT"), optional("gamma", "GAMMA")]),
    form("exponential", &[required("gamma", "GAMMA")]),
    form("cosine", &[optional("T_max", "T_MAX"), optional("eta_min", "ETA_MIN")]),
    TextForm {
        name: "warmup",
        leads: true,
        ..form(
            "linear_warmup",
            &[required("total_iters", "COUNT"), optional("start_factor", "START_FACTOR")],
        )
    },
    form("one_cycle", &[optional("max_lr", "MAX_LR"), optional("total_steps", "TOTAL_STEPS")]),
    TextForm {
        counts: false,
        ..form(
            "reduce_on_plateau",
            &[optional("factor", "FACTOR"), optional("patience", "PATIENCE")],
        )
    },
];

/// What [`ScheduleSpec`](super::ScheduleSpec) looks like as a text. Square brackets mark what may be
/// left out; `@step` or `@epoch` behind a part sets what it counts: optimizer updates, or passes
/// through the data.
///
/// ```
/// let forms = onestep_optimizer::schedule_forms();
/// assert!(forms.starts_with("constant, step:SIZE[:GAMMA], multi_step:AT,AT,…[:GAMMA], "));
/// ```
pub fn schedule_forms() -> &'static str {
    static ALL: LazyLock<String> = LazyLock::new(|| {
        let forms: Vec<String> = FORMS.iter().map(TextForm::shown).collect();
        format!("{}, each with [@step|@epoch]", forms.join(", "))
    });
    &ALL
}

impl TextForm {
    /// `step:SIZE[:GAMMA]`
    fn shown(&self) -> String {
        let (mut text, mut open) = (self.name.to_owned(), 0);
        for Argument { shown, required, list, .. } in self.arguments {
            if !required {
                text.push('[');
                open += 1;
            }
            match list {
                true => text.push_str(&format!(":{shown},{shown},…")),
                false => text.push_str(&format!(":{shown}")),
            }
        }
        text.push_str(&"]".repeat(open));
        if self.leads {
            text.push_str("[+SCHEDULE]");
        }
        text
    }
}
