"""The log: what is recorded, and how it is shown where it goes.

`catalogue` says what can be recorded; `log.open_journal` makes the `Journal` that records it. Nothing here knows what
the events mean to anybody.
"""
