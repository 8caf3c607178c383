//! Patterns of tensor names.

/// Whether a name is that of a pattern, in which `*` stands for any characters, none among them.
///
/// ```
/// use onestep_trainer::name_matches;
/// assert!(name_matches("conv*", "conv1.weight") && name_matches("*.bias", "fc.bias"));
/// assert!(!name_matches("conv", "conv1.weight"));
/// ```
pub fn name_matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The earliest place leaves the most for what follows.
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, wanted) in [
            ("*", "", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("*conv*", "block1.conv2.weight", true),
            ("ab*ba", "aba", false),
            ("fc.weight", "fc.weight", true),
            ("", "x", false),
        ] {
            assert_eq!(name_matches(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
