"""The resident server: one service for all connections, instead of a process for each.

`supervisor.Supervisor` starts workers and replaces them; a `worker.Worker` serves its clients with the same
`server.session.Session` that serves a single connection.
"""
