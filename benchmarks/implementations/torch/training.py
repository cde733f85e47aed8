"""Training steps: eager with PyTorch's optimizers, or forward, backward and update in one.

What is compiled as a whole keeps its state in tensors that it updates in place.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn import functional as nn

from benchmarks import data

Program = Callable[[], Any]
Loss = Callable[[Any, Any, Any], Any]  # (weights, x, y) -> scalar
BETA1, BETA2, EPSILON, DECAY = 0.9, 0.999, 1e-7, 0.96


def compile_whole(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled for its shapes, without falling back anywhere."""
    return torch.compile(function, fullgraph=True, dynamic=False)


class Adam:
    """The update of weights in place, as Keras has it."""

    def __init__(self, weights: list[Any], rate: float = 0.001) -> None:
        self.weights, self.rate = weights, rate
        self.m = [torch.zeros_like(w) for w in weights]
        self.v = [torch.zeros_like(w) for w in weights]
        self.count = torch.ones(())

    def averages(self, gradients: Any) -> None:
        """Put the gradients into both averages."""
        for m, v, g in zip(self.m, self.v, gradients, strict=True):
            m.mul_(BETA1).add_(g * (1 - BETA1))
            v.mul_(BETA2).add_(g * g * (1 - BETA2))

    def update(self, gradients: Any) -> None:
        """One step."""
        self.averages(gradients)
        rate = self.rate * torch.sqrt(1 - BETA2**self.count) / (1 - BETA1**self.count)
        for w, m, v in zip(self.weights, self.m, self.v, strict=True):
            w.sub_(rate * m / (torch.sqrt(v) + EPSILON))
        self.count.add_(1)


class Nadam(Adam):
    """Adam with Nesterov's momentum."""

    def __init__(self, weights: list[Any], rate: float = 0.01) -> None:
        super().__init__(weights, rate)
        self.product = torch.ones(())

    def update(self, gradients: Any) -> None:
        """One step."""
        self.averages(gradients)
        now = BETA1 * (1 - 0.5 * DECAY**self.count)
        after = BETA1 * (1 - 0.5 * DECAY ** (self.count + 1))
        self.product.mul_(now)
        last = 1 - BETA2**self.count
        for w, g, m, v in zip(self.weights, gradients, self.m, self.v, strict=True):
            ahead = (1 - now) * g / (1 - self.product) + after * m / (1 - self.product * after)
            w.sub_(self.rate * ahead / (torch.sqrt(v / last) + EPSILON))
        self.count.add_(1)


def whole_step(loss_of: Loss, rule: Adam) -> Callable[[Any, Any], Any]:
    """A step (x, y) -> loss that is compiled as one."""

    def step(x: Any, y: Any) -> Any:
        gradients, loss = torch.func.grad_and_value(loss_of)(rule.weights, x, y)
        rule.update(gradients)
        return loss

    return compile_whole(step)


