"""Who may send, and to whom: questions answered from the configuration alone.

Nothing here knows the protocol, reads a clock or writes a log: a decision says what was decided, by which line of the
configuration and after which tests, and whoever asked reports it.
"""
