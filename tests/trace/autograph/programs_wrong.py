"""Programs that are wrong as graphs: the error, its words, and the line of the user's it names.

Each function is entered with the class and the beginning of the text; the line that the
traceback must end in (as far as the user's code goes) is marked with `# here`.
"""

import headrace as tf

WRONG = []


def wrong(*sample, error, match):
    def enter(function):
        WRONG.append((function, sample, error, match))
        return function

    return enter


class Holder:
    """Something with attributes."""


@wrong(1.0, error=ValueError, match=r"'y' must also be initialized in the else branch")
def not_in_the_else_branch(x):
    if x > 0:  # here
        y = x
    return y


@wrong(1.0, error=ValueError, match=r"'y' must also be initialized in the main branch")
def not_in_the_main_branch(x):
    if x > 0:  # here
        pass
    else:
        y = x
    return y


@wrong(
    1.0,
    error=TypeError,
    match=r"'y' has dtype float32 in the main branch, but dtype int32 in the else branch",
)
def dtypes_of_branches(x):
    if x > 0:  # here
        y = x
    else:
        y = 1
    return y


@wrong(1.0, error=TypeError, match=r"'y' has dtype string in the main branch, but dtype int32")
def text_and_number(x):
    if x > 0:  # here
        y = "a"
    else:
        y = 1
    return y


@wrong(
    1.0,
    error=TypeError,
    match=r"'y' must have the same nested structure in the main and else branches:\n\nThe two",
)
def structures_of_branches(x):
    if x > 0:  # here
        y = x
    else:
        y = [x]
    return y


@wrong(1.0, error=ValueError, match=r"the else branch must also have a return statement\.")
def return_in_one_branch(x):
    if x > 0:  # here
        return x


@wrong(1.0, error=ValueError, match=r"'y' is None at the end of the main branch\.")
def none_in_the_main_branch(x):
    if x > 0:  # here
        y = None
    else:
        y = x
    return y


@wrong(1.0, error=ValueError, match=r"'y' is None at the end of the else branch\.")
def none_in_the_else_branch(x):
    if x > 0:  # here
        y = x
    else:
        y = None
    return y


@wrong(1.0, error=TypeError, match=r"To be compatible with tf\.function, .* of type object")
def object_of_a_branch(x):
    y = object()
    if x > 0:  # here
        y = object()
    return x, y


@wrong(1.0, error=ValueError, match=r"'o\.w' must also be initialized in the else branch")
def attribute_of_one_branch(x):
    o = Holder()
    o.v = x
    if x > 0:  # here
        o.w = x
    return o.v


@wrong(1.0, error=ValueError, match=r"'d\['k'\]' must also be initialized in the else branch")
def item_of_one_branch(x):
    d = {}
    if x > 0:  # here
        d["k"] = x
    return d


@wrong(
    1.0,
    error=ValueError,
    match=r"condition of if statement expected to be `tf\.bool` scalar, got Tensor\(.*\); to "
    r"use as boolean Tensor, use `tf\.cast`; to check for None, use `is not None`",
)
def number_as_condition(x):
    if x:  # here
        return x
    return -x


@wrong(
    [True, False],
    error=ValueError,
    match=r"condition of if statement expected to be `tf\.bool` scalar, got Tensor\(.*\); to "
    r"check for None, use `is not None`",
)
def vector_as_condition(x):
    if x:  # here
        return 1
    return 2


@wrong(
    1.0,
    error=ValueError,
    match=r"condition of while loop expected to be `tf\.bool` scalar, got Tensor",
)
def number_as_condition_of_a_loop(x):
    while x:  # here
        x -= 1.0
    return x


@wrong(
    1.0,
    error=TypeError,
    match=r"'y' has dtype int32 before the loop, but dtype float32 after one iteration",
)
def dtype_in_a_loop(x):
    y = 0
    while x > 0:  # here
        y = x
        x -= 1.0
    return y


