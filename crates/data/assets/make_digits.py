#!/usr/bin/env python3
"""Writes digits.bin.gz, the data set behind `onestep_data::digits()`, next to this script.

Needs scikit-learn (any recent version; its copy of the digits has not changed for years):

    pip install scikit-learn && python make_digits.py

Layout once decompressed: 1,797 pictures of 8 x 8 pixels, one byte each, 0 (paper) to 16 (ink),
row by row, in scikit-learn's order; then 1,797 labels, one byte each, 0 to 9. No header: the
counts are constants of the reader. The gzip stamp is fixed, so the same input gives the same file.
"""

import gzip
import hashlib
import pathlib

import numpy
from sklearn.datasets import load_digits

digits = load_digits()
pixels = digits.images
labels = digits.target
assert pixels.shape == (1797, 8, 8) and labels.shape == (1797,)
assert numpy.array_equal(pixels, pixels.astype(numpy.uint8)) and pixels.max() == 16
assert labels.min() == 0 and labels.max() == 9

raw = pixels.astype(numpy.uint8).tobytes() + labels.astype(numpy.uint8).tobytes()
path = pathlib.Path(__file__).with_name("digits.bin.gz")
path.write_bytes(gzip.compress(raw, compresslevel=9, mtime=0))
print(f"{path.name}: {len(raw)} bytes raw, {path.stat().st_size} compressed,")
print(f"sha256 of the raw bytes: {hashlib.sha256(raw).hexdigest()}")
