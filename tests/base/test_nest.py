"""Properties of `nest`, and what has no public name: composites, paths, shallow structures."""

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base import nest

Pair = collections.namedtuple("Pair", "x y")

leaves = st.one_of(st.integers(), st.none(), st.text(max_size=2), st.binary(max_size=2))
structures = st.recursive(
    leaves,
    lambda parts: st.one_of(
        st.lists(parts, max_size=3),
        st.lists(parts, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=2), parts, max_size=3),
        st.dictionaries(st.integers(), parts, max_size=3).map(collections.OrderedDict),
        st.builds(Pair, parts, parts),
    ),
    max_leaves=12,
)


@given(structures)
def test_packing_undoes_flattening(structure):
    flat = nest.flatten(structure)
    packed = nest.pack_sequence_as(structure, flat)
    assert packed == structure
    assert type(packed) is type(structure)


@given(structures)
def test_leaves_are_no_structures(structure):
    assert not any(map(nest.is_nested, nest.flatten(structure)))


@given(structures)
def test_mapping_meets_the_leaves_in_order(structure):
    seen = []
    mapped = nest.map_structure(lambda x: seen.append(x) or x, structure)
    assert mapped == structure
    assert seen == nest.flatten(structure)


@given(structures)
def test_a_structure_is_like_itself_with_other_leaves(structure):
    nest.assert_same_structure(structure, nest.map_structure(repr, structure))


@given(structures, structures)
def test_alike_is_symmetric(one, other):
    def alike(a, b):
        try:
            nest.assert_same_structure(a, b)
        except (TypeError, ValueError):
            return False
        return True

    assert alike(one, other) == alike(other, one)


@given(structures)
def test_paths_lead_to_the_leaves(structure):
    assert [leaf for _, leaf in nest.flatten_with_paths(structure)] == nest.flatten(structure)
    for path, leaf in nest.flatten_with_paths(structure):
        part = structure
        for key in path:
            part = getattr(part, key) if isinstance(part, Pair) else part[key]
        assert part is leaf


def test_flattening_does_not_hand_out_the_list_itself():
    structure = [1, 2]
    assert nest.flatten(structure) is not structure


def test_results_do_not_share_what_they_are_like():
    structure = {"a": [1]}
    assert nest.map_structure(lambda x: x, structure)["a"] is not structure["a"]


def test_deep_structures():
    structure = leaf = []
    for _ in range(200):
        leaf.append([])
        leaf = leaf[0]
    leaf.append(7)
    assert nest.flatten(structure) == [7]
    assert nest.map_structure(lambda x: x, structure) == structure


def test_flatten_with_paths():
    structure = {"b": Pair(3, (4,)), "a": [1, 2]}
    assert nest.flatten_with_paths(structure) == [
        (("a", 0), 1),
        (("a", 1), 2),
        (("b", "x"), 3),
        (("b", "y", 0), 4),
    ]
    assert nest.flatten_with_paths(7) == [((), 7)]


UP_TO = [
    ([1, 2], [[3], 4], [[3], 4]),
    (1, [3], [[3]]),
    (None, [1], [[1]]),
    (Pair(1, 2), Pair([1], 2), [[1], 2]),
    ({"a": 1}, collections.OrderedDict(a=[1]), [[1]]),
    ([], [], []),
]


@pytest.mark.parametrize(("shallow", "deep", "flat"), UP_TO)
def test_flatten_up_to(shallow, deep, flat):
    assert nest.flatten_up_to(shallow, deep) == flat


REFUSED_UP_TO = [
    (
        [1, 2],
        [[3], 4, 5],
        ValueError,
        "The two structures don't have the same sequence length. Input structure has length 3, "
        "while shallow structure has length 2.",
    ),
    (
        [1, 2],
        (3, 4),
        TypeError,
        "The two structures don't have the same sequence type. Input structure has type <class "
        "'tuple'>, while shallow structure has type <class 'list'>.",
    ),
    (
        {"a": 1},
        {"b": 2},
        ValueError,
        "The shallow_tree's keys are not a subset of the input_tree's keys. The shallow_tree "
        "has the following keys that are not in the input_tree: ['a'].",
    ),
    (
        {"a": 1},
        {"a": 2, "b": 3},
        ValueError,
        "The two structures don't have the same sequence length. Input structure has length 2, "
        "while shallow structure has length 1.",
    ),
    (
        [1, [2]],
        [3, 4],
        TypeError,
        "If shallow structure is a sequence, input must also be a sequence. Input has type: "
        "<class 'int'>.",
    ),
]


