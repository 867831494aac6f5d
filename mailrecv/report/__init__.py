"""What the log tells afterwards: counts over a time, and the way of a single message.

`from_journal` and `from_file` read events, `counts` and `trace` make sense of them, and the other modules show that:
`text` in a terminal, `page` in a browser, `data` to a script and `prometheus` to a monitor. Nothing here is part of a
session, and nothing here writes to a log.
"""
