"""From a complete message to a safe place for each recipient's copy, and from their fates to one honest reply.

`handover.hand_over` is the way in. Nothing here knows the protocol, the configuration or the log.
"""
