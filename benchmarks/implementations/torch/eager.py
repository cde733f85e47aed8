"""Small calls as users write them at the prompt."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import torch

from benchmarks import data

Program = Callable[[], Any]


def on_matrices(operation: Callable[[Any, Any], Any]) -> Callable[[data.Inputs], Program]:
    """A maker whose program is operation(t, u)."""

    def make(inputs: data.Inputs) -> Program:
        t, u = torch.tensor(inputs["t"]), torch.tensor(inputs["u"])
        return lambda: operation(t, u)

    return make


def tape(inputs: data.Inputs) -> Program:
    """A gradient."""
    w1 = torch.tensor(5.0, requires_grad=True)
    w2 = torch.tensor(3.0, requires_grad=True)
    return lambda: torch.autograd.grad(3 * w1**2 + 2 * w1 * w2, [w1, w2])


def loop_step(inputs: data.Inputs) -> Program:
    """The notes' model, penalty, optimizer, metrics and status bar."""
    nn = torch.nn
    model = nn.Sequential(nn.Linear(data.FEATURES, 30), nn.ELU(), nn.Linear(30, 1))
    weights = [model[0].weight, model[2].weight]
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.01)
    loss_fn = nn.MSELoss()
    x, y = data.training_set()
    totals = {"mean": 0.0, "mean_absolute_error": 0.0}
    count = 0
    sink = io.StringIO()

    def step() -> None:
        nonlocal count
        x_numpy, y_numpy = data.random_batch(x, y)
        x_batch, y_batch = torch.from_numpy(x_numpy).float(), torch.from_numpy(y_numpy).float()
        y_pred = model(x_batch)
        loss = loss_fn(y_pred, y_batch)
        for weight in weights:
            loss = loss + 0.05 * weight.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            totals["mean"] += loss.item()
            totals["mean_absolute_error"] += (y_pred - y_batch).abs().mean().item()
        count += 1
        figures = " - ".join(f"{name}: {total / count:.4f}" for name, total in totals.items())
        sink.seek(0)
        print(f"\r{data.BATCH}/{len(y)} - {figures}", end="", file=sink)

    return step


PROGRAMS = {
    "add": on_matrices(lambda t, u: t + u),
    "add number": on_matrices(lambda t, u: t + 10),
    "square": on_matrices(lambda t, u: torch.square(t)),
    "matmul small": on_matrices(lambda t, u: t @ t.T),
    "mean": on_matrices(lambda t, u: torch.mean(t)),
    "slice": on_matrices(lambda t, u: t[:, 1:]),
    "assign_add": on_matrices(lambda t, u: t.add_(u)),
    "tape": tape,
    "loop step": loop_step,
}
