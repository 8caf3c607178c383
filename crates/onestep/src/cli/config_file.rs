//! The configuration file: what only the command knows, and the settings of the trainer by their
//! names. What is wrong in it is named with its key and its line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail};
use onestep::layers::{ModelSpec, json};
use onestep::optimizer::{Clip, Per, ScheduleSpec};
use onestep::trainer::TrainerConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::adapters::Adapter;
use super::files::{ModelChoice, read_text};
use super::size::MemorySize;

pub(crate) fn set_learning_rate(config: &mut TrainerConfig, lr: Option<f64>) {
    if let Some(lr) = lr {
        config.optimizer = config.optimizer.clone().with_lr(lr);
    }
}

pub(crate) fn set_clip(config: &mut TrainerConfig, norm: Option<f64>) {
    if let Some(norm) = norm {
        config.clip = Some(Clip::Norm(norm));
    }
}

/// The keys that only the command knows.
const OWN_KEYS: [&str; 7] = ["model", "data", "out", "lr", "clip_norm", "memory_budget", "lora"];

/// A model in the configuration file: the path of a specification, or the specification.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a path or a model's specification")]
enum ModelKey {
    Path(PathBuf),
    Spec(Map<String, Value>),
}

/// A configuration file.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    text: String,
    model: Option<ModelKey>,
    pub(crate) data: Option<String>,
    pub(crate) out: Option<PathBuf>,
    lr: Option<f64>,
    clip_norm: Option<f64>,
    memory_budget: Option<MemorySize>,
    pub(crate) lora: Vec<Adapter>,
    trainer: Map<String, Value>,
}

impl ConfigFile {
    /// Reads a TOML or a JSON file, by its extension.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Self::parse(path, read_text(path)?)
    }

    fn parse(path: &Path, text: String) -> Result<Self> {
        let place = || format!("{}", path.display());
        let values: Map<String, Value> = match format(path) {
            Some("toml") => toml::from_str(&text).with_context(place)?,
            Some("json") => json::from_str(&text).map_err(Error::msg).with_context(place)?,
            _ => bail!("{}: expected a file that ends in .toml or .json", path.display()),
        };
        let mut file = ConfigFile { path: path.to_path_buf(), text, ..ConfigFile::default() };
        file.trainer = values;
        file.model = file.take("model")?;
        file.data = file.take("data")?;
        file.out = file.take("out")?;
        file.lr = file.take("lr")?;
        file.clip_norm = file.take("clip_norm")?;
        file.memory_budget = file.take("memory_budget")?;
        file.lora = file.take("lora")?.unwrap_or_default();
        file.check_settings()?;
        Ok(file)
    }

    fn take<T: DeserializeOwned>(&mut self, key: &'static str) -> Result<Option<T>> {
        match self.trainer.remove(key).map(serde_json::from_value).transpose() {
            Ok(value) => Ok(value),
            Err(error) => Err(self.refuse(&[key], error)),
        }
    }

    /// Tries each setting of the trainer by itself, so that the one at fault is known.
    fn check_settings(&self) -> Result<()> {
        for (key, value) in &self.trainer {
            let alone = |value: Value| {
                let settings = Map::from_iter([(key.clone(), value)]);
                serde_json::from_value::<TrainerConfig>(Value::Object(settings))
            };
            let Err(error) = alone(value.clone()) else { continue };
            // An option without which the rest would be right is the one at fault.
            let options = value.as_object().into_iter().flat_map(Map::keys);
            let culprit = options.filter(|name| *name != "type").find(|name| {
                let mut rest = value.clone();
                rest.as_object_mut().and_then(|options| options.remove(name.as_str()));
                alone(rest).is_ok()
            });
            let at = [Some(key.as_str()), culprit.map(String::as_str)];
            let at: Vec<&str> = at.into_iter().flatten().collect();
            let known = OWN_KEYS.join(", ");
            return Err(
                match error.to_string().starts_with("unknown field") && culprit.is_none() {
                    true => self.refuse(&at, format!("{error} (and besides those: {known})")),
                    false => self.refuse(&at, error),
                },
            );
        }
        Ok(())
    }

    /// The error of a key: `run.toml: line 3: optimizer.lr: ...`.
    fn refuse(&self, at: &[&str], reason: impl std::fmt::Display) -> anyhow::Error {
        let offset = match format(&self.path) {
            Some("toml") => toml_place(&self.text, at),
            _ => json_place(&self.text, at),
        };
        let line = offset.map(|offset| {
            let before = self.text.get(..offset).unwrap_or_default();
            format!("line {}: ", before.matches('\n').count() + 1)
        });
        let (path, line, key) = (self.path.display(), line.unwrap_or_default(), at.join("."));
        anyhow!("{path}: {line}{key}: {reason}")
    }

    pub(crate) fn model(&self) -> Result<Option<ModelChoice>> {
        match &self.model {
            None => Ok(None),
            Some(ModelKey::Path(path)) => ModelChoice::read(path).map(Some),
            Some(ModelKey::Spec(spec)) => {
                let text = Value::Object(spec.clone()).to_string();
                let model = ModelSpec::from_json(&text)
                    .with_context(|| format!("{}: model", self.path.display()))?;
                Ok(Some(ModelChoice::Spec(Box::new(model))))
            }
        }
    }

    /// The schedule, where the file has one as a text and the run is of so many steps: it counts updates
    /// where the text says nothing else.
    pub(crate) fn schedule(&self, steps: Option<u64>) -> Result<Option<ScheduleSpec>> {
        match (steps, self.trainer.get("schedule")) {
            (Some(_), Some(Value::String(text))) => {
                Ok(Some(ScheduleSpec::parse_per(text, Per::Step)?))
            }
            _ => Ok(None),
        }
    }

    /// The settings with those that the file names in place of the ones in `base`.
    pub(crate) fn apply(&self, base: TrainerConfig) -> Result<TrainerConfig> {
        let Value::Object(mut values) = serde_json::to_value(base)? else {
            bail!("the trainer's settings are no JSON object");
        };
        values.extend(self.trainer.clone());
        let config = serde_json::from_value(Value::Object(values));
        let mut config: TrainerConfig =
            config.with_context(|| format!("{}", self.path.display()))?;
        set_learning_rate(&mut config, self.lr);
        set_clip(&mut config, self.clip_norm);
        if let Some(size) = self.memory_budget {
            config.memory_budget = Some(size.0);
        }
        Ok(config)
    }
}

