"""The configuration file: its language, its faults, and the checked result.

`reader.read_config` turns a file into a `model.Config` or raises `faults.ConfigError` with every fault in it.
"""
