"""mailrecv: a receive-only SMTP server that hands mail to files, Maildirs and commands.

This module holds nothing but the version: it is imported before the program knows whether its standard output is the
client, so it must not import, print or fail.
"""

__version__ = "0.1.0"
