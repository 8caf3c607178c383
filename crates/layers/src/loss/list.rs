//! The list of the losses, which makes [`LossSpec`]: a loss is in the spec format by its line here.

use std::fmt;

use onestep_base::registry;
use onestep_engine::{DType, Graph, Value};

use super::{
    Bce, BceWithLogits, CosineEmbedding, CrossEntropy, Ctc, CustomLoss, Dice, Focal, FormulaLoss,
    GaussianNll, HingeEmbedding, Huber, KlDiv, LogCosh, Loss, LossContext, LossValues, Mae,
    MarginRanking, Mse, MultiMargin, MultilabelMargin, MultilabelSoftMargin, Nll, NtXent,
    PoissonNll, Reduction, SmoothL1, SoftMargin, Task, TripletMargin, Tversky, VaeKl,
};
use crate::error::LayerError;
use crate::registry::Registry;

registry! {
    kind = "loss", plural = "losses", form = name_or_object(LayerError);
    /// A loss by name with its options. In JSON, and on a command line, the name (`"mse"`) or an
    /// object (`{"type": "huber", "delta": 0.5}`).
    ///
    /// ```
    /// use onestep_layers::{Huber, LossSpec};
    /// let loss: LossSpec = r#"{"type": "huber", "delta": 0.5}"#.parse()?;
    /// assert_eq!(loss, Huber::new(0.5).into());
    /// assert_eq!("huber".parse::<LossSpec>()?, Huber::new(1.0).into());
    /// # Ok::<(), onestep_layers::LayerError>(())
    /// ```
    #[schemars(rename = "Loss", description = "A loss: its name, or an object with its options.")]
    pub enum LossSpec: Loss {
        /// Cross-entropy of logits against integer labels.
        CrossEntropy(CrossEntropy) = "cross_entropy",
        /// Binary cross-entropy of logits.
        BceWithLogits(BceWithLogits) = "bce_with_logits",
        /// The mean squared error.
        Mse(Mse) = "mse",
        /// The mean absolute error.
        Mae(Mae) = "mae",
        /// Squared near 0, absolute beyond.
        Huber(Huber) = "huber",
        /// As Huber's, with another scale.
        SmoothL1(SmoothL1) = "smooth_l1",
        /// The negative log-likelihood of labels.
        Nll(Nll) = "nll",
        /// A hinge between classes.
        MultiMargin(MultiMargin) = "multi_margin",
        /// A hinge between several labels and the rest.
        MultilabelMargin(MultilabelMargin) = "multilabel_margin",
        /// The mean logistic loss of several labels.
        MultilabelSoftMargin(MultilabelSoftMargin) = "multilabel_soft_margin",
        /// Binary cross-entropy of probabilities.
        Bce(Bce) = "bce",
        /// Cross-entropy that minds what is hard.
        Focal(Focal) = "focal",
        /// The logistic loss of labels 1 and -1.
        SoftMargin(SoftMargin) = "soft_margin",
        /// A hinge for distances.
        HingeEmbedding(HingeEmbedding) = "hinge_embedding",
        /// The overlap of two regions.
        Dice(Dice) = "dice",
        /// The same, with a price for each kind of error.
        Tversky(Tversky) = "tversky",
        /// The Kullback-Leibler divergence.
        KlDiv(KlDiv) = "kl_div",
        /// The negative log-likelihood of counts.
        PoissonNll(PoissonNll) = "poisson_nll",
        /// The logarithm of the hyperbolic cosine.
        LogCosh(LogCosh) = "log_cosh",
        /// A hinge between two scores.
        MarginRanking(MarginRanking) = "margin_ranking",
        /// A hinge between two distances.
        TripletMargin(TripletMargin) = "triplet_margin",
        /// A hinge on the cosine of two vectors.
        CosineEmbedding(CosineEmbedding) = "cosine_embedding",
        /// The negative log-likelihood of numbers with a variance each.
        GaussianNll(GaussianNll) = "gaussian_nll",
        /// The divergence of a code from the standard normal distribution.
        VaeKl(VaeKl) = "vae_kl",
        /// The contrastive loss of two views.
        NtXent(NtXent) = "nt_xent",
        /// Strings whose places are not known.
        Ctc(Ctc) = "ctc",
        /// A loss of one's own, written in the specification.
        FormulaLoss(FormulaLoss) = "formula",
        /// A loss of one's own.
        CustomLoss(CustomLoss) = "custom",
    }
}

impl LossSpec {
    /// The same loss with the code of a custom one looked up by name.
    ///
    /// # Errors
    /// [`LayerError::NotRegistered`], or what the constructor says of its options.
    pub fn resolve(mut self, registry: &Registry) -> Result<Self, LayerError> {
        if let LossSpec::CustomLoss(custom) = &mut self {
            custom.resolve(registry)?;
        }
        Ok(self)
    }

    /// Appends the loss of `output [batch, ...]` to the graph, with a leaf called `target`.
    ///
    /// # Errors
    /// Options out of range, or an output that the loss is not defined for; the message begins with
    /// the loss's name.
    pub fn build(&self, g: &mut Graph, output: Value) -> Result<LossValues, LayerError> {
        self.build_in(&mut LossContext::new(g, output))
    }

    /// As [`Self::build`] with the target and the weights that the context says.
    ///
    /// # Errors
    /// As for [`Self::build`].
    pub fn build_in(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let first = cx.graph.nodes().len();
        let name = self.type_name();
        let ty = cx.graph.type_of(cx.output());
        if ty.dtype != DType::F32 && !matches!(self, LossSpec::CustomLoss(_)) {
            return Err(LayerError::input(name, "f32 outputs of the model", ty));
        }
        let (most, given) = (self.most_outputs(), cx.outputs().len());
        if given > most {
            let wanted = format!("at most {most} in `outputs`");
            return Err(LayerError::input(name, wanted, format!("{given} outputs")));
        }
        let values = self.inner().build(cx).map_err(|error| error.within(name))?;
        cx.graph.label_fresh(first, "loss");
        Ok(values)
    }

    /// What the loss is for.
    pub fn task(&self) -> Task {
        self.inner().task()
    }

    /// How many outputs it takes at most.
    pub fn most_outputs(&self) -> usize {
        self.inner().most_outputs()
    }

    /// The axis of its output along which classes lie, the batch being 0.
    pub fn class_axis(&self) -> usize {
        match self {
            LossSpec::Ctc(_) => 2,
            _ => 1,
        }
    }

    /// Whether it is a mean or a sum. A loss of one's own is a mean unless its type says otherwise.
    pub fn reduction(&self) -> Reduction {
        self.inner().reduction()
    }
}

impl Loss for LossSpec {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        self.build_in(cx)
    }

    fn task(&self) -> Task {
        LossSpec::task(self)
    }

    fn most_outputs(&self) -> usize {
        LossSpec::most_outputs(self)
    }

    fn reduction(&self) -> Reduction {
        LossSpec::reduction(self)
    }
}

impl Default for LossSpec {
    /// Plain cross-entropy.
    fn default() -> Self {
        CrossEntropy::default().into()
    }
}

impl fmt::Display for LossSpec {
    /// The name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.type_name())
    }
}
