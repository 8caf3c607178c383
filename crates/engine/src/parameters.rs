//! Learned tensors, and how they lie together.

use std::ops::Range;

use onestep_memory::Shape;

/// A learned tensor by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterInfo {
    /// The name of its leaf, such as `conv1.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
}

impl ParameterInfo {
    /// Pairs a name with a shape.
    pub fn new(name: impl Into<String>, shape: Shape) -> Self {
        ParameterInfo { name: name.into(), shape }
    }
}

/// Parameters that are updated by the same rule with the same options. They lie one behind the
/// other in one buffer, and so do their gradients and each kind of optimizer state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterGroup {
    /// The group's name, such as `decay`. No other group has it.
    pub name: String,
    /// The name of the options that it is updated with: its own, but for a group that was
    /// [split off](ParameterGroup::split_large) another.
    pub options: String,
    /// Its parameters in the order of the buffer.
    pub parameters: Vec<ParameterInfo>,
}

impl ParameterGroup {
    /// A group of parameters.
    pub fn new(name: impl Into<String>, parameters: Vec<ParameterInfo>) -> Self {
        let name = name.into();
        ParameterGroup { options: name.clone(), name, parameters }
    }

    /// The group without its parameters of at least `large` elements, and behind it a group for
    /// each of those: `decay/fc1.weight`. Empty groups are left out.
    ///
    /// A group is updated when the last of its gradients is known. Alone, a large parameter is
    /// updated right behind its gradient, whose memory is then free for others.
    pub fn split_large(self, large: usize) -> Vec<ParameterGroup> {
        let ParameterGroup { name, options, parameters } = self;
        let is_large = |p: &ParameterInfo| p.shape.elements() >= large;
        let (apart, rest): (Vec<_>, Vec<_>) = parameters.into_iter().partition(is_large);
        let apart = apart.into_iter().map(|p| (format!("{name}/{}", p.name), vec![p]));
        let all = std::iter::once((name.clone(), rest)).chain(apart);
        all.filter(|(_, parameters)| !parameters.is_empty())
            .map(|(name, parameters)| ParameterGroup { name, options: options.clone(), parameters })
            .collect()
    }

    /// Its parameters with the elements of the group's buffer that each takes.
    pub fn ranges(&self) -> impl Iterator<Item = (&ParameterInfo, Range<usize>)> {
        self.parameters.iter().scan(0, |start, parameter| {
            let range = *start..*start + parameter.shape.elements();
            *start = range.end;
            Some((parameter, range))
        })
    }

    /// Elements of the group's buffers.
    pub fn elements(&self) -> usize {
        self.parameters.iter().map(|p| p.shape.elements()).sum()
    }
}
