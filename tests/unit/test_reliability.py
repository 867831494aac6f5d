"""What puts the figures of `make reliability` into docs/reliability.md."""

from __future__ import annotations

import re

import pytest

from docs import reliability
from docs.figures import with_sections
from tests.support import circumstances


def records(**changes: object) -> dict[str, reliability.Record]:
    """Return what the runs may have left, with changes to that of the faults."""
    known = {"good": True, "outcome": "3 passed", "told": ["told"], "totals": {"kills": "7"}, "seconds": 61}
    record = {**circumstances.of_now(), **known}
    changed: dict[str, dict[str, object]] = {"attacks": {"told": []}, "faults": changes}  # attacks are only counted
    return {name: {**record, **changed.get(name, {})} for name in reliability.RUNS}


def test_the_document_has_a_place_for_all_figures() -> None:
    """Each section of the document is one of those that are written, and the other way round."""
    text = reliability.DOCUMENT.read_text(encoding="utf-8")
    written = reliability.sections(records())
    assert set(re.findall(r"<!-- figures: (\w+) -->", text)) == set(written)
    assert "| kills | 7 | `make faults` |" in with_sections(text, written)


def test_a_failed_run_is_not_documented() -> None:
    """Without all the figures, or with a failure among them, there is nothing to write."""
    with pytest.raises(ValueError, match="`make faults` has failed: 1 failed"):
        reliability.sections(records(good=False, outcome="1 failed"))
    with pytest.raises(ValueError, match="no figures of `make fuzz`"):
        reliability.sections({name: record for name, record in records().items() if name != "fuzz"})
