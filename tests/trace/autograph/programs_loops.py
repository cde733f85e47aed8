"""`while` and `for` loops."""

import numpy as np

import headrace as tf
from tests.trace.autograph.table import program


@program(10, 0, 7)
def countdown(n):
    total = 0
    while n > 0:
        total += n
        n -= 1
    return total


@program((48, 18), (7, 3))
def greatest_common_divisor(a, b):
    while b != 0:
        a, b = b, a % b
    return a


@program(6, 27)
def collatz(n):
    steps = 0
    while n != 1:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        steps += 1
    return steps


@program(10, 1)
def fibonacci(n):
    a, b = 0, 1
    for _ in tf.range(n):
        a, b = b, a + b
    return a


@program(2.0, 9.0)
def newton_root(x):
    guess = x
    while abs(guess * guess - x) > 1e-3:
        guess = (guess + x / guess) / 2.0
    return guess


@program(3.0)
def fixed_rounds(x):
    for _ in range(4):
        x = x * 1.5
    return x


@program((2.0, 5), (2.0, 0))
def power(x, n):
    result = 1.0
    while n > 0:
        result = result * x
        n = n - 1
    return result


@program(np.array([1.0, 2.0, 3.0]))
def sum_of_elements(x):
    total = 0.0
    for e in x:
        total += e
    return total


@program(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
def sum_of_rows(x):
    total = tf.zeros([2])
    for row in x:
        total = total + row * row
    return total


@program(np.array([3, 9, 2, 7]))
def largest(x):
    best = x[0]
    for e in x:
        if e > best:
            best = e
    return best


@program(np.array([[1.0, 2.0], [3.0, 4.0]]))
def nested_for(x):
    total = 0.0
    for row in x:
        for e in row:
            total += e * e
    return total


@program(4, 0)
def triangle(n):
    count = 0
    for i in tf.range(n):
        for _ in tf.range(i):
            count += 1
    return count


@program(5)
def range_with_start(n):
    total = 0
    for i in tf.range(2, n):
        total += i
    return total


@program(10)
def range_with_step(n):
    total = 0
    for i in tf.range(1, n, 3):
        total = total * 10 + i
    return total


@program(9)
def range_downward(n):
    total = 0
    for i in tf.range(n, 0, -2):
        total = total * 10 + i
    return total


@program(5)
def python_range_of_a_tensor(n):
    total = 0
    for i in range(n):
        total += i * i
    return total


@program(4)
def value_after_the_loop(n):
    last = -1
    for i in tf.range(n):
        last = i
    return last


@program(4)
def target_after_the_loop(n):
    for i in tf.range(n):  # noqa: B007
        pass
    return i


@program(3.0)
def name_first_in_the_loop(x):
    while x > 0:
        y = x * 2.0
        x -= 1.0
    return y


@program(3.0)
def local_of_the_body(x):
    total = 0.0
    while x > 0:
        square = x * x
        total += square
        x -= 1.0
    return total


@program(3.0)
def carried_only(x):
    before = 0.0
    total = 0.0
    while x > 0:
        total += before
        before = x
        x -= 1.0
    return total


@program((1.0, 20.0))
def two_conditions(x, limit):
    rounds = 0
    while x < limit and rounds < 3:
        x = x * 2.0
        rounds += 1
    return x


@program(5)
def list_in_the_state(n):
    pair = [0, 1]
    for _ in tf.range(n):
        pair = [pair[1], pair[0] + pair[1]]
    return pair[0]


@program(5)
def dict_in_the_state(n):
    found = {"sum": 0, "product": 1}
    for i in tf.range(1, n):
        found = {"sum": found["sum"] + i, "product": found["product"] * i}
    return found["sum"] + found["product"]


@program(5)
def item_in_the_state(n):
    found = {"sum": 0}
    for i in tf.range(n):
        found["sum"] += i
    return found["sum"]


class Counter:
    """Counts."""

    def __init__(self):
        self.count = 0

    def add(self, n):
        self.count += n


@program(5)
def attribute_in_the_state(n):
    counter = Counter()
    for i in tf.range(n):
        counter.count = counter.count + i
    return counter.count


@program(6)
def branch_in_a_loop(n):
    even, odd = 0, 0
    for i in tf.range(n):
        if i % 2 == 0:
            even += i
        else:
            odd += i
    return even * 100 + odd


@program((6.0, 3))
def loop_in_a_branch(x, n):
    if x > 0:
        while n > 0:
            x = x * 2.0
            n -= 1
    else:
        x = x + 1.0
    return x


@program(3.0, -3.0)
def loop_after_a_branch(x):
    if x > 0:
        n = 3
    else:
        n = 5
    while n > 0:
        x = x * 1.1
        n -= 1
    return x


@program(4.0)
def two_loops(x):
    y = x
    while x > 1:
        x = x / 2.0
    while y > 0:
        y = y - 1.0
    return x + y


@program((3, 4))
def while_in_while(a, b):
    total = 0
    while a > 0:
        c = b
        while c > 0:
            total += c
            c -= 1
        a -= 1
    return total


@program(np.array([1.0, 2.0, 3.0]))
def enumerated(x):
    total = 0.0
    for i, e in enumerate(x):
        total += tf.cast(i, e.dtype) * e
    return total


@program((np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])))
def zipped(x, y):
    total = 0.0
    for a, b in zip(x, y):  # noqa: B905
        total += a * b
    return total


