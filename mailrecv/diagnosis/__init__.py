"""What a person is told about a configuration: how it decides, and what in it is surely not meant.

`walk` goes through a session with the server's own code, and `told` and `record` say what it met. `review` collects
warnings from all the modules that have an `advise`, each of which owns a kind. Nothing here serves a client or changes
anything, and a warning is given only for what was tried or can be told for certain.
"""
