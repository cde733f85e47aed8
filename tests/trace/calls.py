"""Calls of functions, one idea each; the answers of the real TensorFlow stand in `calls.json`.

`python -m tests.trace.calls` in an environment with TensorFlow writes them anew.
"""

import json
import re
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("calls.json")


def answers(tf):
    """What each call gives: the text of its result or of its error, by the call's name."""
    found = {}

    def t(name, call):
        try:
            result = call()
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        text = re.sub(r"0x[0-9A-Fa-f]+", "0x", str(result))
        text = re.sub(r"answers.<locals>.", "", text)
        found[name] = re.sub(r"__inference_(\S+?)_\d+", r"__inference_\1", text)

    N = {"autograph": False}
    f = tf.function(lambda x: x, **N)
    t("leaf np", lambda: f(np.array([1.0, 2.0])))
    t("leaf list", lambda: f([1, 2]))
    t(
        "nested",
        lambda: tf.function(lambda d: d["a"] + d["b"][0], **N)(
            {"a": tf.constant(1), "b": (tf.constant(2), 3)}
        ),
    )
    t("kwargs", lambda: tf.function(lambda x, *, y=2: x + y, **N)(tf.constant(1), y=5))
    t("default", lambda: tf.function(lambda x, y=2: x + y, **N)(tf.constant(1)))
    t(
        "varargs",
        lambda: tf.function(lambda *a, **k: sum(a) + k["z"], **N)(
            tf.constant(1), tf.constant(2), z=tf.constant(3)
        ),
    )
    t("missing", lambda: tf.function(lambda x, y: x, **N)(tf.constant(1)))
    t("unexpected", lambda: tf.function(lambda x: x, **N)(tf.constant(1), q=1))
    t("multi", lambda: tf.function(lambda x: x, **N)(tf.constant(1), x=1))
    t("none", lambda: tf.function(lambda x: None, **N)(tf.constant(1)))
    t("obj", lambda: tf.function(lambda x: object(), **N)(tf.constant(1)))
    t(
        "struct",
        lambda: tf.function(lambda x: {"a": x, "b": (1, None, [x, 2.0])}, **N)(tf.constant(1)),
    )
    t("op", lambda: tf.function(lambda x: tf.no_op(), **N)(tf.constant(1)))
    t("string", lambda: tf.function(lambda x: "foo", **N)(tf.constant(1)))
    t("var ret", lambda: tf.function(lambda: tf.Variable(1.0), **N)())
    v = tf.Variable(1.0)
    t("var ret2", lambda: tf.function(lambda: v, **N)())
    t("assign ret", lambda: tf.function(lambda: v.assign_add(1.0), **N)())
    t("var arg", lambda: tf.function(lambda w: w * 2.0, **N)(v))

    class M:
        def __init__(s):
            s.n = 0

        @tf.function
        def m(s, x):
            s.n += 1
            return x + 1

        @tf.function
        def w(s, x):
            if not hasattr(s, "v"):
                s.v = tf.Variable(2.0)
            return s.v * x

    a, b = M(), M()
    t("meth", lambda: (a.m(tf.constant(1)), a.m(tf.constant(2)), b.m(tf.constant(1)), a.n, b.n))
    t("methvar", lambda: (a.w(tf.constant(1.0)), b.w(tf.constant(3.0)), a.v))
    t("bad var", lambda: tf.function(lambda x: tf.Variable(1.0) * x, **N)(tf.constant(1.0)))
    t(
        "sig",
        lambda: tf.function(lambda x: x, input_signature=[tf.TensorSpec([None, 2])], **N)(
            tf.ones([3, 2])
        ),
    )
    t(
        "sig bad",
        lambda: tf.function(lambda x: x, input_signature=[tf.TensorSpec([None, 2])], **N)(
            tf.ones([3, 3])
        ),
    )
    t(
        "sig list",
        lambda: tf.function(lambda x: x, input_signature=[tf.TensorSpec([None])], **N)(
            [1.0, 2.0]
        ),
    )
    t("sig type", lambda: tf.function(lambda x: x, input_signature=3, **N)([1.0, 2.0]))
    t("sig type2", lambda: tf.function(lambda x: x, input_signature=[3], **N)([1.0, 2.0]))
    t(
        "sig many",
        lambda: tf.function(
            lambda x: x, input_signature=[tf.TensorSpec([]), tf.TensorSpec([])], **N
        )(1.0),
    )
    g = tf.function(lambda x, y=1: x * y, **N)
    c = g.get_concrete_function(tf.TensorSpec([None], tf.float32, name="inp"), 2)
    t("cf", lambda: (c(tf.constant([1.0, 2.0])), c(inp=tf.constant([3.0]))))
    t("cf repr", lambda: repr(c))
    t("cf str", lambda: str(c))
    t("cf sis", lambda: c.structured_input_signature)
    t("cf so", lambda: c.structured_outputs)
    t("cf ins", lambda: (c.inputs, c.outputs))
    t("cf err", lambda: c(tf.constant([1])))
    t("cf err2", lambda: c())
    t("cf err3", lambda: c(tf.constant([1.0]), tf.constant([1.0]), tf.constant([1.0])))
    t("cf name", lambda: c.name)
    t("graph", lambda: c.graph.get_operations())
    t("gname", lambda: c.graph.get_operation_by_name("zz"))
    t("gname2", lambda: c.graph.get_tensor_by_name("zz:0"))
    t("gname3", lambda: c.graph.get_tensor_by_name("Identity:7"))
    t("gname4", lambda: c.graph.get_tensor_by_name("Identity"))
    t("gname5", lambda: c.graph.get_tensor_by_name(3))
    op = c.graph.get_operation_by_name("mul")
    t(
        "sym",
        lambda: (
            op.outputs[0],
            op.outputs[0].op.name,
            op.outputs[0].shape,
            op.outputs[0].consumers(),
            str(op.outputs[0]),
        ),
    )
    t("not callable", lambda: tf.function(3))
    t(
        "count",
        lambda: (
            g(tf.constant(1)),
            g(tf.constant(2)),
            g(tf.constant([1, 2])),
            g(tf.constant(1.0), 2),
            g(tf.constant(1.0), 3),
            g.experimental_get_tracing_count(),
        ),
    )
    h = tf.function(lambda x: x, reduce_retracing=True, **N)
    t(
        "reduce",
        lambda: (
            [h(tf.ones([n])).shape for n in (1, 2, 3, 4)],
            h.experimental_get_tracing_count(),
        ),
    )
    t(
        "run eagerly",
        lambda: (
            tf.config.run_functions_eagerly(True),
            tf.function(lambda x: x.numpy(), **N)(tf.constant(3)),
            tf.config.run_functions_eagerly(False),
        ),
    )
    t("init_scope", lambda: tf.function(lambda: tf.init_scope.__name__, **N)())

    def isc():
        with tf.init_scope():
            z = tf.constant(2.0) + 1
        return z * 2

    t("isc", lambda: tf.function(isc, **N)())
    t(
        "eager in",
        lambda: tf.function(lambda: (tf.executing_eagerly(), tf.constant(1)), **N)()[1],
    )
    t("inside", lambda: tf.inside_function())
    t(
        "random",
        lambda: (
            tf.random.set_seed(1),
            [
                float(q)
                for q in (lambda r: (r(), r(), r()))(
                    tf.function(lambda: tf.random.uniform([]), **N)
                )
            ],
        )[1],
    )
    t("name", lambda: (g.__name__, g.python_function.__name__))
    t("sl", lambda: tf.function(lambda x: x[1:], **N)(tf.constant([1, 2, 3])))
    w = tf.Variable([1.0, 2.0, 3.0])
    t("sassign", lambda: (tf.function(lambda: w[1].assign(7.0), **N)(), w))
    t(
        "scatter",
        lambda: (tf.function(lambda: w.scatter_add(tf.IndexedSlices([1.0], [0])), **N)(), w),
    )
    t("scatter_nd", lambda: (tf.function(lambda: w.scatter_nd_update([[0]], [9.0]), **N)(), w))
    t("gather", lambda: tf.function(lambda: tf.gather(w, [0, 2]), **N)())

    def cdeps(x):
        with tf.control_dependencies([v.assign_add(1.0)]):
            return tf.identity(x)

    t("cd", lambda: (tf.function(lambda x: cdeps(x), **N)(tf.constant(1.0)), v))
    t(
        "numpyf",
        lambda: tf.function(lambda x: tf.numpy_function(lambda a: a * 2, [x], tf.float32), **N)(
            tf.constant(1.0)
        ),
    )
    t(
        "pyf",
        lambda: tf.function(lambda x: tf.py_function(lambda a: a * 2, [x], tf.float32), **N)(
            tf.constant(1.0)
        ),
    )
    t("print", lambda: tf.function(lambda x: tf.print("hi", x), **N)(tf.constant(1.0)))
    t(
        "assert",
        lambda: tf.function(lambda x: tf.debugging.Assert(x > 2.0, [x]), **N)(tf.constant(1.0)),
    )
    t(
        "assert2",
        lambda: tf.function(lambda x: tf.debugging.assert_greater(x, 2.0), **N)(
            tf.constant(1.0)
        ),
    )

    @tf.custom_gradient
    def cg(x):
        return x * x, lambda dy: dy * 7.0

    def tcg(x):
        with tf.GradientTape() as tp:
            tp.watch(x)
            y = cg(x)
        return y, tp.gradient(y, x)

    t("custom", lambda: tf.function(tcg, **N)(tf.constant(3.0)))
    fcg = tf.function(lambda x: cg(x) * 2.0, **N)

    def ecg():
        x = tf.constant(3.0)
        with tf.GradientTape() as tp:
            tp.watch(x)
            y = fcg(x)
        return tp.gradient(y, x)

    t("custom2", ecg)
    t("grads", lambda: tf.function(lambda x: tf.gradients(x * x, x), **N)(tf.constant(3.0)))
    t(
        "hess",
        lambda: tf.function(lambda x: tf.gradients(tf.gradients(x * x * x, x)[0], x), **N)(
            tf.constant(3.0)
        ),
    )

    def jac(x):
        with tf.GradientTape() as tp:
            tp.watch(x)
            y = x * x
        return tp.jacobian(y, x)

    t("jac", lambda: tf.function(jac, **N)(tf.constant([1.0, 2.0])))

    def fwd(x):
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as a:
            y = x * x
        return a.jvp(y)

    t("fwd", lambda: tf.function(fwd, **N)(tf.constant([1.0, 2.0])))
    sq = tf.function(lambda x: x * x, **N)

    def fwd2():
        x = tf.constant([1.0, 2.0])
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as a:
            y = sq(x)
        return a.jvp(y)

    t("fwd2", fwd2)
    t(
        "isl",
        lambda: (
            tf.function(lambda: tf.IndexedSlices(tf.ones([1]), tf.constant([0])), **N)().values
        ),
    )

    def dev(x):
        with tf.device("/CPU:0"):
            return x + 1

    def hinted(x: tf.Tensor):
        return x + 1

    t("hints", lambda: tf.function(hinted, experimental_follow_type_hints=True, **N)(3))
    return found


if __name__ == "__main__":
    import tensorflow

    FILE.write_text(json.dumps(answers(tensorflow), indent=1) + "\n")
