"""Cases of windows over pictures, and of pictures that are brought to other sizes."""

import torch

from .writer import normal, random


def convolutions():
    def conv(name, shape, options=None, out=4, kernel=3, **fields):
        layer = {"type": "conv2d", "name": "conv1", "out_channels": out, "kernel_size": kernel}
        return f"conv2d{name}", layer | fields, shape, options or {}

    yield conv("", [2, 6, 5])
    yield conv("_padding", [2, 6, 5], padding=1)
    yield conv("_no_bias", [2, 6, 5], bias=False)
    yield conv("_stride", [2, 7, 8], stride=2)
    yield conv("_stride_padding", [2, 7, 8], stride=2, padding=1)
    yield conv("_stride_rectangular", [2, 7, 8], stride=[1, 3], padding=[2, 1])
    yield conv("_stride_beyond_kernel", [2, 7, 8], kernel=2, stride=3)
    yield conv("_dilation", [2, 8, 9], dilation=2)
    yield conv("_dilation_rectangular", [2, 8, 9], dilation=[2, 3], padding=[1, 2])
    yield conv("_same", [2, 6, 5], padding="same")
    yield conv("_same_even", [2, 6, 5], kernel=[2, 4], padding="same")
    yield conv("_same_dilation", [2, 6, 5], kernel=[3, 2], padding="same", dilation=[2, 3])
    yield conv("_valid", [2, 6, 5], padding="valid")
    yield conv("_even", [2, 6, 5], kernel=4, padding=1)
    yield conv("_rectangular", [2, 6, 5], kernel=[1, 3], padding=[0, 1])
    yield conv("_pointwise", [3, 4, 5], kernel=1)
    yield conv("_pointwise_stride", [3, 5, 6], kernel=1, stride=2)
    yield conv("_groups", [4, 6, 5], groups=2, padding=1)
    yield conv("_depthwise", [4, 6, 5], groups=4, padding=1)
    yield conv("_depthwise_multiplier", [3, 6, 5], out=6, groups=3, stride=2, padding=1)
    yield conv("_groups_dilation", [4, 8, 7], out=6, groups=2, dilation=2, stride=2, padding=2)
    yield conv("_whole_picture", [2, 4, 3], kernel=[4, 3])
    yield conv("_channels", [17, 4, 5], {"batch": 2}, out=19, padding=1)
    yield conv("_wide_picture", [1, 3, 40], {"batch": 2}, out=3, padding=1)
    yield conv("_batch_one", [3, 9, 9], {"batch": 1}, out=8, kernel=5, padding=2)


def pools():
    def pool(kind, name, shape, kernel=2, **fields):
        return f"{kind}_pool2d{name}", {"type": f"{kind}_pool2d", "kernel_size": kernel} | fields, shape, {}

    yield pool("max", "", [2, 6, 4])
    yield pool("max", "_remainder", [2, 7, 5])
    yield pool("max", "_overlap", [2, 7, 6], 3, stride=2, padding=1)
    yield pool("max", "_overlap_dense", [2, 5, 6], 3, stride=1, padding=1)
    yield pool("max", "_rectangular", [2, 6, 7], [3, 2], stride=[2, 3], padding=[1, 0])
    yield pool("max", "_dilation", [2, 7, 8], 2, stride=1, dilation=[2, 3])
    yield pool("max", "_ceil", [2, 7, 5], 2, ceil_mode=True)
    yield pool("max", "_ceil_padding", [2, 6, 8], 3, stride=2, padding=1, ceil_mode=True)
    # The last window would begin in the padding: it is dropped.
    yield pool("max", "_ceil_dropped", [1, 5, 6], 2, stride=3, padding=1, ceil_mode=True)
    yield pool("max", "_stride_beyond_kernel", [2, 8, 7], 2, stride=3)
    ties = torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]]).repeat(2, 1).reshape(1, 1, 4, 4)
    yield (
        "max_pool2d_ties",
        {"type": "max_pool2d", "kernel_size": 3, "stride": 1},
        [1, 4, 4],
        {"given": ties},
    )
    yield pool("avg", "", [2, 6, 4])
    yield pool("avg", "_remainder", [2, 7, 5])
    yield pool("avg", "_padding", [2, 7, 6], 3, stride=2, padding=1)
    yield pool("avg", "_padding_excluded", [2, 7, 6], 3, stride=2, padding=1, count_include_pad=False)
    yield pool("avg", "_rectangular", [2, 6, 7], [3, 2], stride=[2, 3], padding=[1, 0])
    yield pool("avg", "_ceil", [2, 7, 5], 2, ceil_mode=True)
    yield pool("avg", "_ceil_padding", [2, 6, 8], 3, stride=2, padding=1, ceil_mode=True)
    yield pool(
        "avg",
        "_ceil_padding_excluded",
        [2, 6, 8],
        3,
        stride=2,
        padding=1,
        ceil_mode=True,
        count_include_pad=False,
    )
    yield pool("avg", "_ceil_dropped", [1, 5, 6], 2, stride=3, padding=1, ceil_mode=True)
    # Windows larger than the padded picture that begin inside it.
    for kind in ("max", "avg"):
        yield pool(kind, "_ceil_beyond", [2, 1, 3], 2, ceil_mode=True)
        yield pool(kind, "_ceil_beyond_padding", [2, 1, 2], 5, stride=3, padding=1, ceil_mode=True)
    adaptive = {"type": "adaptive_avg_pool2d"}
    yield "adaptive_avg_pool2d_one", adaptive | {"output_size": 1}, [3, 5, 4], {}
    yield "adaptive_avg_pool2d_divisible", adaptive | {"output_size": [3, 2]}, [2, 6, 4], {}
    yield "adaptive_avg_pool2d_uneven", adaptive | {"output_size": [3, 4]}, [2, 7, 5], {}
    yield "adaptive_avg_pool2d_larger", adaptive | {"output_size": [5, 2]}, [2, 3, 3], {}
    # What is infinite or undefined stays in its windows.
    wild = normal(random("layers/wild"), 2, 2, 7, 5)
    wild[0, 0, 0, 0], wild[0, 1, 3, 2], wild[1, 0, 6, 4] = torch.inf, -torch.inf, torch.nan
    yield "adaptive_avg_pool2d_infinite", adaptive | {"output_size": [3, 4]}, [2, 7, 5], {"given": wild}
    yield "adaptive_avg_pool2d_same", adaptive | {"output_size": [4, 3]}, [2, 4, 3], {}
    yield "global_avg_pool2d", {"type": "global_avg_pool2d"}, [3, 5, 4], {}


