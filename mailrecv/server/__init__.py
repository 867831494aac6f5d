"""From a connection to an end of session: what the program was started with, the driver of a session, the loop.

This room alone knows all the others. `session.Session` is its heart.
"""
