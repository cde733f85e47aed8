"""`break`, `continue` and `return` in all places."""

import numpy as np

import headrace as tf
from tests.trace.autograph.table import program


@program(10, 2)
def break_in_while(n):
    total = 0
    while n > 0:
        if total > 20:
            break
        total += n
        n -= 1
    return total


@program(10)
def break_at_the_end(n):
    total = 0
    while n > 0:
        total += n
        n -= 1
        if total > 20:
            break
    return total


@program(10, 3)
def break_in_for(n):
    total = 0
    for i in tf.range(n):
        if i == 5:
            break
        total += i
    return total


@program(np.array([1.0, 5.0, 2.0, 9.0]))
def break_over_elements(x):
    found = -1.0
    for e in x:
        if e > 4:
            found = e
            break
    return found


@program(10)
def continue_in_for(n):
    total = 0
    for i in tf.range(n):
        if i % 3 == 0:
            continue
        total += i
    return total


@program(10)
def continue_in_while(n):
    total = 0
    while n > 0:
        n -= 1
        if n % 2 == 0:
            continue
        total += n
    return total


@program(20)
def continue_and_break(n):
    total = 0
    for i in tf.range(n):
        if i % 2 == 0:
            continue
        if i > 9:
            break
        total += i
    return total


@program(20)
def continue_twice(n):
    total = 0
    for i in tf.range(n):
        if i % 2 == 0:
            continue
        total += 1
        if i % 3 == 0:
            continue
        total += 100
    return total


@program((4, 4), (4, 0))
def break_of_the_inner_loop(n, m):
    total = 0
    for i in tf.range(n):
        for j in tf.range(m):
            if j > i:
                break
            total += 1
    return total


@program((4, 4))
def break_of_both_loops(n, m):
    total = 0
    for i in tf.range(n):
        if i == 3:
            break
        for j in tf.range(m):
            if j == 2:
                break
            total += i * j
    return total


@program(3.0, -3.0)
def early_return(x):
    if x > 0:
        return x * 2.0
    return x


@program(3.0, -3.0, 0.0)
def three_returns(x):
    if x > 0:
        return x * 2.0
    if x < 0:
        return x * 3.0
    return x + 1.0


@program(3.0, -3.0)
def return_in_both(x):
    if x > 0:
        return x * 2.0
    else:
        return x * 3.0


@program((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))
def returns_in_nested_branches(a, b):
    c = b
    if a > 0:
        if b > 0:
            return a + b
        c = a - b
    else:
        c = a * 7.0
        if b > 0:
            return c
    return c + 100.0


@program(3.0, -3.0)
def code_after_a_return(x):
    if x > 0:
        return x
        x = x * 100.0
    return x * 2.0


@program(3.0, -3.0)
def return_of_a_tuple(x):
    if x > 0:
        return x, x * 2.0
    return x * 3.0, x


@program(3.0, -3.0)
def return_in_an_elif(x):
    if x > 5:
        x = x + 1.0
    elif x > 0:
        return x * 2.0
    else:
        x = x * 3.0
    return x + 1.0


@program((10, 4), (3, 8))
def return_in_while(n, limit):
    total = 0
    while n > 0:
        total += n
        if total > limit:
            return total * 100
        n -= 1
    return total


@program(np.array([1.0, 5.0, 2.0, 9.0]), np.array([1.0, 2.0, 3.0, 3.5]))
def return_in_for(x):
    for e in x:
        if e > 4:
            return e
    return -1.0


@program((5, 7), (5, 100))
def return_in_nested_for(n, wanted):
    for i in tf.range(n):
        for j in tf.range(n):
            if i * 2 + j == wanted:
                return i * 10 + j
    return -1


@program(10)
def return_after_a_break(n):
    i = 0
    while i < n:
        if i == 4:
            break
        i += 1
    return i


@program(3)
def while_else_without_break(n):
    total = 0
    while n > 0:
        n -= 1
        total += 1
    else:
        total += 100
    return total


@program(3, 30)
def while_else_with_break(n):
    total = 0
    while n > 0:
        n -= 1
        total += 1
        if total > 10:
            break
    else:
        total += 100
    return total


@program(3, 30)
def for_else(n):
    total = 0
    for i in tf.range(n):
        if i == 5:
            break
        total += i
    else:
        total = -1
    return total


@program(5, 50)
def while_true(n):
    i = 0
    while True:
        if i >= n:
            break
        i += 7
    return i


@program(5, 50)
def while_true_with_return(n):
    i = 0
    while True:
        i += 7
        if i >= n:
            return i


@program(3.0, -3.0)
def return_in_a_with(x):
    with tf.name_scope("scope"):
        if x > 0:
            return x * 2.0
        x = x + 1.0
    return x * 3.0


@program(3.0, -3.0)
def return_none_of_python(x):
    def nothing(flag):
        if flag:
            return
        raise ValueError

    if nothing(True) is None:
        x = x + 1.0
    return x


@program(7, 8)
def break_after_continue_with_state(n):
    found, rounds = -1, 0
    for i in tf.range(n):
        rounds += 1
        if i < 3:
            continue
        found = i
        if i * i > 20:
            break
    return found * 100 + rounds


@program((12, 5))
def return_of_the_counter(n, wanted):
    i = 0
    while i < n:
        if i == wanted:
            return i
        i += 1
    return n


@program(4)
def break_in_the_else_branch(n):
    total = 0
    for i in tf.range(n):
        if i < 2:
            total += 1
        else:
            total += 10
            break
    return total


@program(4)
def both_branches_jump(n):
    total = 0
    for i in tf.range(n):
        total += 1
        if i < 2:
            continue
        else:
            break
        total += 1000
    return total


@program(6)
def break_deep_in_branches(n):
    total = 0
    for i in tf.range(n):
        if i > 1:
            if i > 2:
                if i > 3:
                    break
                total += 100
            total += 10
        total += 1
    return total
