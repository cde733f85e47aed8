"""How answers are recorded: as texts that TensorFlow and Headrace can agree on."""

import re


class Recorder:
    """Calls functions eagerly and as graphs, and keeps the texts of what they give."""

    def __init__(self, tf):
        self.tf = tf
        self.texts = {}

    def record(self, name, call):
        """Keep what `call()` gives eagerly and in a graph."""
        graph = self.tf.function(call, autograph=False)
        for mode, function in (("eager", call), ("graph", graph)):
            try:
                text = repr(self.tf.nest.map_structure(shown, function()))
            except Exception as error:
                text = f"{type(error).__name__}: {core_of(str(error))}"
            self.texts[f"{name}, {mode}"] = text


def shown(value):
    """A leaf of a result: what a tensor holds, its shape and its dtype."""
    if not hasattr(value, "numpy"):
        return value
    return value.numpy().tolist(), value.shape.as_list(), value.dtype.name


def core_of(message):
    """The text of an error without names of graphs, nodes and files around it."""
    message = re.sub(r"\{\{function_node [^}]*\}\} ?", "", message)
    message = re.split(r"\n\t \[\[| \[Op:| for '\{\{node|\n\nFirst structure", message)[0]
    return message.split("\n\n")[-1].strip().split("\n")[-1]
