"""The loop stage: a small typed language of buffers, loops and scalar expressions."""
