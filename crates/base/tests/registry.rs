//! Lists of named kinds, in each of their forms.
#![cfg(feature = "spec")]

use std::str::FromStr;

use onestep_base::{Registered, RegistryError, registry};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Some steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// How many.
    #[serde(default)]
    pub count: u32,
    /// How fast.
    #[serde(default = "tenth")]
    pub rate: f32,
}

fn tenth() -> f32 {
    0.1
}

/// A number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// The number.
    pub value: f32,
}

trait Size {
    fn size(&self) -> f32;
}

impl Size for Steps {
    fn size(&self) -> f32 {
        self.count as f32
    }
}

impl Size for Given {
    fn size(&self) -> f32 {
        self.value
    }
}

registry! {
    kind = "rule", plural = "rules", form = name_or_object(RegistryError);
    /// A rule.
    pub enum Rule: Size {
        /// Goes by steps,
        /// one after the other.
        Steps(Steps) = "steps",
        /// One number.
        Given(Given) = "given",
    }
}

registry! {
    kind = "part", plural = "parts", form = object;
    /// A part.
    pub enum Part {
        /// Steps.
        Steps(Steps) = "steps",
        /// Nothing.
        Nothing = "nothing",
    }
}

registry! {
    kind = "start", plural = "starts", form = name_or_options;
    /// A start.
    pub enum Start {
        /// From nought.
        Zero = "zero",
        /// One way.
        Up(Given) = "up",
        /// The other way.
        Down(Given) = "down",
    }
}

registry! {
    kind = "plan", plural = "plans", form = text_or_object;
    /// A plan.
    pub enum Plan {
        /// Steps.
        Steps(Steps) = "steps",
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = text.strip_prefix("steps:").and_then(|count| count.parse().ok());
        let count = count.ok_or_else(|| format!("no plan: {text}"))?;
        Ok(Steps { count, rate: tenth() }.into())
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())
}

fn survives<T>(it: &T)
where
    T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    assert_eq!(&read::<T>(serde_json::to_value(it).unwrap()).unwrap(), it);
}

#[test]
fn a_name_or_an_object_is_read_and_the_object_written() {
    let steps = Rule::from(Steps { count: 3, rate: tenth() });
    assert_eq!(read::<Rule>(json!({"type": "steps", "count": 3})).unwrap(), steps);
    assert_eq!(r#" {"type": "steps", "count": 3}"#.parse::<Rule>().unwrap(), steps);
    assert_eq!(read::<Rule>(json!("steps")).unwrap(), Steps { count: 0, rate: tenth() }.into());
    survives(&steps);
    assert_eq!((steps.type_name(), steps.inner().size()), ("steps", 3.0));
    assert_eq!(Rule::TYPES, ["steps", "given"]);
}

#[test]
fn what_is_wrong_is_named() {
    let wrong = |value: Value| read::<Rule>(value).unwrap_err();
    let error = "5".parse::<Rule>().unwrap_err();
    assert_eq!(error.to_string(), "unknown rule `5`; known rules: steps, given");
    for (value, wanted) in [
        (json!("no"), "unknown rule `no`; known rules: steps, given"),
        (json!("given"), "rule `given`: missing field `value`"),
        (json!({"type": "steps", "count": -1}), "rule `steps`: count: invalid value: integer `-1`"),
        (json!({"type": "steps", "counts": 1}), "rule `steps`: unknown field `counts`"),
        (json!({"count": 1}), "rule: the field \"type\" is missing"),
        (json!({"type": 1}), "rule: \"type\" must be a string, got 1"),
        (json!([1]), "rule: expected an object with a \"type\", got [1]"),
    ] {
        assert!(wrong(value.clone()).starts_with(wanted), "{}", wrong(value));
    }
    let twice = serde_json::from_str::<Rule>(r#"{"type": "steps", "count": 1, "count": 2}"#);
    assert!(twice.unwrap_err().to_string().contains("the key `count` is given twice"));
    assert!("{".parse::<Rule>().is_err());
}

#[test]
fn the_other_forms_are_read_and_written() {
    survives(&Part::from(Steps::default()));
    survives(&Part::Nothing);
    assert_eq!(serde_json::to_value(Part::Nothing).unwrap(), json!({"type": "nothing"}));
    assert!(read::<Part>(json!("nothing")).unwrap_err().starts_with("part: expected an object"));

    for start in [Start::Zero, Start::Up(Given { value: 1.0 }), Start::Down(Given { value: 2.0 })] {
        survives(&start);
    }
    assert_eq!(serde_json::to_value(Start::Zero).unwrap(), json!("zero"));
    assert_eq!(read::<Start>(json!({"zero": {}})).unwrap(), Start::Zero);
    let down = json!({"down": {"value": 2.0}});
    assert_eq!(serde_json::to_value(read::<Start>(down.clone()).unwrap()).unwrap(), down);
    assert!(read::<Start>(json!({"zero": {"a": 1}})).unwrap_err().contains("unknown field `a`"));
    assert!(read::<Start>(json!(3)).unwrap_err().contains("expected a name or"));

    let plan = Plan::from(Steps { count: 7, rate: tenth() });
    assert_eq!(read::<Plan>(json!("steps:7")).unwrap(), plan);
    survives(&plan);
    assert!(read::<Plan>(json!("walk")).unwrap_err().contains("no plan: walk"));
}

#[test]
fn help_and_table_come_from_the_list() {
    assert_eq!(Rule::help(), "steps, given");
    assert_eq!(Rule::plain_names(), ["steps"]);
    let table = "| name | what it is | options |\n| --- | --- | --- |\n\
                 | `steps` | Goes by steps, one after the other. | `count` 0; `rate` 0.1 |\n\
                 | `given` | One number. | `value` |\n";
    assert_eq!(Rule::table(), table);
}

#[test]
fn the_schema_has_every_form() {
    let schema = schema_for!(Rule).to_value();
    assert_eq!(schema["description"], "A rule.");
    assert_eq!(schema["anyOf"][0], json!({"enum": ["steps"]}));
    assert_eq!(schema["anyOf"][1]["oneOf"][1]["properties"]["type"]["const"], "given");
    let schema = schema_for!(Start).to_value();
    assert_eq!(schema["anyOf"][0], json!({"enum": ["zero"]}));
    assert_eq!(schema["anyOf"].as_array().unwrap().len(), 4);
    let schema = schema_for!(Part).to_value();
    assert_eq!(schema["oneOf"][1]["properties"]["type"]["const"], "nothing");
}