fn format(path: &Path) -> Option<&str> {
    path.extension().and_then(|extension| extension.to_str())
}

/// Where a key stands in a TOML text, or the one around it that does.
fn toml_place(text: &str, at: &[&str]) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let (mut table, mut place) = (document.get_ref(), None);
    for name in at {
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else { break };
        place = Some(key.span().start);
        let DeValue::Table(inner) = value.get_ref() else { break };
        table = inner;
    }
    place
}

/// Where the value of a key stands in a JSON text, or of the one around it that does.
fn json_place(text: &str, at: &[&str]) -> Option<usize> {
    let (mut inner, mut place) = (text, None);
    for name in at {
        let Ok(object) = serde_json::from_str::<BTreeMap<String, &RawValue>>(inner) else { break };
        let Some(value) = object.get(*name) else { break };
        inner = value.get();
        // Both are parts of the same text.
        place = (inner.as_ptr() as usize).checked_sub(text.as_ptr() as usize);
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, text: &str) -> String {
        let error = ConfigFile::parse(Path::new(name), text.to_owned()).unwrap_err();
        format!("{error:#}")
    }

    #[test]
    fn what_is_wrong_is_named_with_its_key_and_line() {
        let toml = "epochs = 2\n\n[optimizer]\ntype = \"sgd\"\nmomentum = \"much\"\n";
        let error = refused("run.toml", toml);
        assert!(error.starts_with("run.toml: line 5: optimizer.momentum: "), "{error}");
        let error = refused("run.toml", "epochs = 2\nbatch_size = \"8\"\n");
        assert!(error.starts_with("run.toml: line 2: batch_size: invalid type"), "{error}");
        let error = refused("run.toml", "lr = \"fast\"\n");
        assert!(error.starts_with("run.toml: line 1: lr: invalid type"), "{error}");
        let error = refused("run.toml", "epochs = 1\nepoch = 2\n");
        assert!(error.starts_with("run.toml: line 2: epoch: unknown field `epoch`"), "{error}");
        assert!(error.contains("clip_norm"), "{error}");
        let error = refused("run.toml", "epochs = 1\nearly_stopping = { patience = -1 }\n");
        assert!(error.contains("line 2: early_stopping.patience: "), "{error}");
        let json = "{ \"epochs\": 2,\n  \"optimizer\": { \"type\": \"adam\",\n    \"eps\": [] } }";
        let error = refused("run.json", json);
        assert!(error.starts_with("run.json: line 3: optimizer.eps: "), "{error}");
        let error = refused("run.json", "{ \"epochs\": 2, \"model\": 7 }");
        assert!(error.starts_with("run.json: line 1: model: "), "{error}");
    }

    #[test]
    fn what_is_no_toml_or_json_is_named_with_its_line() {
        assert!(refused("run.toml", "epochs = 1\nlr = = 2\n").contains("line 2"));
        assert!(refused("run.json", "{\n \"epochs\": }").contains("line 2"));
        assert!(refused("run.yaml", "epochs: 1").contains(".toml or .json"));
        let twice = refused("run.json", "{\"seed\": 1, \"optimizer\": {\"lr\": 1, \"lr\": 2}}");
        assert!(twice.contains("run.json: the key `lr` is given twice"), "{twice}");
    }
}