@pytest.mark.parametrize(("shallow", "deep", "kind", "text"), REFUSED_UP_TO)
def test_flatten_up_to_refuses(shallow, deep, kind, text):
    with pytest.raises(kind) as caught:
        nest.flatten_up_to(shallow, deep)
    assert str(caught.value) == text


def test_flatten_up_to_of_other_types():
    assert nest.flatten_up_to([1, 2], (3, [4]), check_types=False) == [3, [4]]


def test_map_structure_up_to():
    pair = nest.map_structure_up_to([1, 2], lambda x, y: (x, y), [[3], 4], [5, [6]])
    assert pair == [([3], 5), (4, [6])]
    assert nest.map_structure_up_to(1, lambda x: x, [1]) == [1]
    with pytest.raises(ValueError, match="Cannot map over no sequences"):
        nest.map_structure_up_to([1], len)


class RowsSpec:
    """The spec of a composite of a list of rows and a number."""

    def __init__(self, width):
        self.width = width

    _component_specs = ("rows", ["width"])

    def _to_components(self, value):
        return value.rows, [value.width]

    def _from_components(self, components):
        rows, (width,) = components
        return Rows(rows, width)

    def most_specific_common_supertype(self, others):
        return self if all(other.width == self.width for other in others) else None

    def __repr__(self):
        return f"RowsSpec({self.width})"


class Rows:
    """A composite: two parts that a leaf hides unless composites are expanded."""

    def __init__(self, rows, width):
        self.rows, self.width = rows, width

    @property
    def _type_spec(self):
        return RowsSpec(self.width)

    def __repr__(self):
        return f"Rows({self.rows}, {self.width})"


def test_composites_are_leaves_unless_expanded():
    rows = Rows("abc", 3)
    assert not nest.is_nested(rows)
    assert nest.flatten([rows]) == [rows]
    assert nest.flatten([rows, 1], expand_composites=True) == ["abc", 3, 1]
    assert nest.flatten(rows._type_spec, expand_composites=True) == ["rows", "width"]


def test_composites_are_packed():
    rows = Rows("abc", 3)
    packed, last = nest.pack_sequence_as([rows, 1], ["de", 2, 7], expand_composites=True)
    assert (packed.rows, packed.width, last) == ("de", 2, 7)
    assert nest.pack_sequence_as(rows, [1]) == 1
    of_spec = nest.pack_sequence_as(rows._type_spec, ["de", 2], expand_composites=True)
    assert isinstance(of_spec, Rows)


def test_composites_are_mapped():
    doubled = nest.map_structure(lambda x: x * 2, Rows("ab", 2), expand_composites=True)
    assert (doubled.rows, doubled.width) == ("abab", 4)
    both = nest.map_structure(
        lambda x, y: x + y, Rows("ab", 2), Rows("cd", 2), expand_composites=True
    )
    assert (both.rows, both.width) == ("abcd", 4)


def test_composites_are_compared():
    rows = Rows("ab", 2)
    nest.assert_same_structure([rows], [Rows("cd", 2)], expand_composites=True)
    nest.assert_same_structure(rows, RowsSpec(2), expand_composites=True)
    nest.assert_same_structure(rows, 1)
    with pytest.raises(ValueError, match=r"type=Rows str=Rows\(ab, 2\)\" is a sequence"):
        nest.assert_same_structure(rows, 1, expand_composites=True)
    with pytest.raises(ValueError) as caught:
        nest.assert_same_structure([rows], [Rows("c", 1)], expand_composites=True)
    assert str(caught.value) == (
        "The two structures don't have the same nested structure.\n\n"
        "First structure: type=list str=[Rows(ab, 2)]\n\n"
        "Second structure: type=list str=[Rows(c, 1)]\n\n"
        "More specifically: Incompatible CompositeTensor TypeSpecs: type=RowsSpec "
        "str=RowsSpec(2) vs. type=RowsSpec str=RowsSpec(1)\n"
        "Entire first structure:\n[.]\nEntire second structure:\n[.]"
    )
