"""Uses of `tf.TensorArray`, one idea each; what TensorFlow gives stands in `arrays.json`.

`python -m tests.trace.arrays` in an environment with TensorFlow writes them anew.
"""

import json
from pathlib import Path

from tests.trace.recorded import Recorder

FILE = Path(__file__).with_name("arrays.json")


def answers(tf):
    """What each case gives eagerly and in a graph, as text, by the case's name and mode."""
    found = Recorder(tf)
    t = found.record
    TA = tf.TensorArray
    f32 = tf.float32

    def c(x):
        return tf.constant(x, f32)

    t("read unwritten noshape", lambda: TA(f32, 3).read(0))
    t("read unwritten shape", lambda: TA(f32, 3, element_shape=[2]).read(0))
    t("read unwritten after write", lambda: TA(f32, 3).write(1, [1.0, 2.0]).read(0))
    t("read oob", lambda: TA(f32, 3).read(3))
    t("read neg", lambda: TA(f32, 3).read(-1))
    t("write oob", lambda: TA(f32, 3).write(3, 1.0).stack())
    t("write neg", lambda: TA(f32, 3).write(-1, 1.0).stack())
    t("write dyn", lambda: TA(f32, 0, dynamic_size=True).write(3, 1.0).stack())
    t(
        "write dyn shape",
        lambda: TA(f32, 0, dynamic_size=True, element_shape=[]).write(3, 1.0).stack(),
    )

    def twice():
        ta = TA(f32, 3, element_shape=[])
        ta = ta.write(0, 1.0)
        a = ta.read(0)
        b = ta.read(0)
        return a, b

    t("read twice clear", twice)

    def twice2():
        ta = TA(f32, 3, element_shape=[], clear_after_read=False)
        ta = ta.write(0, 1.0)
        a = ta.read(0)
        b = ta.read(0)
        return a, b

    t("read twice noclear", twice2)
    t("write twice", lambda: TA(f32, 3, element_shape=[]).write(0, 1.0).write(0, 2.0).stack())
    t(
        "write twice noclear",
        lambda: (
            TA(f32, 3, element_shape=[], clear_after_read=False)
            .write(0, 1.0)
            .write(0, 2.0)
            .stack()
        ),
    )
    t(
        "write after read",
        lambda: (lambda ta: (ta.read(0), ta.write(0, 2.0).stack()))(TA(f32, 1).write(0, 1.0)),
    )
    t("dtype mismatch", lambda: TA(f32, 3).write(0, tf.constant(1)).stack())
    t("dtype pyint", lambda: TA(f32, 1).write(0, 1).stack())
    t("dtype pyfloat in int", lambda: TA(tf.int32, 1).write(0, 1.5).stack())
    t("shape mismatch", lambda: TA(f32, 3, element_shape=[2]).write(0, [1.0, 2.0, 3.0]).stack())
    t(
        "shape mismatch infer",
        lambda: TA(f32, 2).write(0, [1.0, 2.0, 3.0]).write(1, [1.0]).stack(),
    )
    t(
        "shape mismatch noinfer",
        lambda: TA(f32, 2, infer_shape=False).write(0, [1.0, 2.0, 3.0]).write(1, [1.0]).stack(),
    )
    t(
        "noinfer concat",
        lambda: (
            TA(f32, 2, infer_shape=False).write(0, [1.0, 2.0, 3.0]).write(1, [1.0]).concat()
        ),
    )
    t(
        "noinfer read",
        lambda: TA(f32, 2, infer_shape=False).write(0, [1.0, 2.0, 3.0]).write(1, [1.0]).read(1),
    )
    t("stack partial", lambda: TA(f32, 3).write(0, [1.0, 2.0]).stack())
    t("stack unwritten", lambda: TA(f32, 3).stack())
    t("stack empty shaped", lambda: TA(f32, 0, element_shape=[2]).stack())
    t("stack unwritten shaped", lambda: TA(f32, 2, element_shape=[2]).stack())
    t("stack unwritten pshaped", lambda: TA(f32, 2, element_shape=[None]).stack())
    t("gather", lambda: TA(f32, 3).unstack(c([1, 2, 3])).gather([2, 0]))
    t("gather oob", lambda: TA(f32, 3).unstack(c([1, 2, 3])).gather([3]))
    t("gather scalar", lambda: TA(f32, 3).unstack(c([1, 2, 3])).gather(0))
    t("gather empty", lambda: TA(f32, 3).unstack(c([1, 2, 3])).gather(tf.zeros([0], tf.int32)))
    t("scatter", lambda: TA(f32, 3).scatter([2, 0], c([1, 2])).stack())
    t("scatter oob", lambda: TA(f32, 1).scatter([2, 0], c([1, 2])).stack())
    t("scatter len", lambda: TA(f32, 3).scatter([2, 0, 1], c([1, 2])).stack())
    t("concat", lambda: TA(f32, 2).unstack(c([[1, 2], [3, 4]])).concat())
    t("concat scalars", lambda: TA(f32, 2).unstack(c([1, 2])).concat())
    t("concat unwritten", lambda: TA(f32, 2).concat())
    t("split", lambda: TA(f32, 2, infer_shape=False).split(c([1, 2, 3]), [1, 2]).read(1))
    t("split infer", lambda: TA(f32, 2).split(c([1, 2, 3]), [1, 2]).read(1))
    t("split badlen", lambda: TA(f32, 2, infer_shape=False).split(c([1, 2, 3]), [1, 1]).read(1))
    t(
        "split badcount",
        lambda: TA(f32, 3, infer_shape=False).split(c([1, 2, 3]), [1, 2]).read(1),
    )
    t(
        "split badcount2",
        lambda: TA(f32, 1, infer_shape=False).split(c([1, 2, 3]), [1, 2]).size(),
    )
    t("split scalar", lambda: TA(f32, 1, infer_shape=False).split(c(1), [1]).size())
    t("split len rank", lambda: TA(f32, 1, infer_shape=False).split(c([1]), 1).size())
    t(
        "split dyn",
        lambda: (
            TA(f32, 0, infer_shape=False, dynamic_size=True).split(c([1, 2, 3]), [1, 2]).size()
        ),
    )
    t("unstack size mism", lambda: TA(f32, 2).unstack(c([1, 2, 3])).stack())
    t("unstack dyn", lambda: TA(f32, 0, dynamic_size=True).unstack(c([1, 2, 3])).stack())
    t("unstack less", lambda: TA(f32, 5).unstack(c([1, 2, 3])).size())
    t("unstack dtype", lambda: TA(f32, 5).unstack(tf.constant([1, 2])).size())
    t("size", lambda: TA(f32, 5).size())
    t("identity", lambda: TA(f32, 1).write(0, 1.0).identity().stack())
    t("nosize", lambda: TA(f32).size())
    t("not bool dyn", lambda: TA(f32, 1, dynamic_size=1).size())
    t(
        "infer_shape false + element shape",
        lambda: str(TA(f32, 1, infer_shape=False, element_shape=[2]).element_shape),
    )
    t("elshape", lambda: str(TA(f32, 1).write(0, [1.0, 2.0]).element_shape))
    t(
        "elshape partial",
        lambda: str(TA(f32, 1, element_shape=[None, 2]).write(0, [[1.0, 2.0]]).element_shape),
    )
    t(
        "elshape noinfer",
        lambda: str(TA(f32, 1, infer_shape=False).write(0, [1.0, 2.0]).element_shape),
    )
    t(
        "elshape split",
        lambda: str(TA(f32, 2, infer_shape=True).split(c([1, 2, 3]), [1, 2]).element_shape),
    )
    t(
        "elshape split 2",
        lambda: str(TA(f32, 2, infer_shape=True).split(c([1, 2, 3, 4]), [2, 2]).element_shape),
    )
    t("size tensor", lambda: TA(f32, tf.constant(2)).size())
    t("clear str", lambda: TA(f32, 1, clear_after_read=1).size())
    t("len", lambda: len(TA(f32, 1)))
    t("getitem", lambda: TA(f32, 1)[0])
    t("write name", lambda: TA(f32, 1).write(index=0, value=3.0, name="x").read(0, name="y"))
    t("read vec idx", lambda: TA(f32, 1).write(0, 3.0).read([0]))
    t("read float idx", lambda: TA(f32, 1).write(0, 3.0).read(0.0))
    t("read i64 idx", lambda: TA(f32, 1).write(0, 3.0).read(tf.constant(0, tf.int64)))
    t("write str", lambda: TA(tf.string, 2).write(0, "a").write(1, "b").stack())
    t("str unwritten", lambda: TA(tf.string, 2, element_shape=[]).write(1, "b").stack())
    t(
        "old handle write",
        lambda: (lambda ta: (ta.write(0, 1.0), ta.stack())[1])(TA(f32, 1, element_shape=[])),
    )
    return found.texts


if __name__ == "__main__":
    import tensorflow

    FILE.write_text(json.dumps(answers(tensorflow), indent=1) + "\n")
