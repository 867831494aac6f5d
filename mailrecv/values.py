"""Values: small records that never change, as frozen dataclasses with slots are, but made without `dataclasses`.

Every session is a process of its own. Importing `dataclasses`, which brings `inspect` along and compiles the methods of
each class anew, would take such a process longer than all that it does for its client.

    class Reply(Value):
        code: int
        text: str = "OK"

    Reply(250), Reply(250, "OK"), Reply(code=250) == Reply(250, "OK"), Reply(250).replace(code=220)
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take a constant of this name for true; `typing` would have to be imported for it
if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda decorated: decorated


@dataclass_transform(frozen_default=True)
class Value:
    """A record: its class names the fields, in order, with their defaults. Equal if class and fields are equal."""

    __match_args__: tuple[str, ...] = ()  # the names of the fields

    def __init_subclass__(cls) -> None:
        # Not by inspect, which is as slow as dataclasses; annotations that are text are in the class's own dictionary.
        fields = tuple(cls.__dict__.get("__annotations__", ()))  # noqa: RUF063
        cls.__match_args__ = fields  # type: ignore[misc]  # mypy thinks that it never changes

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self.__match_args__
        if named or len(values) != len(fields):
            values = self._completed(values, named)
        self.__dict__.update(zip(fields, values))  # noqa: B905 - strict= would make it the slower by a third

    def _completed(self, values: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """Return the values of all fields. Raises TypeError when one has none, or a value has no field."""
        fields = self.__match_args__
        for field in fields[len(values) :]:
            try:
                values += (named.pop(field) if field in named else getattr(type(self), field),)
            except AttributeError:
                raise TypeError(f"{type(self).__name__} needs {field}") from None
        if named or len(values) > len(fields):
            raise TypeError(f"{type(self).__name__}{fields} has no place for {named or values[len(fields) :]}")
        return values

    def values(self) -> tuple[Any, ...]:
        """Return the values of the fields, in their order."""
        return tuple(getattr(self, field) for field in self.__match_args__)

    def replace(self, **changes: Any) -> Self:
        """Return the same record with some fields changed."""
        return type(self)(**{**dict(zip(self.__match_args__, self.values(), strict=True)), **changes})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is a value, and does not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is a value, and does not change")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.values() == other.values()

    def __hash__(self) -> int:
        return hash((type(self), *self.values()))

    def __repr__(self) -> str:
        named = (f"{field}={getattr(self, field)!r}" for field in self.__match_args__)
        return f"{type(self).__name__}({', '.join(named)})"
