"""Training-step rates of PyTorch (MPS) and MLX beside `onestep bench --device metal`.

usage: peers_macos.py torch|mlx

Networks, batches and optimizers are those of `onestep bench`; each prints one line of JSON. The
batch is fixed and random, so the loss must fall: a rate is one of steps that learn. The loss is
read only before and after what is timed.
"""

import json
import statistics
import sys
import time

SECONDS = 4.0
STRETCHES = 7
# name: input shape (channels first), batch size, classes, learning rate, whether Adam
WORKLOADS = {
    "seed_cnn_sgd": ([3, 32, 32], 32, 2, 0.01, False),
    "seed_cnn_adam": ([3, 32, 32], 32, 2, 0.001, True),
    "mlp_mnist": ([784], 64, 10, 0.001, True),
    "cifar_cnn": ([3, 32, 32], 32, 10, 0.001, True),
}


def torch_step(name):
    """A step, and what waits for the device."""
    import torch
    from torch import nn

    shape, batch, classes, lr, adam = WORKLOADS[name]
    torch.manual_seed(0)
    if name == "mlp_mnist":
        net = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    elif name == "cifar_cnn":
        net = nn.Sequential(
            nn.Conv2d(3, 32, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(4096, 128), nn.ReLU(), nn.Linear(128, 10),
        )
    else:
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
        )
    net = net.to("mps")
    x = torch.randn(batch, *shape).to("mps")
    y = torch.randint(classes, (batch,)).to("mps")
    optimizer = (torch.optim.Adam if adam else torch.optim.SGD)(net.parameters(), lr=lr)

    def step():
        loss = nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step, lambda loss: torch.mps.synchronize(), f"torch {torch.__version__} mps"


def mlx_step(name):
    """As above; pictures have their channels last, and the step is compiled."""
    import mlx.core as mx
    from mlx import nn, optimizers

    shape, batch, classes, lr, adam = WORKLOADS[name]
    mx.random.seed(0)
    if name == "mlp_mnist":
        net = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    elif name == "cifar_cnn":
        net = nn.Sequential(
            nn.Conv2d(3, 32, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2, 2),
            nn.Conv2d(32, 64, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2, 2),
            lambda a: a.reshape(batch, -1), nn.Linear(4096, 128), nn.ReLU(), nn.Linear(128, 10),
        )
    else:
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), lambda a: a.mean(axis=(1, 2)), nn.Linear(8, 2)
        )
    x = mx.random.normal([batch, *shape[1:], *shape[:1]] if len(shape) == 3 else [batch, *shape])
    y = mx.random.randint(0, classes, [batch])
    optimizer = (optimizers.Adam if adam else optimizers.SGD)(learning_rate=lr)
    gradient = nn.value_and_grad(net, lambda: nn.losses.cross_entropy(net(x), y, reduction="mean"))
    optimizer.init(net.trainable_parameters())
    state = [net.state, optimizer.state]

    def update():
        loss, gradients = gradient()
        optimizer.update(net, gradients)
        return loss

    compiled = mx.compile(update, inputs=state, outputs=state)

    def step():
        loss = compiled()
        mx.async_eval(loss, state)
        return loss

    return step, lambda loss: mx.eval(loss, state), f"mlx {mx.__version__}"


def stretch(step, wait, count):
    """Milliseconds a step, and the last loss."""
    start = time.perf_counter()
    for _ in range(count):
        loss = step()
    wait(loss)
    return (time.perf_counter() - start) / count * 1e3, loss


def measure(name, make):
    """One line of the result."""
    step, wait, framework = make(name)
    first = float(step().item())
    stretch(step, wait, 20)
    per_step, _ = stretch(step, wait, 50)
    count = max(1, int(SECONDS / STRETCHES * 1e3 / per_step))
    times = []
    for _ in range(STRETCHES):
        milliseconds, loss = stretch(step, wait, count)
        times.append(milliseconds)
    median = statistics.median(times)
    return {
        "name": name, "framework": framework, "ms_per_step": median, "ms_per_step_min": min(times),
        "ms_per_step_max": max(times), "steps_per_second": 1e3 / median,
        "first_loss": first, "last_loss": float(loss.item()),
    }


def main():
    make = {"torch": torch_step, "mlx": mlx_step}[sys.argv[1]]
    for name in WORKLOADS:
        print(json.dumps(measure(name, make)), flush=True)


if __name__ == "__main__":
    main()
