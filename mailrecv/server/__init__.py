"""From a connection to an end of session: what the program was started with, and the driver of a session.

This room knows all the others. `session.Session` is its heart.
"""
