"""The distributions that the next token is drawn from.

The filters are those of Hugging Face's `transformers` (TemperatureLogitsWarper, TopKLogitsWarper,
TopPLogitsWarper, in this order), written with the same torch calls.

Tensors of a case: `logits` [n] and `probabilities` [n].
"""

import numpy
import torch

from .writer import random


def write(writer):
    """Each filter by itself, and several together."""
    for name, options, count in cases():
        logits = torch.from_numpy(random(f"sampling/{name}").standard_normal(count).astype(numpy.float32) * 2.5)
        if "ties" in name:
            logits = logits.round()
        entry = writer.case(name, options=options)
        entry.put("logits", logits)
        entry.put("probabilities", distribution(logits.double(), **options).float())


def distribution(logits, temperature=1.0, top_k=None, top_p=None):
    """Probabilities after the filters."""
    scores = logits / temperature
    if top_k is not None:
        least = torch.topk(scores, min(top_k, scores.numel())).values[-1]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if top_p is not None:
        ordered, places = torch.sort(scores)
        gone = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
        gone[-1] = False
        scores = scores.masked_fill(gone.scatter(0, places, gone), -torch.inf)
    return scores.softmax(dim=-1)


def cases():
    """(name, options, tokens) of every case."""
    yield "plain", {}, 20
    yield "cool", {"temperature": 0.7}, 20
    yield "hot", {"temperature": 3.5}, 20
    yield "top_k", {"top_k": 5}, 40
    yield "top_k_ties", {"top_k": 6}, 40
    yield "top_k_more_than_there_are", {"top_k": 100}, 12
    yield "top_p", {"top_p": 0.9}, 40
    yield "top_p_one_left", {"top_p": 0.01}, 40
    yield "top_p_one", {"top_p": 1.0}, 40
    yield "all", {"temperature": 0.8, "top_k": 20, "top_p": 0.75}, 65
