"""Plain Python without tensors: conversion must change nothing."""

import contextlib

from tests.trace.autograph.table import program as any_program


def program(*samples):
    return any_program(*samples, staged=False)


@program((1, 2), (0, 5), ([], "x"))
def values_of_boolean_operators(a, b):
    return a and b, a or b, not a, a and not b or b


@program(())
def short_circuit():
    seen = []

    def note(value):
        seen.append(value)
        return value

    _ = note(0) and note(1)
    _ = note(2) or note(3)
    _ = note(5) < note(4) < note(6)
    return seen


@program(3, 7)
def undefined_after_a_branch(n):
    if n > 5:
        value = n
    try:
        return value
    except UnboundLocalError as error:
        return type(error).__name__


@program(0, 2)
def undefined_after_a_loop(n):
    for i in range(n):
        value = i
    try:
        return value, i
    except NameError:
        return "none"


@program(3, 0)
def try_except(n):
    try:
        result = 10 // n
    except ZeroDivisionError:
        result = -1
    else:
        result += 100
    finally:
        n = -n
    return result, n


@program(3, 0)
def return_in_try(n):
    log = []

    def inner():
        try:
            return 10 // n
        except ZeroDivisionError:
            return -1
        finally:
            log.append("finally")

    return inner(), log


@program(3, 0)
def return_in_try_with_else(n):
    def inner():
        try:
            if n == 0:
                return "early"
        except ValueError:
            return "never"
        else:
            return "else"
        return "after"

    return inner()


@program(4)
def break_in_try(n):
    log = []
    for i in range(n):
        try:
            if i == 2:
                break
            log.append(i)
        finally:
            log.append("f")
    return log


@program(4)
def continue_in_try(n):
    log = []
    for i in range(n):
        try:
            if i == 2:
                continue
            log.append(i)
        except ValueError:
            log.append("never")
        else:
            log.append("else")
    return log


@program(())
def exception_name_is_gone():
    try:
        raise ValueError("text")
    except ValueError as error:
        text = str(error)
    return text, "error" in locals()


@program(())
def with_that_suppresses():
    with contextlib.suppress(KeyError):
        raise KeyError
    return "after"


@program(())
def return_in_with():
    log = []

    @contextlib.contextmanager
    def noted():
        log.append("in")
        yield 5
        log.append("out")

    def inner():
        with noted() as five:
            return five
        return -1

    return inner(), log


@program(5)
def generator_function(n):
    def numbers():
        for i in range(n):
            if i == 3:
                return
            yield i

    return list(numbers()), list(i * i for i in range(n) if i != 1)  # noqa: C400


@program(5)
def iterator_is_not_overrun(n):
    numbers = iter(range(n))
    for i in numbers:
        if i == 2:
            break
    return list(numbers)


@program(5)
def while_else(n):
    found = None
    i = 0
    while i < n:
        if i == 7:
            found = i
            break
        i += 1
    else:
        found = "else"
    return found


@program(3, 9)
def for_else(n):
    for i in range(n):
        if i == 5:
            found = i
            break
    else:
        return "else"
    return found


@program(4)
def nested_else(n):
    log = []
    for i in range(n):
        for j in range(i):
            if j == 2:
                break
        else:
            log.append(i)
            continue
        log.append("broken")
        break
    else:
        log.append("never")
    return log


@program(())
def star_targets():
    result = []
    for a, *rest in [(1, 2, 3), (4,)]:
        result.append((a, rest))
    (x, y), z = (1, 2), 3
    return result, x, y, z


@program(())
def targets_that_are_places():
    d, items = {}, [0, 0]
    for d["k"] in range(3):
        pass
    for items[1] in range(5):
        pass
    return d, items


@program(3)
def walrus_in_while(n):
    log = []
    while (n := n - 1) >= 0:
        log.append(n)
    return log, n


@program(3)
def walrus_in_a_comprehension(n):
    found = [last := i for i in range(n)]
    return found, last


@program({"kind": "a", "n": 3}, {"kind": "b"}, [1, 2, 3], 5)
def match_statement(value):
    match value:
        case {"kind": "a", **rest}:
            return rest
        case {"kind": kind}:
            result = kind
        case [first, *others] if first == 1:
            result = others
        case _:
            result = "other"
    return result


