"""Public names are given once; lazy modules wait for their first use."""

import sys

import pytest

from headrace.base import export
from headrace.base.lazy import lazy_module


@pytest.fixture
def table(monkeypatch):
    names: dict[str, object] = {}
    monkeypatch.setattr(export, "EXPORTS", names)
    return names


def test_export_returns_the_object(table):
    def tanh():
        """Not the real one."""

    assert export.export("math.tanh", "tanh")(tanh) is tanh
    assert table == {"math.tanh": tanh, "tanh": tanh}
    assert export.export_value("newaxis", None) is None
    assert list(table) == ["math.tanh", "tanh", "newaxis"]


def test_one_object_may_have_its_name_twice(table):
    export.export_value("pi", 3)
    export.export_value("pi", 3)


def test_two_objects_may_not(table):
    export.export_value("pi", 3)
    with pytest.raises(ValueError, match="'tf.pi' is given to two objects: 3 and 4"):
        export.export_value("pi", 4)
    assert table == {"pi": 3}


def test_all_names_are_names():
    assert [
        name
        for name in export.EXPORTS
        if not all(part.isidentifier() for part in name.split(".")) or name.startswith("tf.")
    ] == []


def test_a_lazy_module_is_imported_at_its_first_use(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    colors = lazy_module("colorsys")
    assert repr(colors) == "<lazy module 'colorsys'>"
    assert not hasattr(colors, "__wrapped__")
    assert "colorsys" not in sys.modules
    assert colors.rgb_to_hsv(0, 0, 0) == (0, 0, 0)
    assert colors.rgb_to_hsv is sys.modules["colorsys"].rgb_to_hsv
    assert "hsv_to_rgb" in dir(colors)


def test_a_lazy_module_inside_a_package():
    path = lazy_module("xml.etree.ElementTree")
    assert path.fromstring("<a b='1'/>").get("b") == "1"


def test_what_a_lazy_module_lacks():
    with pytest.raises(AttributeError, match="'colorsys' has no attribute 'nothing'"):
        _ = lazy_module("colorsys").nothing
    missing = lazy_module("no_such_module_anywhere")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        _ = missing.anything
