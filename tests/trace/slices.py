"""`tf.map_fn` and its kin, one idea each; what TensorFlow gives stands in `slices.json`.

`python -m tests.trace.slices` in an environment with TensorFlow writes them anew.
"""

import json
from pathlib import Path

import numpy as np

from tests.trace.recorded import Recorder

FILE = Path(__file__).with_name("slices.json")


def answers(tf):
    """What each case gives eagerly and in a graph, as text, by the case's name and mode."""
    found = Recorder(tf)
    t = found.record
    f32 = tf.float32

    def c(x):
        return tf.constant(x, f32)

    e = c([[1, 2], [3, 4], [5, 6]])

    t("map", lambda: tf.map_fn(lambda x: x * 2, e))
    t("map py", lambda: tf.map_fn(lambda x: x * 2, [1, 2, 3]))
    t("map np", lambda: tf.map_fn(lambda x: x * 2, np.array([1, 2, 3])))
    t("map list is structure", lambda: tf.map_fn(lambda x: x[0] + x[1], [c([1, 2]), c([3, 4])]))
    t(
        "map list is structure sig",
        lambda: tf.map_fn(
            lambda x: x[0] + x[1], [c([1, 2]), c([3, 4])], fn_output_signature=f32
        ),
    )
    t("map tuple", lambda: tf.map_fn(lambda x: (x[0] + x[1], x[0]), (c([1, 2]), c([3, 4]))))
    t(
        "map tuple sig",
        lambda: tf.map_fn(
            lambda x: x[0] + x[1], (c([1, 2]), c([3, 4])), fn_output_signature=f32
        ),
    )
    t(
        "map tuple nosig struct",
        lambda: tf.map_fn(lambda x: x[0] + x[1], (c([1, 2]), c([3, 4]))),
    )
    t(
        "map dict",
        lambda: tf.map_fn(
            lambda d: {"s": d["a"] + d["b"]},
            {"a": c([1, 2]), "b": c([3, 4])},
            fn_output_signature={"s": f32},
        ),
    )
    t("map dtype change nosig", lambda: tf.map_fn(lambda x: tf.cast(x, tf.int32), e))
    t(
        "map dtype change sig",
        lambda: tf.map_fn(lambda x: tf.cast(x, tf.int32), e, fn_output_signature=tf.int32),
    )
    t("map dtype arg", lambda: tf.map_fn(lambda x: tf.cast(x, tf.int32), e, dtype=tf.int32))
    t(
        "map sig many",
        lambda: tf.map_fn(
            lambda x: (x, tf.cast(x, tf.int32)), e, fn_output_signature=(f32, tf.int32)
        ),
    )
    t(
        "map sig spec",
        lambda: tf.map_fn(lambda x: x, e, fn_output_signature=tf.TensorSpec([2], f32)),
    )
    t(
        "map sig spec wrong",
        lambda: tf.map_fn(lambda x: x, e, fn_output_signature=tf.TensorSpec([3], f32)),
    )
    t("map empty", lambda: tf.map_fn(lambda x: x * 2, tf.zeros([0, 2])))
    t("map empty shape change", lambda: tf.map_fn(lambda x: tf.reduce_sum(x), tf.zeros([0, 2])))
    t("map scalar", lambda: tf.map_fn(lambda x: x * 2, c(1)))
    t(
        "map mism",
        lambda: tf.map_fn(
            lambda x: x[0] + x[1], (c([1, 2]), c([3, 4, 5])), fn_output_signature=f32
        ),
    )
    t("map returns none", lambda: tf.map_fn(lambda x: None, e))
    t("map uneven", lambda: tf.map_fn(lambda x: tf.range(x), tf.constant([1, 2])))
    t(
        "map uneven f",
        lambda: tf.map_fn(
            lambda x: x[: tf.cast(x[0], tf.int32)],
            e,
        ),
    )
    t("map pyret", lambda: tf.map_fn(lambda x: 1.0, e))
    t("map pyret int", lambda: tf.map_fn(lambda x: 1, e))
    t("map elems emptylist", lambda: tf.map_fn(lambda x: x, []))
    t(
        "map pi",
        lambda: tf.map_fn(
            lambda x: x * 2,
            e,
            parallel_iterations=1,
            name="m",
            swap_memory=True,
            infer_shape=False,
        ),
    )
    t("scan", lambda: tf.scan(lambda a, x: a + x, c([1, 2, 3])))
    t("scan init", lambda: tf.scan(lambda a, x: a + x, c([1, 2, 3]), initializer=c(10)))
    t("scan rev", lambda: tf.scan(lambda a, x: a - x, c([1, 2, 3]), reverse=True))
    t(
        "scan rev init",
        lambda: tf.scan(lambda a, x: a - x, c([1, 2, 3]), initializer=c(10), reverse=True),
    )
    t(
        "scan struct",
        lambda: tf.scan(lambda a, x: (a[0] + x[0], a[1] * x[1]), (c([1, 2, 3]), c([4, 5, 6]))),
    )
    t(
        "scan struct init",
        lambda: tf.scan(
            lambda a, x: (a[1], a[0] + a[1]),
            tf.range(6),
            initializer=(tf.constant(0), tf.constant(1)),
        ),
    )
    t("scan init dtype", lambda: tf.scan(lambda a, x: a + tf.reduce_sum(x), e, initializer=0.0))
    t("scan pyinit", lambda: tf.scan(lambda a, x: a + x, [1, 2, 3], initializer=0))
    t("scan one", lambda: tf.scan(lambda a, x: a + x, c([1])))
    t("scan empty", lambda: tf.scan(lambda a, x: a + x, tf.zeros([0])))
    t("scan empty init", lambda: tf.scan(lambda a, x: a + x, tf.zeros([0]), initializer=c(1)))
    t(
        "scan dtypechange",
        lambda: tf.scan(lambda a, x: tf.cast(a, tf.int32), e, initializer=c(0)),
    )
    t("scan structchange", lambda: tf.scan(lambda a, x: (a, a), e, initializer=c(0)))
    t(
        "scan shapechange",
        lambda: tf.scan(lambda a, x: tf.concat([a, x], 0), e, initializer=c([0, 0])),
    )
    t(
        "scan shapechange2",
        lambda: tf.scan(
            lambda a, x: tf.concat([a, x], 0), e, initializer=c([0, 0]), infer_shape=False
        ),
    )
    t("scan scalar", lambda: tf.scan(lambda a, x: a, c(1)))
    t("foldl", lambda: tf.foldl(lambda a, x: a - x, c([1, 2, 3])))
    t("foldr", lambda: tf.foldr(lambda a, x: a - x, c([1, 2, 3])))
    t("foldl init", lambda: tf.foldl(lambda a, x: a - x, c([1, 2, 3]), initializer=c(10)))
    t("foldr init", lambda: tf.foldr(lambda a, x: a - x, c([1, 2, 3]), initializer=c(10)))
    t(
        "foldl init struct",
        lambda: tf.foldl(
            lambda a, x: (a[0] + x, a[1] * x), c([1, 2, 3]), initializer=(c(0), c(1))
        ),
    )
    t(
        "foldl elems struct",
        lambda: tf.foldl(
            lambda a, x: a + x[0] * x[1], (c([1, 2, 3]), c([4, 5, 6])), initializer=c(0)
        ),
    )
    t(
        "foldl elems struct noinit",
        lambda: tf.foldl(lambda a, x: (a[0] + x[0], a[1] * x[1]), (c([1, 2, 3]), c([4, 5, 6]))),
    )
    t("foldl empty", lambda: tf.foldl(lambda a, x: a + x, tf.zeros([0])))
    t("foldl empty init", lambda: tf.foldl(lambda a, x: a + x, tf.zeros([0]), initializer=c(3)))
    t("foldr empty", lambda: tf.foldr(lambda a, x: a + x, tf.zeros([0])))
    t("foldl scalar", lambda: tf.foldl(lambda a, x: a, c(1)))
    t("foldl shapechange", lambda: tf.foldl(lambda a, x: tf.concat([a, x], 0), e))
    t(
        "foldl dtypechange",
        lambda: tf.foldl(lambda a, x: tf.cast(a, tf.int32), c([1, 2]), initializer=c(0)),
    )
    t("vmap", lambda: tf.vectorized_map(lambda x: x * 2 + tf.reduce_sum(x), e))
    t("vmap tuple", lambda: tf.vectorized_map(lambda x: x[0] + x[1], (e, c([1, 2, 3]))))
    t("vmap bc1", lambda: tf.vectorized_map(lambda x: x[0] + x[1], (e, c([[1, 2]]))))
    t("vmap all1", lambda: tf.vectorized_map(lambda x: x[0] + x[1], (e[:1], c([[1, 2]]))))
    t("vmap scalar", lambda: tf.vectorized_map(lambda x: x[0] + x[1], (e, c(1))))
    t("vmap only scalar", lambda: tf.vectorized_map(lambda x: x, c(1)))
    t("vmap mism", lambda: tf.vectorized_map(lambda x: x[0] + x[1], (e, c([1, 2]))))
    t("vmap unbatched out", lambda: tf.vectorized_map(lambda x: c([1, 2]), e))
    t("vmap none", lambda: tf.vectorized_map(lambda x: None, e))
    t("vmap py", lambda: tf.vectorized_map(lambda x: x * 2, [1, 2, 3]))
    t("vmap pylist", lambda: tf.vectorized_map(lambda x: x[0], [[1, 2], [3, 4]]))
    t(
        "vmap dict",
        lambda: tf.vectorized_map(lambda d: {"k": d["a"] * 2, "j": (d["a"],)}, {"a": e}),
    )
    t("vmap nc", lambda: tf.vectorized_map(3, e))
    t("vmap empty", lambda: tf.vectorized_map(lambda x: x * 2, tf.zeros([0, 2])))
    t("vmap matmul", lambda: tf.vectorized_map(lambda x: tf.tensordot(x, x, 0), e))
    t("vmap pyret", lambda: tf.vectorized_map(lambda x: 1.0, e))
    t("vmap empty struct", lambda: tf.vectorized_map(lambda x: x, []))
    return found.texts


if __name__ == "__main__":
    import tensorflow

    FILE.write_text(json.dumps(answers(tensorflow), indent=1) + "\n")
