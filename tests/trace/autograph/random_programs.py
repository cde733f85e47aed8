"""Random programs: nested branches, loops and jumps over a few integer variables."""

import random

NAMES = ("a", "b", "c", "d")


class Writer:
    """Writes the text of one function.

    Args:
        seed: programs of one seed are the same.
        tensors: whether all of it can be a graph: names are defined, loops go over `tf.range`.
    """

    def __init__(self, seed: int, tensors: bool) -> None:
        self.random = random.Random(seed)
        self.tensors = tensors
        self.lines: list[str] = []
        self.loops = 0

    def text(self) -> str:
        """The function `f(a, b)`."""
        self.lines = ["def f(a, b):", "    log = 0"]
        if self.tensors:
            self.lines += ["    c = 1", "    d = 2"]
        self.block(1, 0, 4)
        result = "log, a, b, c, d" if self.tensors else "log, a, b"
        self.lines.append(f"    return {result}")
        return "\n".join(self.lines) + "\n"

    def put(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def block(self, depth: int, loops: int, size: int) -> None:
        for _ in range(self.random.randint(1, size)):
            self.statement(depth, loops)

    def expression(self) -> str:
        pick = self.random.random()
        name = self.random.choice(NAMES)
        if pick < 0.3:
            return str(self.random.randint(-3, 5))
        if pick < 0.6:
            return name
        other = self.random.choice((*NAMES, "2", "3"))
        return f"{name} {self.random.choice('+-*')} {other}"

    def test(self) -> str:
        first = f"{self.expression()} {self.random.choice(('<', '>', '==', '!='))} 2"
        pick = self.random.random()
        if pick < 0.2:
            return f"{first} and {self.expression()} < 4"
        if pick < 0.4:
            return f"{first} or not {self.expression()} > 1"
        if pick < 0.5:
            return f"-2 < {self.expression()} < 6"
        return first

    def statement(self, depth: int, loops: int) -> None:
        kinds = ["assign"] * 4 + ["if"] * 3 + ["for", "while"]
        if not self.tensors:
            kinds += ["try", "function", "delete"]
        if depth > 4:
            kinds = ["assign"]
        if depth > 1:
            kinds += ["return"]
        if loops:
            kinds += ["break", "continue"]
        getattr(self, "_" + self.random.choice(kinds))(depth, loops)

    def _assign(self, depth: int, loops: int) -> None:
        name = self.random.choice((*NAMES, "log"))
        if name == "log":
            self.put(depth, f"log = (log * 3 + {self.random.choice(NAMES)}) % 1009")
        elif self.random.random() < 0.2:
            self.put(depth, f"{name} = {self.expression()} if {self.test()} else 1")
        else:
            self.put(depth, f"{name} = ({self.expression()}) % 7")

    def _if(self, depth: int, loops: int) -> None:
        self.put(depth, f"if {self.test()}:")
        self.block(depth + 1, loops, 3)
        if self.random.random() < 0.3:
            self.put(depth, f"elif {self.test()}:")
            self.block(depth + 1, loops, 2)
        if self.random.random() < 0.6:
            self.put(depth, "else:")
            self.block(depth + 1, loops, 3)

    def _for(self, depth: int, loops: int) -> None:
        target = self.random.choice((*NAMES, "i"))
        many = "tf.range" if self.tensors else "range"
        self.put(depth, f"for {target} in {many}({self.random.randint(0, 4)}):")
        self.block(depth + 1, loops + 1, 3)
        self._else(depth, loops)

    def _while(self, depth: int, loops: int) -> None:
        self.loops += 1
        counter = f"n{self.loops}"
        self.put(depth, f"{counter} = 0")
        self.put(depth, f"while {counter} < 4 and ({self.test()}):")
        self.put(depth + 1, f"{counter} += 1")
        self.block(depth + 1, loops + 1, 3)
        self._else(depth, loops)

    def _else(self, depth: int, loops: int) -> None:
        if self.random.random() < 0.2:
            self.put(depth, "else:")
            self.block(depth + 1, loops, 2)

    def _try(self, depth: int, loops: int) -> None:
        self.put(depth, "try:")
        self.block(depth + 1, loops, 3)
        self.put(depth + 1, f"if {self.test()}: raise ValueError")
        self.put(depth, "except ValueError:")
        self.block(depth + 1, loops, 2)
        if self.random.random() < 0.3:
            self.put(depth, "else:")
            self.block(depth + 1, loops, 2)
        if self.random.random() < 0.3:
            self.put(depth, "finally:")
            self.put(depth + 1, "log = (log * 5 + 1) % 1009")

    def _function(self, depth: int, loops: int) -> None:
        self.put(depth, "def g(x):")
        self.put(depth + 1, f"nonlocal {self.random.choice(('a', 'b', 'log'))}")
        self.put(depth + 1, "if x > 2:")
        self.put(depth + 2, f"return {self.expression()} + x")
        self.put(depth + 1, f"return {self.expression()}")
        self.put(depth, f"{self.random.choice(NAMES)} = g({self.expression()}) % 5")

    def _delete(self, depth: int, loops: int) -> None:
        self.put(depth, f"del {self.random.choice(NAMES)}")

    def _return(self, depth: int, loops: int) -> None:
        result = "log, a, b, c, d" if self.tensors else f"log, {self.expression()}, b"
        self.put(depth, f"return {result}")

    def _break(self, depth: int, loops: int) -> None:
        self.put(depth, "break")

    def _continue(self, depth: int, loops: int) -> None:
        self.put(depth, "continue")