def eager_step(
    loss_of: Loss, weights: list[Any], optimizer: torch.optim.Optimizer
) -> Callable[[Any, Any], Any]:
    """A step (x, y) -> loss, operation by operation."""

    def step(x: Any, y: Any) -> Any:
        loss = loss_of(weights, x, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def adam_step(inputs: data.Inputs, loss_of: Loss, compiled: bool) -> Callable[[Any, Any], Any]:
    """A step by Adam, from the weights of the inputs."""
    weights = [torch.tensor(w, requires_grad=not compiled) for w in inputs["weights"]]
    if compiled:
        return whole_step(loss_of, Adam(weights))
    optimizer = torch.optim.Adam(weights, lr=0.001, eps=EPSILON, fused=True)
    return eager_step(loss_of, weights, optimizer)


def notes_training(inputs: data.Inputs, compiled: bool) -> Callable[[Any, Any], Any]:
    """The body of the notes' training loop: (x, y) -> loss; the metrics' totals are kept."""
    weights = [torch.tensor(w, requires_grad=not compiled) for w in inputs["weights"]]
    totals = torch.zeros(4)

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        w1, b1, w2, b2 = weights
        y_pred = torch.addmm(b2, nn.elu(torch.addmm(b1, x, w1)), w2)
        penalty = 0.05 * (w1.square().sum() + w2.square().sum())
        return nn.mse_loss(y_pred, y) + penalty, (y_pred - y).abs().sum().detach()

    def count(loss: Any, error: Any, rows: int) -> None:
        totals[0].add_(loss.detach())
        totals[1].add_(1)
        totals[2].add_(error)
        totals[3].add_(rows)

    if compiled:
        rule = Nadam(weights)

        def whole(x: Any, y: Any) -> Any:
            gradient = torch.func.grad_and_value(loss_of, has_aux=True)
            gradients, (loss, error) = gradient(rule.weights, x, y)
            rule.update(gradients)
            count(loss, error, len(x))
            return loss

        return compile_whole(whole)
    optimizer = torch.optim.NAdam(
        weights, lr=0.01, eps=EPSILON, momentum_decay=1.0, foreach=True
    )  # Keras' schedule of momentum is PyTorch's with this decay

    def step(x: Any, y: Any) -> Any:
        loss, error = loss_of(weights, x, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        count(loss, error, len(x))
        return loss.detach()

    return step


def notes_step(inputs: data.Inputs, compiled: bool) -> Program:
    """One call a batch; batches are NumPy arrays, as data come."""
    step = notes_training(inputs, compiled)
    x, y = inputs["x"], inputs["y"]
    rows = [slice(k * data.BATCH, (k + 1) * data.BATCH) for k in range(data.STEPS)]
    return fed(step, itertools.cycle([(x[r], y[r]) for r in rows]))


def notes_epoch(inputs: data.Inputs, compiled: bool) -> Program:
    """A Python loop over the steps of an epoch, since PyTorch has no other; the mean loss."""
    step = notes_training(inputs, compiled)
    x, y = torch.as_tensor(inputs["x"]), torch.as_tensor(inputs["y"])

    def program() -> Any:
        total = torch.zeros(())
        for rows in torch.randint(data.DISTRICTS, (data.STEPS, data.BATCH)):
            total += step(x[rows], y[rows])
        return total / data.STEPS

    return program


def fed(step: Callable[[Any, Any], Any], batches: Iterator[Any]) -> Program:
    """A program that feeds the next batch of NumPy arrays."""

    def program() -> Any:
        x, y = next(batches)
        return step(torch.from_numpy(x), torch.from_numpy(y))

    return program


def mlp(inputs: data.Inputs, compiled: bool) -> Program:
    """A classifier of digits."""

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = weights
        hidden = nn.relu(torch.addmm(b2, nn.relu(torch.addmm(b1, x, w1)), w2))
        return nn.cross_entropy(torch.addmm(b3, hidden, w3), y.long())

    step = adam_step(inputs, loss_of, compiled)
    return fed(step, itertools.cycle(zip(inputs["x"], inputs["y"], strict=True)))


def lstm(inputs: data.Inputs, compiled: bool) -> Program:
    """Two LSTM layers and a dense layer on what they end with."""
    return on_one_batch((unrolled_lstm if compiled else module_lstm)(inputs), inputs)


def unrolled_lstm(inputs: data.Inputs) -> Callable[[Any, Any], Any]:
    """A loop over time, unrolled into one compiled call."""

    def layer(x: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
        batch, units = x.shape[1], recurrent.shape[0]
        h = c = torch.zeros(batch, units)
        outputs = []
        for gates in torch.unbind(x @ kernel + bias):
            i, f, g, o = torch.chunk(torch.addmm(gates, h, recurrent), 4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs)

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        hidden = layer(layer(x, *weights[:3]), *weights[3:6])
        return nn.mse_loss(hidden[-1] @ weights[6] + weights[7], y)

    return adam_step(inputs, loss_of, compiled=True)


def module_lstm(inputs: data.Inputs) -> Callable[[Any, Any], Any]:
    """PyTorch's own LSTM."""
    *cells, kernel, bias = (torch.tensor(w) for w in inputs["weights"])
    module = torch.nn.LSTM(cells[0].shape[0], cells[1].shape[0], num_layers=2)
    with torch.no_grad():
        for layer in range(2):
            kernels = cells[3 * layer : 3 * layer + 3]
            for name, value in zip(("weight_ih", "weight_hh", "bias_ih"), kernels, strict=True):
                getattr(module, f"{name}_l{layer}").copy_(value.T if value.ndim > 1 else value)
            getattr(module, f"bias_hh_l{layer}").zero_().requires_grad_(False)
    weights = [w for w in module.parameters() if w.requires_grad]
    weights += [kernel.requires_grad_(), bias.requires_grad_()]

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        _, (h, _) = module(x)
        return nn.mse_loss(torch.addmm(bias, h[-1], kernel), y)

    optimizer = torch.optim.Adam(weights, lr=0.001, eps=EPSILON, fused=True)
    return eager_step(loss_of, weights, optimizer)


def transformer(inputs: data.Inputs, compiled: bool) -> Program:
    """Two blocks with the normalisation before attention and network."""

    def heads(x: Any) -> Any:
        batch, tokens, width = x.shape
        return x.view(batch, tokens, data.HEADS, width // data.HEADS).transpose(1, 2)

    def block(x: Any, g1: Any, o1: Any, wq: Any, bq: Any, wo: Any, bo: Any, *rest: Any) -> Any:
        g2, o2, w1, b1, w2, b2 = rest
        normal = nn.layer_norm(x, x.shape[-1:], g1, o1, 1e-5)
        q, k, v = (heads(part) for part in torch.chunk(normal @ wq + bq, 3, dim=-1))
        mixed = nn.scaled_dot_product_attention(q, k, v)
        x = x + mixed.transpose(1, 2).reshape(x.shape) @ wo + bo
        normal = nn.layer_norm(x, x.shape[-1:], g2, o2, 1e-5)
        return x + nn.gelu(normal @ w1 + b1) @ w2 + b2

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        return nn.mse_loss(block(block(x, *weights[:12]), *weights[12:]), y)

    return on_one_batch(adam_step(inputs, loss_of, compiled), inputs)


def on_one_batch(step: Callable[[Any, Any], Any], inputs: data.Inputs) -> Program:
    """A program that trains on the same batch again and again."""
    x, y = torch.as_tensor(inputs["x"]), torch.as_tensor(inputs["y"])
    return lambda: step(x, y)


PROGRAMS = {
    "notes step": notes_step,
    "notes epoch": notes_epoch,
    "mlp": mlp,
    "lstm": lstm,
    "transformer": transformer,
}
