"""Values behave as frozen dataclasses do."""

from __future__ import annotations

import pytest

from mailrecv.values import Value


class Point(Value):
    """A value with a default."""

    x: int
    y: int = 0


class Other(Value):
    """Another one with the same fields."""

    x: int
    y: int = 0


@pytest.mark.parametrize("point", [Point(1, 0), Point(1), Point(x=1), Point(1, y=0), Point(y=0, x=1)])
def test_fields_come_by_position_by_name_or_by_default(point: Point) -> None:
    """However a field was given, it has its value."""
    assert (point.x, point.y) == (1, 0)
    assert point.values() == (1, 0)
    assert repr(point) == "Point(x=1, y=0)"


@pytest.mark.parametrize(
    "values, named", [((), {}), ((), {"y": 1}), ((1, 2, 3), {}), ((1,), {"x": 1}), ((1,), {"z": 1})]
)
def test_wrong_fields_are_refused(values: tuple[int, ...], named: dict[str, int]) -> None:
    """A field that is missing, given twice or unknown is an error."""
    with pytest.raises(TypeError, match="Point"):
        Point(*values, **named)


def test_equality_is_of_class_and_fields() -> None:
    """Two values are the same if nothing tells them apart."""
    assert Point(1, 2) == Point(1, 2)
    assert hash(Point(1, 2)) == hash(Point(1, 2))
    assert Point(1, 2) != Point(1, 3)
    assert Point(1, 2) != Other(1, 2)
    assert Point(1, 2) != (1, 2)


def test_values_do_not_change() -> None:
    """No field can be set or deleted, and no attribute added."""
    point = Point(1)
    for name in ("x", "z"):
        with pytest.raises(AttributeError, match="does not change"):
            setattr(point, name, 2)
    with pytest.raises(AttributeError, match="does not change"):
        del point.x
    assert point.replace(x=3) == Point(3)
    assert point == Point(1)


def test_values_match() -> None:
    """A pattern takes the fields in their order."""
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
