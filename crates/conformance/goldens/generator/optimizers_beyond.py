"""Optimizers that are not PyTorch's own or that PyTorch computes in bf16: optax's, and those of their
authors' packages. The layout of a case is that of optimizers.py.

Dense weights are [inputs, outputs] in onestep and [outputs, inputs] in PyTorch, which matters to
Muon alone; its parameters are handed over transposed.
"""

import torch

OPTAX = {"lamb": 1e-3, "lars": 1e-1, "lion": 1e-4}
"""Those of optax, with the learning rate that onestep gives them by default."""


def run(spec, leaves, gradients, dtype):
    """All steps in one dtype: the parameters after each, and the state at the end."""
    kind = spec["type"]
    options = {key: value for key, value in spec.items() if key != "type"}
    if kind in OPTAX:
        return run_optax(kind, options, leaves, gradients)
    return {
        "muon": run_muon,
        "adafactor": run_adafactor,
        "schedule_free": run_schedule_free,
        "prodigy": run_prodigy,
    }[kind](options, leaves, gradients, dtype)


def run_optax(kind, options, leaves, gradients):
    """One of optax's."""
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    tensor = lambda array: torch.from_numpy(jax.device_get(array).copy())
    options = dict(options)
    if "betas" in options:
        options["b1"], options["b2"] = options.pop("betas")
    optimizer = getattr(optax, kind)(options.pop("lr", OPTAX[kind]), **options)
    parameters = {key: jax.numpy.asarray(value.numpy()) for key, value in leaves.items()}
    state = optimizer.init(parameters)
    after = []
    for step in range(len(next(iter(gradients.values())))):
        grads = {key: jax.numpy.asarray(value[step].numpy()) for key, value in gradients.items()}
        updates, state = optimizer.update(grads, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
        after.append({key: tensor(value) for key, value in parameters.items()})
    kept = {"lamb": ("mu", "nu"), "lion": ("mu",), "lars": ("trace",)}[kind]
    ours = {"mu": "exp_avg", "nu": "exp_avg_sq", "trace": "momentum_buffer"}
    states = {}
    for field in kept:
        tree = optax.tree.get(state, field)
        if kind == "lars":
            # optax's trace is of updates, which are added; ours is subtracted.
            tree = {key: -value for key, value in tree.items()}
        states |= {f"{ours[field]}.{key}": tensor(value) for key, value in tree.items()}
    return after, states


def steps(optimizers, leaves, gradients, look=None):
    """Steps of PyTorch optimizers over the same leaves."""
    after, looked = [], []
    for step in range(len(next(iter(gradients.values())))):
        for key, leaf in leaves.items():
            leaf.grad = gradients[key][step].clone()
        for optimizer in optimizers:
            optimizer.step()
        after.append({key: leaf.detach().clone() for key, leaf in leaves.items()})
        looked.append(look() if look else None)
    return after, looked


def parameters(leaves):
    """Leaves to be trained."""
    return {key: torch.nn.Parameter(value.clone()) for key, value in leaves.items()}


def newton_schulz(grad, coefficients, count, eps):
    """What torch.optim.Muon does, in the gradient's own dtype and not in bf16."""
    a, b, c = coefficients
    x = grad.T if grad.size(0) > grad.size(1) else grad
    x = x / x.norm().clamp(min=eps)
    for _ in range(count):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if grad.size(0) > grad.size(1) else x


def run_muon(options, leaves, gradients, _dtype):
    """Muon for matrices, AdamW for the rest."""
    import torch.optim._muon as muon

    options = dict(options)
    adamw = options.pop("adamw", {})
    adamw = adamw | ({"betas": tuple(adamw["betas"])} if "betas" in adamw else {})
    if "adjust_lr" in options:
        options["adjust_lr_fn"] = options.pop("adjust_lr")
    turned = {
        key: value.transpose(-1, -2).contiguous() if value.dim() == 2 else value
        for key, value in leaves.items()
    }
    turned_gradients = {
        key: value.transpose(-1, -2).contiguous() if leaves[key].dim() == 2 else value
        for key, value in gradients.items()
    }
    made = parameters(turned)
    matrices = [leaf for leaf in made.values() if leaf.dim() == 2]
    others = [leaf for leaf in made.values() if leaf.dim() != 2]
    original = muon._zeropower_via_newtonschulz
    if not options.pop("bf16", False):
        muon._zeropower_via_newtonschulz = newton_schulz
    try:
        own, rest = torch.optim.Muon(matrices, **options), torch.optim.AdamW(others, foreach=False, **adamw)
        after, _ = steps([own, rest], made, turned_gradients)
    finally:
        muon._zeropower_via_newtonschulz = original
    back = lambda value: value.T.contiguous() if value.dim() == 2 else value
    after = [{key: back(value) for key, value in each.items()} for each in after]
    states = {}
    for key, leaf in made.items():
        of = own if leaf.dim() == 2 else rest
        for kind, value in of.state[leaf].items():
            if kind != "step":
                states[f"{kind}.{key}"] = back(value).clone()
    return after, states


def run_adafactor(options, leaves, gradients, _dtype):
    """PyTorch's, whose least root is of the dtype; onestep's is always that of f32."""
    options = dict(options)
    eps = options.pop("eps", [None, 1e-3])
    eps = (torch.finfo(torch.float32).eps if eps[0] is None else eps[0], eps[1])
    made = parameters(leaves)
    optimizer = torch.optim.Adafactor(made.values(), foreach=False, eps=eps, **options)
    after, _ = steps([optimizer], made, gradients)
    states = {}
    for key, leaf in made.items():
        for kind, value in optimizer.state[leaf].items():
            if kind != "step" and value is not None:
                states[f"{kind}.{key}"] = value.clone()
    return after, states


def run_schedule_free(options, leaves, gradients, dtype):
    """The authors' AdamWScheduleFree; `x` as its `eval` computes it."""
    import schedulefree

    options = dict(options)
    if "betas" in options:
        options["betas"] = tuple(options["betas"])
    made = parameters(leaves)
    optimizer = schedulefree.AdamWScheduleFree(made.values(), foreach=False, **options)
    optimizer.train()
    after, _ = steps([optimizer], made, gradients)
    states = {}
    for key, leaf in made.items():
        states |= {f"{kind}.{key}": optimizer.state[leaf][kind].clone() for kind in ("z", "exp_avg_sq")}
    optimizer.eval()
    states |= {f"x.{key}": leaf.detach().clone() for key, leaf in made.items()}
    group = optimizer.param_groups[0]
    for kind in ("lr_max", "weight_sum"):
        states[f"{kind}.all"] = torch.tensor(group[kind], dtype=dtype)
    return after, states


def run_prodigy(options, leaves, gradients, dtype):
    """The authors' package."""
    import prodigyopt

    options = dict(options)
    if "betas" in options:
        options["betas"] = tuple(options["betas"])
    made = parameters(leaves)
    optimizer = prodigyopt.Prodigy(made.values(), **options)
    after, _ = steps([optimizer], made, gradients)
    states = {}
    for key, leaf in made.items():
        for kind in ("exp_avg", "exp_avg_sq", "p0"):
            states[f"{kind}.{key}"] = optimizer.state[leaf][kind].reshape(leaf.shape).clone()
        states[f"s.{key}"] = optimizer.state[leaf]["s"].reshape(leaf.shape).clone()
    group = optimizer.param_groups[0]
    for kind in ("d", "d_max", "d_numerator"):
        states[f"{kind}.run"] = torch.tensor(float(group[kind]), dtype=dtype)
    return after, states


OPTIONS = {
    "lamb": {
        "": {},
        "_weight_decay": {"lr": 0.05, "weight_decay": 0.1, "betas": [0.8, 0.9]},
    },
    "lars": {
        "": {},
        "_weight_decay": {"lr": 5.0, "weight_decay": 0.1, "trust_coefficient": 0.01, "eps": 0.01},
        "_nesterov": {"lr": 5.0, "momentum": 0.8, "nesterov": True},
    },
    "lion": {
        "": {},
        "_weight_decay": {"lr": 0.01, "weight_decay": 0.1, "betas": [0.8, 0.9]},
    },
    "muon": {
        "": {},
        "_lr": {"lr": 0.02, "adamw": {"lr": 0.01, "weight_decay": 0.0}},
        "_plain": {"lr": 0.02, "nesterov": False, "weight_decay": 0.0, "ns_steps": 3},
        "_match_rms_adamw": {"lr": 0.02, "adjust_lr": "match_rms_adamw"},
        "_spectral": {"lr": 0.02, "adjust_lr": "spectral_unclamped", "momentum": 0.5},
        # PyTorch's own iteration, which is in bf16 whatever the parameters are.
        "_bf16": {"lr": 0.02, "bf16": True},
        "_bf16_plain": {"lr": 0.02, "bf16": True, "nesterov": False, "weight_decay": 0.0},
    },
    "adafactor": {
        "": {},
        "_lr": {"lr": 0.3, "weight_decay": 0.1},
        "_everything": {"lr": 1.0, "beta2_decay": -0.5, "eps": [1e-5, 0.1], "d": 1.5, "weight_decay": 0.05},
    },
    "schedule_free": {
        "": {},
        "_weight_decay": {"lr": 0.05, "weight_decay": 0.1, "betas": [0.8, 0.9]},
        "_warmup": {"lr": 0.05, "warmup_steps": 4, "r": 1.5, "weight_lr_power": 1.0},
    },
    "prodigy": {
        "": {},
        "_weight_decay": {"weight_decay": 0.1, "d_coef": 2.0, "d0": 0.1},
        "_bias_correction": {"use_bias_correction": True, "betas": [0.8, 0.9], "d0": 1e-3},
        "_safeguard": {"safeguard_warmup": True, "beta3": 0.95, "growth_rate": 1.5, "d0": 1e-2, "lr": 0.5},
    },
}