def transposed():
    def conv(name, shape, out=4, kernel=3, **fields):
        layer = {"type": "conv_transpose2d", "name": "up", "out_channels": out, "kernel_size": kernel}
        return f"conv_transpose2d{name}", layer | fields, shape, {}

    yield conv("", [2, 4, 3])
    yield conv("_stride", [2, 4, 3], kernel=2, stride=2)
    yield conv("_padding", [3, 4, 5], stride=2, padding=1, output_padding=1)
    yield conv("_rectangular", [2, 3, 4], kernel=[2, 3], stride=[1, 3], padding=[0, 1], output_padding=[0, 2])
    yield conv("_dilation", [2, 4, 3], dilation=[2, 1], bias=False)
    yield conv("_groups", [4, 3, 3], out=6, groups=2, stride=2)
    yield conv("_depthwise", [4, 3, 3], out=4, groups=4, padding=1)
    yield conv("_wide", [17, 4, 5], out=9, stride=2, padding=1, output_padding=1)


def resampled():
    """Borders, other sizes, and pixels that become channels."""
    for mode in ("constant", "reflect", "replicate", "circular"):
        layer = {"type": "pad", "mode": mode}
        yield f"pad_{mode}", layer | {"padding": [[1, 2], [2, 0]]}, [2, 4, 3], {}
        yield f"pad_{mode}_line", layer | {"padding": [[2, 3]]}, [2, 5], {}
        yield f"pad_{mode}_volume", layer | {"padding": [[1, 0], [0, 1], [1, 1]]}, [2, 2, 3, 2], {}
    yield "pad_value", {"type": "pad", "padding": [[1, 1]], "value": 2.5}, [3, 2], {}
    yield "pixel_shuffle", {"type": "pixel_shuffle", "upscale_factor": 2}, [8, 2, 3], {}
    yield "pixel_unshuffle", {"type": "pixel_unshuffle", "downscale_factor": 3}, [2, 6, 3], {}
    yield "channel_shuffle", {"type": "channel_shuffle", "groups": 3}, [6, 2, 2], {}
    up = {"type": "upsample"}
    for mode, shape in {"linear": [2, 5], "bilinear": [2, 3, 4], "trilinear": [1, 2, 3, 2]}.items():
        yield f"upsample_{mode}", up | {"scale_factor": 2.0, "mode": mode}, shape, {}
        corners = up | {"scale_factor": 2.0, "mode": mode, "align_corners": True}
        yield f"upsample_{mode}_corners", corners, shape, {}
    yield "upsample_nearest", up | {"scale_factor": 2.0}, [2, 3, 4], {}
    yield "upsample_nearest_line", up | {"size": [7]}, [2, 4], {}
    yield "upsample_nearest_volume", up | {"scale_factor": 2.0}, [1, 2, 2, 3], {}
    yield "upsample_nearest_factor", up | {"scale_factor": 1.7}, [2, 5, 4], {}
    yield "upsample_bilinear_size", up | {"size": [5, 2], "mode": "bilinear"}, [2, 3, 4], {}
    yield "upsample_bilinear_factor", up | {"scale_factor": 1.7, "mode": "bilinear"}, [2, 5, 4], {}
    yield "upsample_bilinear_one", up | {"size": [1, 3], "mode": "bilinear", "align_corners": True}, [2, 3, 1], {}
    yield "upsample_bicubic", up | {"scale_factor": 2.0, "mode": "bicubic"}, [2, 4, 3], {}
    yield "upsample_bicubic_size", up | {"size": [3, 7], "mode": "bicubic", "align_corners": True}, [2, 5, 4], {}
