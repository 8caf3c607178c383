//! A printed kernel and what it needs to be launched.

use std::collections::BTreeSet;

use onestep_base::hash::fnv1a;
use onestep_engine::DType;

use crate::argument::{Access, Argument};
use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::helpers::{self, Helper};

/// One launch of a printed kernel.
///
/// Its name comes from its text, so that equal kernels have the same name wherever they stand in a plan, and
/// one compiled function serves all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelSource {
    /// The function's name.
    pub name: String,
    /// The language.
    pub dialect: Dialect,
    /// What is bound, in order.
    pub arguments: Vec<Argument>,
    /// Threads of a group.
    pub threads: usize,
    /// Groups.
    pub groups: usize,
    /// Bytes of memory that the threads of a group share.
    pub shared_bytes: usize,
    /// Whether threads of a group wait for each other.
    pub waits: bool,
    /// The function.
    text: String,
    helpers: BTreeSet<Helper>,
}

/// What a piece of work becomes: kernels to be launched one after the other, each when those before it are
/// done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Launches {
    /// The kernels in order.
    pub kernels: Vec<KernelSource>,
    /// Bytes of memory that they need besides that of the plan. What is left there is of no use to others.
    pub scratch: usize,
}

impl Launches {
    /// One kernel without scratch memory.
    pub(crate) fn one(kernel: KernelSource) -> Launches {
        Launches { kernels: vec![kernel], scratch: 0 }
    }

    /// Appends others, which may use the same scratch memory.
    pub(crate) fn extend(&mut self, more: Launches) {
        self.kernels.extend(more.kernels);
        self.scratch = self.scratch.max(more.scratch);
    }
}

/// A kernel before its head is known.
pub(crate) struct Draft {
    /// What the name begins with.
    pub(crate) kind: &'static str,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) threads: usize,
    pub(crate) groups: usize,
    pub(crate) shared_bytes: usize,
    /// The statements.
    pub(crate) body: String,
}

impl Draft {
    /// The kernel in a dialect.
    ///
    /// # Errors
    /// It exceeds what the platform allows.
    pub(crate) fn finish(self, dialect: Dialect) -> Result<KernelSource, SourceError> {
        let Draft { kind, arguments, threads, groups, shared_bytes, body } = self;
        let types: Vec<(DType, Access)> = arguments.iter().map(|a| (a.dtype, a.access)).collect();
        let key = format!("{types:?} {threads}\n{body}");
        let name = format!("{kind}_{:016x}", fnv1a(key.as_bytes()));
        let text = format!("{}{body}}}\n", dialect.head(&name, &arguments, threads));
        let (helpers, waits) = (helpers::used(&body), body.contains("BARRIER()"));
        let kernel = KernelSource {
            name,
            dialect,
            arguments,
            threads,
            groups,
            shared_bytes,
            waits,
            text,
            helpers,
        };
        kernel.check()?;
        Ok(kernel)
    }
}

impl KernelSource {
    /// The whole text: the same for the same work, always.
    pub fn source(&self) -> String {
        module(self.dialect, [self])
    }

    /// Holds the kernel against what its platform allows.
    ///
    /// # Errors
    /// [`SourceError::Limit`] names what is too much.
    pub fn check(&self) -> Result<(), SourceError> {
        let limits = self.dialect.limits();
        let most = [
            ("arguments", self.arguments.len(), limits.arguments),
            ("bytes of shared memory", self.shared_bytes, limits.shared_bytes),
            ("threads a group", self.threads, limits.threads),
            ("groups", self.groups, limits.groups),
            ("threads beside whole SIMD groups", self.threads % limits.simd, 0),
        ];
        match most.into_iter().find(|(_, got, most)| got > most) {
            None => Ok(()),
            Some((what, got, most)) => Err(SourceError::Limit {
                kernel: self.name.clone(),
                platform: limits.platform,
                what,
                got,
                most,
            }),
        }
    }
}

/// The text of several kernels of one dialect, to be compiled at once: each function stands there once,
/// whatever the order and number of those that need it.
pub fn module<'a>(dialect: Dialect, kernels: impl IntoIterator<Item = &'a KernelSource>) -> String {
    let mut helpers = BTreeSet::new();
    let mut functions = std::collections::BTreeMap::new();
    for kernel in kernels {
        helpers.extend(kernel.helpers.iter().copied());
        functions.insert(&kernel.name, &kernel.text);
    }
    let mut text = dialect.prelude().to_owned();
    helpers.iter().for_each(|helper| text += helper.text());
    functions.values().for_each(|function| text += function);
    text
}
