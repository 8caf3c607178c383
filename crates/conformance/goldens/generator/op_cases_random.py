"""Random numbers. PyTorch has no Philox 4x32-10 on the CPU; this is an independent one, in Python's
integers, from Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011), section 3.3.

Key: the seed. Counter: [block, stream, step low, step high]. A block is four numbers of 24 bits.
"""

import torch

MASK = 0xFFFFFFFF


def write(writer):
    """The first numbers of two streams; fields `seed`, `step` and `stream`."""
    for stream, shape in ((0, (3, 7)), (1, (5,))):
        seed, step = 0x1234567_89ABCDEF, 2**32 + 5
        numbers = [uniform(seed, step, stream, i) for i in range(torch.Size(shape).numel())]
        entry = writer.case(
            f"random_uniform_{stream}", op="random_uniform", seed=seed, step=step, stream=stream
        )
        entry.put("output", torch.tensor(numbers, dtype=torch.float32).reshape(shape))


def uniform(seed, step, stream, index):
    """One number in [0, 1)."""
    counter = [index // 4, stream, step & MASK, step >> 32]
    return (philox([seed & MASK, seed >> 32], counter)[index % 4] >> 8) / 2**24


def philox(key, counter):
    """Ten rounds."""
    for _ in range(10):
        left, right = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [
            (right >> 32) ^ counter[1] ^ key[0],
            right & MASK,
            (left >> 32) ^ counter[3] ^ key[1],
            left & MASK,
        ]
        key = [(key[0] + 0x9E3779B9) & MASK, (key[1] + 0xBB67AE85) & MASK]
    return counter


# A known answer published with Random123.
assert philox([0, 0], [0, 0, 0, 0]) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