@wrong(
    1.0,
    error=ValueError,
    match=r"'y' has shape \(1,\) before the loop, but shape \(2,\) after one iteration\. Use "
    r"tf\.autograph\.experimental\.set_loop_options to set shape invariants\.",
)
def shape_in_a_loop(x):
    y = tf.constant([0.0])
    while x > 0:  # here
        y = tf.concat([y, y], 0)
        x -= 1.0
    return y


@wrong(
    1.0,
    error=ValueError,
    match=r"'y' has shape \(1,\) before the loop, which does not conform with the shape "
    r"invariant \(2,\)\.",
)
def invariant_before_the_loop(x):
    y = tf.constant([1.0])
    for _ in tf.range(3):  # here
        tf.autograph.experimental.set_loop_options(shape_invariants=[(y, tf.TensorShape([2]))])
        y = y + x
    return y


@wrong(
    1.0,
    error=ValueError,
    match=r"'y' has shape \(1, None\) after one iteration, which does not conform with the "
    r"shape invariant \(None,\)\.",
)
def invariant_after_an_iteration(x):
    y = tf.constant([1.0])
    for _ in tf.range(3):  # here
        tf.autograph.experimental.set_loop_options(
            shape_invariants=[(y, tf.TensorShape([None]))]
        )
        y = tf.reshape(y, [1, -1])
    return y


@wrong(
    1.0,
    error=TypeError,
    match=r"'y' does not have the same nested structure after one iteration\.\n\nThe two",
)
def structure_in_a_loop(x):
    y = x
    while x > 0:  # here
        y = (y, y)
        x -= 1.0
    return y


@wrong(1.0, error=ValueError, match=r"'y' must be defined before the loop")
def never_defined_in_a_loop(x):
    while x > 0:  # here
        if False:
            y = 1
        x -= 1.0
    return y


@wrong(1.0, error=ValueError, match=r"'y' is None at the end of the iteration\.")
def none_in_a_loop(x):
    y = x
    while x > 0:  # here
        y = None
        x -= 1.0
    return y


@wrong(1.0, error=TypeError, match=r"Failed to convert elements of <object object .* to Tensor")
def object_in_a_loop(x):
    y = object()
    while x > 0:  # here
        y = object()
        x -= 1.0
    return x, y


@wrong(1.0, error=UnboundLocalError, match=r"'z' is used before assignment")
def undefined_name(x):
    if False:
        z = 1
    return z + x  # here


@wrong(
    1.0,
    error=NotImplementedError,
    match=r"break and return statements which depend on a TF condition are not supported in "
    r"Python for loops\. Did you intend to make it a TF loop\?",
)
def break_of_a_python_loop(x):
    for _ in range(3):  # here
        if x > 0:
            break
    return x


@wrong(
    [1.0, 2.0],
    error=NotImplementedError,
    match=r"a return statement cannot be placed inside this TensorFlow loop",
)
def return_that_may_not_come(x):
    for e in x:  # here
        if e > 1:
            return e


@wrong(
    1.0,
    error=TypeError,
    match=r"'x > 0' has dtype float32 in the main branch, but dtype int32 in the else branch",
)
def dtypes_of_a_conditional_expression(x):
    return x if x > 0 else 1  # here


@wrong(1.0, error=ValueError, match=r"len requires a non-scalar tensor, got one of shape Tens")
def length_of_a_scalar(x):
    return len(x)  # here


@wrong(1.0, error=ValueError, match=r"len requires a non-scalar tensor, got one of shape Tens")
def loop_over_a_scalar(x):
    for _ in x:  # here
        pass
    return x


@wrong(1.0, error=ValueError, match="mine")
def error_in_a_branch(x):
    if x > 0:
        if x > 1:
            raise ValueError("mine")  # here
    return x


@wrong(1.0, error=ZeroDivisionError, match="division by zero")
def error_in_a_nested_function(x):
    def inner(n):
        while n > 0:
            n = n / (n - n)  # here
        return n

    for _ in tf.range(3):
        x = x + inner(1)
    return x
