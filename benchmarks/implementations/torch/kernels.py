"""Single functions of large and small tensors, eager or compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as nn

from benchmarks.data import Inputs
from benchmarks.implementations.torch.training import Adam, compile_whole

Program = Callable[[], Any]


def of_tensors(body: Callable[..., Any], *names: str) -> Callable[[Inputs, bool], Program]:
    """A maker whose program is body(*tensors) without recording gradients."""

    def make(inputs: Inputs, compiled: bool) -> Program:
        tensors = [torch.as_tensor(inputs[name]) for name in names]
        function = torch.no_grad()(compile_whole(body) if compiled else body)
        return lambda: function(*tensors)

    return make


def with_gradient(
    body: Callable[..., Any], names: list[str], constants: list[str], from_above: bool
) -> Callable[[Inputs, bool], Program]:
    """A maker whose program gives body(*names, *constants) and the gradients of the names.

    With `from_above` the gradient of the result is the input "dy"; else the result is a scalar.
    """

    def eager(*arguments: Any) -> Any:
        *arguments, dy = arguments
        wanted = [t.detach().requires_grad_() for t in arguments[: len(names)]]
        y = body(*wanted, *arguments[len(names) :])
        return y.detach(), torch.autograd.grad(y, wanted, dy)

    def whole(*arguments: Any) -> Any:
        *arguments, dy = arguments
        constants = arguments[len(names) :]
        y, backward = torch.func.vjp(lambda *t: body(*t, *constants), *arguments[: len(names)])
        return y, backward(dy)

    def make(inputs: Inputs, compiled: bool) -> Program:
        tensors = [torch.as_tensor(inputs[name]) for name in [*names, *constants]]
        tensors.append(torch.as_tensor(inputs["dy"]) if from_above else torch.ones(()))
        function = compile_whole(whole) if compiled else eager
        return lambda: function(*tensors)

    return make


def huber(y_true: Any, y_pred: Any) -> Any:
    """The Huber loss, averaged."""
    return nn.huber_loss(y_pred, y_true)


def layer_norm(x: Any, scale: Any, offset: Any) -> Any:
    """Layer normalisation over the last axis."""
    return nn.layer_norm(x, x.shape[-1:], scale, offset, 1e-5)


def adam(inputs: Inputs, compiled: bool) -> Program:
    """Adam's update of one large tensor; some of its weights are the result."""
    weights = torch.tensor(inputs["weights"], requires_grad=not compiled)
    gradient = torch.as_tensor(inputs["gradient"])
    if compiled:
        rule = Adam([weights], rate=0.01)
        update = compile_whole(rule.update)
        return lambda: (update([gradient]), weights[:1000])
    optimizer = torch.optim.Adam([weights], lr=0.01, eps=1e-7, fused=True)
    weights.grad = gradient

    def program() -> Any:
        optimizer.step()
        return weights[:1000]

    return program


def cross_entropy(logits: Any, labels: Any) -> Any:
    """Mean softmax cross-entropy."""
    return nn.cross_entropy(logits, labels.long())


def scatter_add(x: Any, places: Any) -> Any:
    """Each element added to its place."""
    return torch.zeros_like(x).index_add_(0, places, x)


PROGRAMS = {
    "cube": of_tensors(lambda x: x**3, "x"),
    "huber": of_tensors(huber, "y_true", "y_pred"),
    "softmax loss": with_gradient(cross_entropy, ["logits"], ["labels"], from_above=False),
    "layer norm": with_gradient(layer_norm, ["x", "scale", "offset"], [], from_above=True),
    "gelu": with_gradient(nn.gelu, ["x"], [], from_above=True),
    "adam": adam,
    "matmul": of_tensors(lambda a, b: a @ b, "a", "b"),
    "chain": of_tensors(
        lambda x, y: torch.tanh(x * y + 0.5) * torch.sigmoid(y) - 0.1 * x, "x", "y"
    ),
    "reduction": of_tensors(lambda x: x.sum(), "x"),
    "matvec": of_tensors(lambda a, x: a @ x, "a", "x"),
    "gather": of_tensors(lambda x, places: x[places], "x", "places"),
    "scatter-add": of_tensors(scatter_add, "x", "places"),
}
