"""Layers whose weight is made of what is learned, by PyTorch's parametrizations."""

import torch
from torch.nn.utils import parametrizations

LEARNED = ("original", "original0", "original1")


def parametrized(build):
    """The same with the parametrization of the layer."""

    def build_(layer, shape):
        return apply(build(layer, shape), layer.get("parametrization"))

    return build_


def apply(module, how):
    """A module with a parametrization: its name, or its name with options."""
    if how is None:
        return module
    name, options = (how, {}) if isinstance(how, str) else next(iter(how.items()))
    if name == "drop_connect":
        # Nothing is drawn in the cases: it is the weight itself.
        return module
    return getattr(parametrizations, name)(module, **options)


def approach(model):
    """Vectors that go with the weights, as in a model that has learned for a while."""
    with torch.no_grad():
        for module in model.modules():
            if hasattr(module, "_power_method"):
                weight = next(m for m in model.modules() if of(m, module)).parametrizations.weight.original
                module._power_method(module._reshape_weight_to_matrix(weight), 3)


def of(module, norm):
    """Whether a module's weight goes through `norm`."""
    chain = getattr(module, "parametrizations", {})
    return "weight" in chain and norm in list(chain["weight"])
