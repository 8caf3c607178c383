"""The workloads, and what the losses of each must do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """Networks, batches and optimizers are those of `onestep bench` with the same name."""

    name: str
    # So many first losses of each framework are compared with the reference's.
    compared: int = 10
    # The most that they may differ, relative to the reference's loss; see agreement() in report.py.
    tolerance: float = 1e-3
    # After so many steps ...
    steps: int = 15
    # ... the last loss is at most this share of the first.
    fall: float = 0.5
    # Peers whose workers do not have it, which are left out.
    lacking: tuple[str, ...] = ()


# The workers in Rust have pictures and perceptrons.
RUST = ("candle", "burn")

WORKLOADS = {
    workload.name: workload
    for workload in (
        # These have 8 channels for a random batch and learn slowly: SGD falls by 1.8e-4 of the loss
        # in 100 steps, which is 3000 times the resolution of f32.
        Workload("seed_cnn_sgd", steps=100, fall=0.9999),
        Workload("seed_cnn_adam", steps=100, fall=0.9999),
        Workload("mlp_mnist"),
        Workload("seed_custom"),
        Workload("cifar_cnn"),
        # At this rate of learning batch normalisation amplifies rounding: PyTorch with one thread,
        # with two and with channels last differs from itself by 2.2 % at the fourth step. The first
        # two losses must agree as closely as everywhere, and they depend on every gradient.
        Workload("resnet18_b32", compared=5, tolerance=5e-2, steps=6, fall=0.1),
        Workload("lstm", steps=30, fall=0.95, lacking=RUST),
        Workload("gru", steps=30, fall=0.95, lacking=RUST),
        Workload("unet", compared=5, tolerance=1e-2, steps=30, fall=0.95, lacking=RUST),
        Workload("char_gpt", fall=0.95, lacking=RUST),
        Workload("text_encoder", steps=30, fall=0.95, lacking=RUST),
        Workload("vit_tiny", steps=30, fall=0.95, lacking=RUST),
        Workload("nano_gpt", fall=0.95, lacking=RUST),
    )
}
