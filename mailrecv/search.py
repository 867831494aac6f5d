"""Tells whether octets hold a pattern, for those who look at every octet of large mail.

Python's `re` is there in every session. PCRE2 makes machine code of a pattern, which is several times as fast. But to
import it takes as long as `re` takes for some megabytes, and a hardened service may not have memory that is written and
executed (systemd.exec(5), MemoryDenyWriteExecute=). So `re` begins, and goes on where PCRE2 cannot take over.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RE_OCTETS = 2_000_000  # that `re` looks at before PCRE2 is asked: large mail may be larger still


class Search:
    """A search for a pattern that both `re` and PCRE2 read alike, and that neither has to go back for.

    pattern: of octets. It may be shared by any number of users and threads.
    """

    def __init__(self, pattern: bytes) -> None:
        self._pattern = pattern
        self._by_re = re.compile(pattern).search
        self._search: Callable[[bytes], object] = self._by_re
        self._left = RE_OCTETS

    def __call__(self, octets: bytes) -> bool:
        """Say whether the pattern is found anywhere."""
        if self._left > 0:
            self._left -= len(octets)
            if self._left <= 0:
                self._search = self._in_machine_code() or self._by_re
        return self._search(octets) is not None

    def _in_machine_code(self) -> Callable[[bytes], object] | None:
        try:
            import pcre2

            search: Callable[[bytes], object] = pcre2.compile(self._pattern, jit=True).search
            search(b"")
        except Exception:  # noqa: BLE001 - what PCRE2 may be denied is told in many ways, and there is another way
            return None
        return search
