//! Low-rank adapters by a text: `--lora PATTERN[:rank=8,alpha=8]`.

use anyhow::{Result, bail};
use onestep::layers::{Lora, ModelSpec};
use onestep::trainer::name_matches;
use serde::Deserialize;

/// PEFT's own, so that what is written for it means the same here.
const RANK: usize = 8;
const ALPHA: f32 = 8.0;

/// Adapters for the dense layers of a pattern.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Adapter {
    pattern: String,
    lora: Lora,
}

impl std::str::FromStr for Adapter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected PATTERN or PATTERN:rank=N,alpha=X, got `{text}`");
        let (pattern, options) = text.split_once(':').unwrap_or((text, ""));
        let mut lora = Lora::new(RANK, ALPHA);
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("rank", rank)) => lora.rank = rank.parse().map_err(|_| wrong())?,
                Some(("alpha", alpha)) => lora.alpha = alpha.parse().map_err(|_| wrong())?,
                _ => return Err(wrong()),
            }
        }
        if pattern.is_empty() {
            return Err(wrong());
        }
        Ok(Adapter { pattern: pattern.to_owned(), lora })
    }
}

impl TryFrom<String> for Adapter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Adds adapters to a model. Says which layers have them.
pub(crate) fn add(spec: &mut ModelSpec, adapters: &[Adapter]) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for Adapter { pattern, lora } in adapters {
        let adapted = spec.add_lora(*lora, |path| name_matches(pattern, path))?;
        if adapted.is_empty() {
            // What would be adapted, had all been asked for.
            let known = spec.clone().add_lora(*lora, |_| true)?.join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            bail!("--lora: expected a pattern of dense layers ({known}), got `{pattern}`");
        }
        let (rank, alpha, layers) = (lora.rank, lora.alpha, adapted.join(", "));
        said.push(format!("rank {rank}, alpha {alpha} on {layers}"));
    }
    Ok(said)
}

/// Patterns of all parameters but those of adapters.
pub(crate) fn all_others(spec: &ModelSpec) -> Result<Vec<String>> {
    let usual = ["*.weight", "*.bias"];
    let mut patterns: Vec<String> = Vec::new();
    for parameter in spec.compile()?.parameters() {
        let name = parameter.info.name.as_str();
        if name.ends_with(".lora_a") || name.ends_with(".lora_b") {
            continue;
        }
        let pattern = usual.into_iter().find(|pattern| name_matches(pattern, name));
        let pattern = pattern.unwrap_or(name).to_owned();
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    Ok(patterns)
}

#[cfg(test)]
mod tests {
    use onestep::layers::ModelBuilder;

    use super::*;

    #[test]
    fn a_text_says_pattern_rank_and_alpha() {
        let adapter: Adapter = "fc*:rank=2,alpha=4".parse().unwrap();
        assert_eq!((adapter.pattern.as_str(), adapter.lora), ("fc*", Lora::new(2, 4.0)));
        assert_eq!("*".parse::<Adapter>().unwrap().lora, Lora::new(8, 8.0));
        for wrong in ["", ":rank=2", "fc:rank=two", "fc:depth=1"] {
            assert!(wrong.parse::<Adapter>().unwrap_err().contains("PATTERN"), "{wrong}");
        }
    }

    #[test]
    fn all_but_the_adapters_is_frozen() {
        let layers = ModelBuilder::new([1, 4, 4]).conv2d(2, 3, 1, 1, true, "conv").flatten("flat");
        let mut spec = layers.dense(8, true, "fc1").prelu(1, "act").dense(8, true, "fc2").spec();
        let adapters = ["fc1".parse().unwrap()];
        assert_eq!(add(&mut spec, &adapters).unwrap(), ["rank 8, alpha 8 on fc1"]);
        assert_eq!(all_others(&spec).unwrap(), ["*.weight", "*.bias"]);
        let error = add(&mut spec, &["conv".parse().unwrap()]).unwrap_err().to_string();
        assert!(error.contains("dense layers (fc2), got `conv`"), "{error}");
    }
}
