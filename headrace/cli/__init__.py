"""The `headrace` command. Start with `main.py`; each command has a module of its own."""