@program(())
def locals_of_the_function():
    a = 1
    if a:
        b = 2
        names = sorted(locals())
    return names, b


@program(())
def globals_of_the_module():
    return "any_program" in globals(), eval("1 + 1"), "contextlib" in dir() or "nothing"


@program(())
def late_binding():
    functions = []
    for i in range(3):
        functions.append(lambda: i)  # noqa: B023
    return [f() for f in functions]


@program(())
def nonlocal_in_a_loop():
    count = 0

    def add(n):
        nonlocal count
        for _ in range(n):
            if count > 4:
                break
            count += 1
        return count

    return add(3), add(3), count


COUNT = 0


@program(())
def global_statement():
    global COUNT
    COUNT = 0
    for i in range(4):
        if i % 2:
            COUNT += i
    return COUNT


@program(())
def identity_and_membership():
    value = [1, 2]
    return value is value, 1 in value, 3 not in value, 1 < 2 in [2, 3], not None is not None


@program(())
def evaluation_order():
    log = []

    def note(value):
        log.append(value)
        return value

    note(max)(note(1), *[note(2)], **{note("key"): note(abs)})
    (note(1) if note(0) else note(2)) + note(3)
    return log


@program(())
def chained_assignment():
    a = b = c = [1]
    a.append(2)
    return a, b is c


@program((1, 2, 3), (3, 2, 1))
def chained_comparison(a, b, c):
    return a < b < c, a > b > c, a == b == c, a != b != c, a <= b >= c


@program(())
def docstring_and_annotations():
    def inner(x: int, y: "str" = "a") -> bool:
        """Text."""
        if x:
            return True
        return False

    return inner.__doc__, inner.__annotations__, inner.__defaults__, inner(1), inner(0)


@program(())
def assert_with_message():
    try:
        assert 1 > 2, "message"
    except AssertionError as error:
        first = str(error)
    try:
        assert []
    except AssertionError as error:
        second = str(error)
    return first, second


@program(())
def raise_in_a_branch():
    def inner(flag):
        if flag:
            raise KeyError("k")
        return 1

    try:
        inner(True)
    except KeyError as error:
        return error.args, inner(False)


@program(())
def reraise_from():
    try:
        try:
            raise KeyError("k")
        except KeyError as error:
            raise ValueError("v") from error
    except ValueError as error:
        return type(error.__cause__).__name__


@program(())
def lambda_defaults():
    return [f() for f in [lambda i=i: i for i in range(3)]]


@program(())
def class_with_closure():
    base = 10

    class Local:
        value = base + 1

        def get(self):
            if base:
                return self.value + base
            return 0

    return Local().get()


@program(())
def super_in_nested_function():
    class A:
        def f(self):
            return 1

    class B(A):
        def f(self):
            values = []
            for _ in range(2):
                if True:
                    values.append(super().f())
            return values

    return B().f()


@program(3)
def deep_nesting(n):
    log = []
    for i in range(n):
        j = 0
        while j < n:
            j += 1
            if j == 2:
                continue
            for k in range(n):
                if k == i:
                    break
                log.append((i, j, k))
            else:
                if i == j:
                    return log
    return log


@program(())
def delete_statement():
    a, d = 1, {"k": 1}
    if a:
        del a, d["k"]
    try:
        return a
    except NameError:
        return d


@program(())
def import_inside():
    if True:
        import math as m  # noqa: PLC0415
        from os.path import join  # noqa: PLC0415
    return m.floor(2.5), join("a", "b")


@program(())
def conditional_lambda():
    return (lambda x: lambda y: x + y if y else x)(1)(2)


@program(())
def fstrings():
    n = 3
    return f"{n if n > 2 else 0!r:>4} {max(1, n)} {n and 5}"


@program(())
def slices_and_items():
    a = list(range(10))
    i = 0
    while i < 3:
        a[i], a[-1 - i] = a[-1 - i], a[i]
        a[i:i] = []
        i += 1
    return a


@program(())
def augmented_places():
    class Box:
        n = 0

    box, d = Box(), {"k": [1]}
    for i in range(3):
        box.n += i
        d["k"] += [i]
    return box.n, d
