"""Parts of neural networks: activations, losses of logits, normalisation, dropout."""

from headrace.ops.nn import activation, dropout, normalization, softmax_losses

__all__ = ["activation", "dropout", "normalization", "softmax_losses"]
