"""The public face: namespaces, made from the names that stand beside the definitions."""
