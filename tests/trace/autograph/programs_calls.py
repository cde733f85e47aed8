"""Functions: calls, closures, methods, decorators, builtins."""

import functools

import numpy as np

import headrace as tf
from tests.trace.autograph.table import program


def positive_part(x):
    if x > 0:
        return x
    return x * 0.0


@program(2.0, -2.0)
def function_of_the_module(x):
    return positive_part(x) + 1.0


@program(2.0, -2.0)
def nested_function(x):
    def scaled(y):
        if y > 0:
            return y * 2.0
        return y * 3.0

    return scaled(x) + scaled(-x)


@program(2.0, -2.0)
def closure(x):
    scale = 3.0

    def scaled(y):
        if y > 0:
            return y * scale
        return y

    scale = 5.0
    return scaled(x)


@program(2.0, -2.0)
def nonlocal_name(x):
    count = 0.0

    def note():
        nonlocal count
        count += 1.0

    note()
    if x > 0:
        x = x + count
    note()
    return x * count


@program(2.0, -2.0)
def lambda_function(x):
    choose = lambda y: y * 2.0 if y > 0 else y * 3.0  # noqa: E731
    return choose(x)


@program(2.0, -2.0)
def lambda_as_argument(x):
    def apply(f, y):
        return f(y)

    return apply(lambda y: y if y > 0 else -y, x)


@program(2.0, -2.0)
def default_arguments(x):
    def scaled(y, by=2.0, *, plus=1.0):
        if y > 0:
            y = y * by
        return y + plus

    return scaled(x) + scaled(x, 3.0) + scaled(x, plus=5.0)


@program(2.0, -2.0)
def star_arguments(x):
    def total(*args, **kwargs):
        result = 0.0
        for a in args:
            result += a if a > 0 else a * 2.0
        for k in kwargs:
            result += kwargs[k]
        return result

    return total(x, *[x, -x], a=x, **{"b": 1.0})


class Scaler:
    """Has methods with control flow."""

    bias = 1.0

    def __init__(self, scale):
        self.scale = scale

    def __call__(self, x):
        if x > 0:
            return x * self.scale
        return x

    def method(self, x):
        return self(x) + self.bias

    @classmethod
    def of_class(cls, x):
        if x > 0:
            x = x + cls.bias
        return x

    @staticmethod
    def static(x):
        return -x if x > 0 else x

    @property
    def doubled(self):
        return self.scale * 2.0

    def __private(self, x):
        if x > 0:
            x = x * 7.0
        return x

    def mangled(self, x):
        self.__hidden = x
        if x > 0:
            self.__hidden = self.__private(x)
        return self.__hidden


class Deeper(Scaler):
    """Calls its base class."""

    def method(self, x):
        if x > 0:
            x = super().method(x)
        return x * 2.0


@program(2.0, -2.0)
def callable_object(x):
    return Scaler(3.0)(x)


@program(2.0, -2.0)
def method(x):
    return Scaler(3.0).method(x)


@program(2.0, -2.0)
def class_and_static_method(x):
    return Scaler.of_class(x) + Scaler.static(x) + Scaler(2.0).doubled


@program(2.0, -2.0)
def method_of_the_base_class(x):
    return Deeper(3.0).method(x)


@program(2.0, -2.0)
def mangled_names(x):
    return Scaler(3.0).mangled(x)


def doubled(function):
    @functools.wraps(function)
    def wrapper(*args):
        result = function(*args)
        if result > 0:
            return result * 2.0
        return result

    return wrapper


@doubled
def decorated_helper(x):
    return x if x > -1 else x * 5.0


@program(2.0, -2.0)
def decorated(x):
    return decorated_helper(x)


@program(2.0, -2.0)
def decorated_inside(x):
    @doubled
    def inner(y):
        return positive_part(y) + 1.0

    return inner(x)


@program(2.0, -2.0)
def partial(x):
    def scaled(by, y):
        if y > 0:
            return y * by
        return y

    return functools.partial(scaled, 4.0)(x) + functools.partial(scaled, y=x)(2.0)


def factorial_helper(n):
    if n <= 1:
        return 1
    return n * factorial_helper(n - 1)


@program(3.0)
def recursion_in_python(x):
    return x * factorial_helper(5)


@program(2.0, -2.0)
def comprehension(x):
    return sum([positive_part(x * scale) for scale in (1.0, -1.0, 2.0)])


@program(2.0, -2.0)
def comprehension_with_condition(x):
    found = {k: x * v for k, v in {"a": 1.0, "b": 2.0}.items() if k != "a" and v > 0}
    return found["b"]


@program(2.0, -2.0)
def map_in_python(x):
    return sum(map(lambda s: x * s if x > 0 else x, (1.0, 2.0)))  # noqa: C417


@program(-2.5, 2.5)
def absolute(x):
    return abs(x) + 1.0


@program(2.5)
def to_int(x):
    return int(x) + 1


@program(3)
def to_float(n):
    return float(n) / 2.0


@program(np.array([1.0, 2.0, 3.0]))
def length(x):
    return len(x) + 1


@program(np.array([3.0, 1.0, 2.0]))
def largest_and_smallest(x):
    return max(x) - min(x)


@program((2.0, 5.0))
def larger_of_two(x, y):
    return max(x, y) * 2.0 + min(x, y)


@program(np.array([3.0, 1.0, 2.0]))
def builtin_sum(x):
    return sum(x)


@program(2.0)
def method_as_a_value(x):
    run = Scaler(3.0).method
    return run(x)


@program(2.0, -2.0)
def class_inside(x):
    class Local:
        def run(self, y):
            if y > 0:
                return y * 2.0
            return y

    return Local().run(x)


@program(2.0, -2.0)
def function_chosen_by_python(x):
    def up(y):
        return y + 1.0

    def down(y):
        return y - 1.0

    step = up if x is not None else down
    return step(x)


@program(2.0, -2.0)
def function_defined_in_a_branch_of_python(x):
    if x is not None:

        def step(y):
            return y * 2.0 if y > 0 else y
    else:

        def step(y):
            return y

    return step(x)


@program(2.0, -2.0)
def closure_over_a_branch(x):
    if x > 0:
        scale = 2.0
    else:
        scale = 3.0

    def scaled(y):
        return y * scale

    return scaled(x)


@program(2.0, -2.0)
def closure_over_a_loop(x):
    scale = 1.0
    for _ in tf.range(3):
        scale = scale * 2.0
    return (lambda y: y * scale)(x)


@program(3.0)
def function_in_a_loop(x):
    while x < 20:

        def grow(y):
            if y > 10:
                return y + 7.0
            return y * 2.0

        x = grow(x)
    return x


GLOBAL_SCALE = 3.0


@program(2.0, -2.0)
def global_name(x):
    if x > 0:
        x = x * GLOBAL_SCALE
    return x


@program(2.0, -2.0)
def eval_sees_locals(x):
    y = x * 2.0  # noqa: F841
    if x is not None:
        z = eval("x + y")
    return z


@program((2.0, 3.0))
def result_of_a_called_graph(x, y):
    inner = tf.function(positive_part)
    if y > 0:
        x = inner(x) * y
    return x


@program(2.0)
def do_not_convert(x):
    @tf.autograph.experimental.do_not_convert
    def plain(y):
        return y * 2.0

    return plain(x)
