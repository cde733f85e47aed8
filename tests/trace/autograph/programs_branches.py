"""Branches, boolean operators, conditional expressions."""

import numpy as np

import headrace as tf
from tests.trace.autograph.table import program


@program(2.0, -2.0)
def if_else(x):
    if x > 0:
        y = x
    else:
        y = -x
    return y


@program(2.0, -2.0)
def if_alone(x):
    if x > 0:
        x = x * 3.0
    return x


@program(3.0, 0.5, -1.0)
def elif_chain(x):
    if x > 2:
        y = x * 2.0
    elif x > 0:
        y = x * 3.0
    else:
        y = x * 5.0
    return y


@program((1.0, 2.0), (1.0, -2.0), (-1.0, 2.0), (-1.0, -2.0))
def nested_ifs(a, b):
    if a > 0:
        if b > 0:
            c = a * b
        else:
            c = a - b
    else:
        if b > 0:
            c = b - a
        else:
            c = a + b
    return c


@program((1.0, 2.0), (2.0, 1.0))
def two_results(a, b):
    if a > b:
        big, small = a, b
    else:
        big, small = b, a
    return big * 10.0 + small


@program((1.0, 2.0), (2.0, 1.0))
def swap(a, b):
    if a > b:
        a, b = b, a
    return a - b


@program(2.0, -2.0)
def a_local_of_the_branch(x):
    if x > 0:
        helper = x * 2.0
        x = helper + 1.0
    return x


@program(2.0, -2.0)
def different_locals(x):
    if x > 0:
        up = x * 2.0
        result = up * up
    else:
        down = x * 3.0
        result = down + 1.0
    return result


@program(2.0, -2.0)
def augmented(x):
    y = 1.0
    if x > 0:
        y += x
        y *= 2.0
    return y * x


@program(2.0, -2.0)
def annotated(x):
    y: float = 1.0
    z: int  # noqa: F842
    if x > 0:
        y: float = x * 2.0
    return y


@program(2.0, -2.0)
def list_state(x):
    pair = [x, x]
    if x > 0:
        pair = [x * 2.0, x * 3.0]
    return pair[0] + pair[1]


@program(2.0, -2.0)
def dict_state(x):
    found = {"a": x, "b": x * 2.0}
    if x > 0:
        found = {"a": x * 5.0, "b": x}
    return found["a"] - found["b"]


@program(2.0, -2.0)
def item_of_a_dict(x):
    found = {"a": x}
    if x > 0:
        found["a"] = x * 5.0
    return found["a"]


@program(2.0, -2.0)
def item_of_a_list(x):
    found = [x, x]
    if x > 0:
        found[1] = x * 5.0
    return found[0] + found[1]


class Holder:
    """Something with attributes."""

    def __init__(self, value):
        self.value = value
        self.inner = None


@program(2.0, -2.0)
def attribute(x):
    held = Holder(x)
    if x > 0:
        held.value = x * 4.0
    else:
        held.value = x * 6.0
    return held.value


@program(2.0, -2.0)
def attribute_of_attribute(x):
    held = Holder(x)
    held.inner = Holder(x)
    if x > 0:
        held.inner.value = held.value * 4.0
    return held.inner.value


@program(2.0, -2.0)
def new_attribute(x):
    held = Holder(x)
    if x > 0:
        held.fresh = x * 4.0
    else:
        held.fresh = x
    return held.fresh


@program(2.0, -2.0)
def conditional_expression(x):
    return x * 2.0 if x > 0 else x * 3.0


@program(2.0, -2.0, 0.5)
def nested_conditional_expression(x):
    return x * 2.0 if x > 1 else (x * 5.0 if x > 0 else x * 3.0)


@program(2.0, -2.0, 0.5)
def conditional_expression_in_a_sum(x):
    return (x if x > 0 else -x) + (1.0 if x > 1 else 2.0)


@program((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))
def conjunction(a, b):
    if a > 0 and b > 0:
        return a + b
    else:
        return a - b


@program((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))
def disjunction(a, b):
    if a > 0 or b > 0:
        return a + b
    else:
        return a - b


@program(1.0, -1.0)
def negation(a):
    if not a > 0:
        a = a * 2.0
    return a


