"""Names: the answers are TensorFlow's (`Graph.unique_name`, scopes, names of Keras layers)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base import names

UNIQUE = [
    (
        ["a", "a", "A", "a_1", "a", "b/c", "b/c", "b", "b"],
        ["a", "a_1", "A_2", "a_1_1", "a_3", "b/c", "b/c_1", "b", "b_1"],
    ),
    (["a_1", "a", "a", "a"], ["a_1", "a", "a_2", "a_3"]),
    (["a", "A_1", "a"], ["a", "A_1", "a_2"]),
    (["A", "a"], ["A", "a_1"]),
    (["", ""], ["", "_1"]),
    (["a/", "a/"], ["a/", "a/_1"]),
]


@pytest.mark.parametrize(("wishes", "given_names"), UNIQUE)
def test_unique_names(wishes, given_names):
    unique = names.UniqueNames()
    assert [unique.unique(wish) for wish in wishes] == given_names
    assert all(name in unique for name in given_names)


@given(st.lists(st.sampled_from(["a", "A", "a_1", "a_2", "A_1", "b"]), max_size=12))
def test_no_name_is_given_twice_in_any_case(wishes):
    unique = names.UniqueNames()
    given_names = [unique.unique(wish).lower() for wish in wishes]
    assert len(set(given_names)) == len(given_names)


def test_a_name_that_is_not_marked_stays_free():
    unique = names.UniqueNames()
    assert unique.unique("a", mark_as_used=False) == "a"
    assert "a" not in unique
    assert [unique.unique("a"), unique.unique("a", mark_as_used=False)] == ["a", "a_1"]
    assert unique.unique("a") == "a_1"


SNAKE = """
    Dense dense, Conv2D conv2d, MyDense2D my_dense2d, LSTMCell lstm_cell, ABC abc, a a,
    HTTPServer http_server, BatchNormalizationV1 batch_normalization_v1, My_Layer my__layer,
    X2 x2, A1B2 a1b2, GRU gru, Conv2DTranspose conv2d_transpose, MLPBlock mlp_block,
    PReLU p_re_lu, ReLU re_lu, _Private private__private, __X private__x, _ private_, 1A 1a,
    CamelCase_Mixed camel_case__mixed, Éa éa
"""


@pytest.mark.parametrize("pair", SNAKE.split(","))
def test_snake_case(pair):
    name, snake = pair.split()
    assert names.snake_case(name) == snake


@pytest.mark.parametrize("name", ["a", "A/b", "0", ".x", "a-b", "a>b", "a\\b", "a_"])
def test_good_names(name):
    assert names.check_node_name(name) == name
    assert names.check_scope_name(name) == name
    assert names.check_scope_name(name, inner=True) == name


@pytest.mark.parametrize("name", ["a b", "_a", "a:0", "é", "", "-a", ">a", "/a"])
def test_bad_names_of_nodes(name):
    text = (
        f"`{name}` is not a valid node name. Accepted names conform to Regex "
        r"/re.compile('^[A-Za-z0-9.][A-Za-z0-9_.\\\\/>-]*$')/"
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        names.check_node_name(name)


@pytest.mark.parametrize("name", ["a b", "_a", "-a", "é", ">a"])
def test_bad_names_of_outer_scopes(name):
    text = (
        f"'{name}' is not a valid root scope name. A root scope name has to match the "
        r"following pattern: ^[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*$"
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        names.check_scope_name(name)


def test_names_of_inner_scopes():
    for name in ("_b", "-a", "/b", ""):
        assert names.check_scope_name(name, inner=True) == name
    text = (
        "'b c' is not a valid scope name. A scope name has to match the following pattern: "
        r"^[A-Za-z0-9_.\\/>-]*$"
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        names.check_scope_name("b c", inner=True)
    with pytest.raises(ValueError, match="name for name_scope must be a string."):
        names.check_scope_name(3)
