"""The programs in PyTorch, as its users write them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import torch

from benchmarks import cases as c


def cases() -> dict[str, Callable[[], Any]]:
    """All programs."""
    t, u = torch.tensor(c.T), torch.tensor(c.U)
    v = torch.tensor(c.T)
    w1 = torch.tensor(5.0, requires_grad=True)
    w2 = torch.tensor(3.0, requires_grad=True)

    def tape() -> Any:
        return torch.autograd.grad(3 * w1**2 + 2 * w1 * w2, [w1, w2])

    return {
        c.ADD: lambda: t + u,
        c.ADD_NUMBER: lambda: t + 10,
        c.SQUARE: lambda: torch.square(t),
        c.MATMUL: lambda: t @ t.T,
        c.MEAN: lambda: torch.mean(t),
        c.SLICE: lambda: t[:, 1:],
        c.ASSIGN_ADD: lambda: v.add_(u),
        c.TAPE: tape,
        c.LOOP_STEP: loop_step(),
    }


def loop_step() -> Callable[[], None]:
    """The same model, penalty, optimizer, metrics and status bar."""
    nn = torch.nn
    model = nn.Sequential(nn.Linear(c.FEATURES, 30), nn.ELU(), nn.Linear(30, 1))
    weights = [model[0].weight, model[2].weight]
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.01)
    loss_fn = nn.MSELoss()
    x, y = c.training_set()
    totals = {"mean": 0.0, "mean_absolute_error": 0.0}
    count = 0
    sink = io.StringIO()

    def step() -> None:
        nonlocal count
        x_numpy, y_numpy = c.random_batch(x, y)
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
        print(f"\r{c.BATCH}/{len(y)} - {figures}", end="", file=sink)

    return step