@program((1.0, 2.0, 3.0), (1.0, -2.0, 3.0), (-1.0, 2.0, 3.0), (1.0, 2.0, -3.0))
def three_conditions(a, b, c):
    if a > 0 and (b > 0 or c < 0) and not c == 5:
        a = a * b
    return a + c


@program(0.5, 1.5, -0.5)
def chained_comparison(x):
    if 0 < x < 1:
        x = x * 10.0
    return x


@program(0.5, 1.5, -0.5, 3.0)
def long_chain(x):
    if -1 < x <= x + 1 < 3 != 7:
        x = x * 10.0
    return x


@program(1.0, 2.0)
def equality(x):
    if x == 1:
        return x * 7.0
    return x


@program(1.0, 2.0)
def inequality(x):
    if x != 1:
        return x * 7.0
    return x


@program(1.0, -1.0)
def bool_value(x):
    positive = x > 0
    if positive:
        x = x + 5.0
    return x


@program((1.0, True), (1.0, False), (-1.0, True))
def python_flag_and_tensor(x, training):
    if training and x > 0:
        x = x * 2.0
    return x


@program(1.0, -1.0)
def python_condition(x):
    mode = "double"
    if mode == "double":
        x = x * 2.0
    elif mode == "triple":
        undefined_function(x)  # noqa: F821
    return x


@program(1.0, -1.0)
def none_check(x):
    y = None
    if y is None:
        y = x
    if y is not None:
        y = y * 2.0
    return y


@program(1.0, -1.0)
def none_stays_none(x):
    y = None
    if x > 0:
        x = x * 2.0
    else:
        y = None
    return x if y is None else y


@program(np.array([1.0, -2.0, 3.0]))
def vector_result(x):
    if tf.reduce_sum(x) > 0:
        x = x * 2.0
    return x


@program(np.array([1.0, -2.0]), np.array([-1.0, -2.0]))
def assigned_before_and_after(x):
    total = tf.reduce_sum(x)
    if total > 0:
        scale = 2.0
    else:
        scale = 3.0
    scale = scale * 2.0
    return x * scale


@program(4, 7)
def integers(n):
    if n % 2 == 0:
        n = n // 2
    else:
        n = 3 * n + 1
    return n


@program(2.0, -2.0)
def constant_branches(x):
    if x > 0:
        sign = 1.0
    else:
        sign = -1.0
    return sign * x


@program(1.0, -1.0)
def with_block_in_a_branch(x):
    if x > 0:
        with tf.name_scope("scope"):
            x = x * 2.0
    return x


@program(1.0, -1.0)
def empty_branch(x):
    if x > 0:
        pass
    else:
        x = -x
    return x


@program(1.0, -1.0)
def branch_without_results(x):
    if x > 0:
        unused = x * 2.0  # noqa: F841
    return x


@program(1.0, -1.0)
def deleted_name(x):
    y = x * 2.0
    if x > 0:
        z = y
        del y
        x = z + 1.0
    return x


@program((1.0, 2.0), (-1.0, 2.0))
def tuple_in_a_branch(x, y):
    pair = (x, y)
    if x > 0:
        pair = (y, x)
    a, b = pair
    return a * 3.0 - b


@program(1.0, -1.0)
def truth_of_the_result(x):
    both = x > 0 and x < 5
    either = x > 5 or x < 0
    if both:
        x = x * 3.0
    if either:
        x = x * 5.0
    return x


@program(5.0, -5.0)
def walrus(x):
    if (y := x * 2.0) > 0:
        x = x + y
    return x + y


@program(1.0, -1.0)
def assertion_that_holds(x):
    assert x < 10.0, "too large"
    assert x > -10.0
    return x


@program((2.0, 3.0))
def same_value_in_both(x, y):
    if x > y:
        z = x
    else:
        z = x
    return z * y


@program(np.array([True, False]), np.array([False, False]))
def any_element(flags):
    if tf.reduce_any(flags):
        n = 1
    else:
        n = 2
    return n


@program(np.array([[1.0, 2.0], [3.0, 4.0]]))
def shapes_are_python(x):
    if len(x.shape) == 2 and x.shape[0] == x.shape[1]:
        return x + 1.0
    return x
