//! Numbers as tables write them.

/// The character between the whole and the fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalMark {
    /// `0.5`
    Point,
    /// `0,5`
    Comma,
}

impl DecimalMark {
    /// A finite number, or nothing.
    pub(super) fn number(self, field: &str) -> Option<f32> {
        self.plain(field)?.parse::<f32>().ok().filter(|value| value.is_finite())
    }

    /// Whether a field is meant as a number, if as one that cannot be used (`nan`, `inf`, `1e99`).
    pub(super) fn is_numeric(self, field: &str) -> bool {
        self.plain(field).is_some_and(|text| text.parse::<f32>().is_ok())
    }

    /// One text for all ways to write a number: `1`, `01`, `+1` and `1.0` are the same class.
    pub(super) fn canonical(self, field: &str) -> Option<String> {
        let text = self.plain(field)?;
        if let Ok(whole) = text.parse::<i128>() {
            return Some(whole.to_string());
        }
        // Adding 0 makes one zero of the two.
        let value = text.parse::<f64>().ok().filter(|value| value.is_finite())? + 0.0;
        (value as f32).is_finite().then(|| value.to_string())
    }

    /// The field with a decimal point; nothing where a point stands in a table of decimal commas (it
    /// may be one between thousands).
    fn plain(self, field: &str) -> Option<String> {
        match self {
            Self::Point => Some(field.to_owned()),
            Self::Comma if field.contains('.') => None,
            Self::Comma => Some(field.replacen(',', ".", 1)),
        }
    }
}

/// Whether a text is a whole number, in any writing of it.
pub(super) fn is_whole(canonical: &str) -> bool {
    canonical.parse::<i128>().is_ok()
}

/// Whether a field is a number with a comma that may as well stand between thousands: `1,234`.
pub(super) fn may_be_thousands(field: &str) -> bool {
    let Some((whole, fraction)) = field.split_once(',') else { return false };
    let whole = whole.trim_start_matches(['+', '-']);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    fraction.len() == 3
        && digits(fraction)
        && (1..=3).contains(&whole.len())
        && digits(whole)
        && !whole.starts_with('0')
}
