//! Code of one's own by the names that settings use.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use thiserror::Error;

/// A trait whose implementations a program may register by name, such as `dyn Layer`.
pub trait OwnKind: Send + Sync + 'static {
    /// What it is called in messages: `layer`.
    const WORD: &'static str;
}

type Make<K> = dyn Fn(&Map<String, Value>) -> Result<Arc<K>, String> + Send + Sync;

/// The constructors of what a program adds to the built-in kinds, by kind and name. Cloning shares
/// them.
///
/// ```
/// use std::sync::Arc;
/// use onestep_base::{Constructors, OwnKind};
///
/// trait Shout: Send + Sync { fn shout(&self) -> String; }
/// impl OwnKind for dyn Shout { const WORD: &'static str = "shout"; }
/// struct Times(usize);
/// impl Shout for Times { fn shout(&self) -> String { "hey ".repeat(self.0) } }
///
/// let mut constructors = Constructors::default();
/// constructors.add::<dyn Shout>("times", |options| {
///     let times = options.get("times").and_then(|t| t.as_u64()).ok_or("`times` is missing")?;
///     Ok(Arc::new(Times(times as usize)))
/// });
/// let options = serde_json::from_str(r#"{"times": 2}"#)?;
/// assert_eq!(constructors.make::<dyn Shout>("times", &options)?.shout(), "hey hey ");
/// let error = constructors.make::<dyn Shout>("loud", &options).err().unwrap().to_string();
/// assert_eq!(error, "no custom shout `loud` is registered (registered: times)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Constructors {
    makers: BTreeMap<TypeId, Makers>,
}

#[derive(Clone)]
struct Makers {
    word: &'static str,
    by_name: BTreeMap<String, Arc<dyn Any + Send + Sync>>,
}

/// Why nothing was made under a name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConstructError {
    /// Nothing of the kind is registered under the name.
    #[error("no custom {word} `{name}` is registered (registered: {known})")]
    NotRegistered {
        /// What the kind is called.
        word: &'static str,
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The constructor refused its options.
    #[error("the options of the custom {word} `{name}`: {problem}")]
    Options {
        /// What the kind is called.
        word: &'static str,
        /// The name.
        name: String,
        /// What the constructor says.
        problem: String,
    },
}

impl Constructors {
    /// Adds a constructor, in place of an earlier one of the same kind and name. It gets the options
    /// of the settings and returns what it made, or says what is wrong with them.
    pub fn add<K: OwnKind + ?Sized>(
        &mut self,
        name: &str,
        make: impl Fn(&Map<String, Value>) -> Result<Arc<K>, String> + Send + Sync + 'static,
    ) {
        let make: Arc<Make<K>> = Arc::new(make);
        let makers = self.makers.entry(TypeId::of::<K>());
        let makers = makers.or_insert_with(|| Makers { word: K::WORD, by_name: BTreeMap::new() });
        makers.by_name.insert(name.to_owned(), Arc::new(make));
    }

    /// The names of a kind, in order.
    pub fn names<K: OwnKind + ?Sized>(&self) -> Vec<&str> {
        let makers = self.makers.get(&TypeId::of::<K>());
        makers.map(|m| m.by_name.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// Makes what is called `name`.
    ///
    /// # Errors
    /// [`ConstructError`]: there is no such name, or what its constructor says of the options.
    pub fn make<K: OwnKind + ?Sized>(
        &self,
        name: &str,
        options: &Map<String, Value>,
    ) -> Result<Arc<K>, ConstructError> {
        let makers = self.makers.get(&TypeId::of::<K>());
        let make = makers
            .and_then(|makers| makers.by_name.get(name))
            .and_then(|make| make.downcast_ref::<Arc<Make<K>>>())
            .ok_or_else(|| self.unknown::<K>(name))?;
        make(options).map_err(|problem| ConstructError::Options {
            word: K::WORD,
            name: name.to_owned(),
            problem,
        })
    }

    /// The error for a name that is not registered.
    pub fn unknown<K: OwnKind + ?Sized>(&self, name: &str) -> ConstructError {
        let names = self.names::<K>();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        ConstructError::NotRegistered { word: K::WORD, name: name.to_owned(), known }
    }
}

impl fmt::Debug for Constructors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.makers.values().map(|makers| (makers.word, makers.by_name.keys()));
        f.debug_map().entries(kinds.map(|(word, names)| (word, names.collect::<Vec<_>>()))).finish()
    }
}
