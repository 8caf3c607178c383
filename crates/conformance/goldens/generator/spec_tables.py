"""Layers that look rows up in a table, as PyTorch has them."""

from torch import nn

OPTIONS = ("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq")


def options(layer):
    return {name: layer[name] for name in OPTIONS if name in layer}


def embedding(layer, _):
    return nn.Embedding(layer["num_embeddings"], layer["embedding_dim"], **options(layer))


class Bag(nn.EmbeddingBag):
    """Bags of one length, with factors by position."""

    def forward(self, x, factors=None):
        return super().forward(x, per_sample_weights=factors)


def embedding_bag(layer, _):
    sizes = layer["num_embeddings"], layer["embedding_dim"]
    return Bag(*sizes, mode=layer.get("mode", "mean"), **options(layer))


LAYERS = {"embedding": embedding, "embedding_bag": embedding_bag}