@program(np.array([[1, 2], [3, 4], [5, 6]]))
def unpacked_target(x):
    total = 0
    for a, b in [(x[0], x[1]), (x[1], x[2])]:
        total += tf.reduce_sum(a * b)
    return total


@program(2.0)
def over_a_list(x):
    total = 0.0
    for scale in [1.0, 2.0, 3.0]:
        total += scale * x
    return total


@program(2.0)
def over_dict_items(x):
    total = 0.0
    for name, scale in {"a": 1.0, "bb": 2.0}.items():
        total += scale * x * len(name)
    return total


@program(np.array([1.0, 2.0, 3.0]))
def by_index(x):
    total = 0.0
    for i in tf.range(len(x)):
        total += x[i] * x[i]
    return total


@program(np.array([5.0, 1.0, 3.0]))
def unrolled_over_the_length(x):
    parts = []
    for i in range(x.shape[0]):
        parts.append(x[i] * 2.0)
    return tf.stack(parts)


@program(np.array([1.0, 2.0]), staged=True)
def growing_with_an_invariant(x):
    for _ in tf.range(3):
        tf.autograph.experimental.set_loop_options(
            shape_invariants=[(x, tf.TensorShape([None]))]
        )
        x = tf.concat([x, x], 0)
    return x


@program(100)
def maximum_of_iterations(n):
    total = 0
    while n > 0:
        total += n
        n -= 1
        if total > 1000:
            n = 0
    return total


@program((0.0, 3))
def zero_iterations(x, n):
    while x > 0:
        x = x - 1.0
        n = n + 1
    return n


@program(5)
def constant_assignment_in_a_loop(n):
    seen = False
    for i in tf.range(n):
        if i == 3:
            seen = True
    if seen:
        r = 1
    else:
        r = 0
    return r


@program(3)
def python_loop_in_a_tensor_loop(n):
    total = 0
    for i in tf.range(n):
        for scale in (1, 10):
            total += i * scale
    return total


@program(3)
def tensor_loop_in_a_python_loop(n):
    total = 0
    for scale in (1, 10):
        for i in tf.range(n):
            total += i * scale
    return total


@program((np.array([[0.5, 0.1], [0.2, 0.3]]), np.array([1.0, 2.0])))
def recurrence(w, h):
    for _ in tf.range(3):
        h = tf.tanh(tf.reduce_sum(w * h, 1))
    return h


@program(np.array([4, 3, 2, 1]))
def bubble_pass(x):
    best = x[0]
    for i in tf.range(1, 4):
        best = best if best < x[i] else x[i]
    return best


@program(4.0)
def loop_over_a_method(x):
    counter = Counter()
    for _ in range(3):
        counter.add(x)
    return counter.count


@program(np.array([2.0, 3.0]))
def product_in_place(x):
    result = tf.ones_like(x)
    for e in x:
        result *= e
    return result
