"""The configuration file: its language, its faults, and the checked result.

`reader.read_config` turns a file into a `model.Config` or raises `faults.ConfigError` with every fault in it.
`compiler` and `compiled` keep what was read in a form that the next session has sooner.
"""

DEFAULT_PATH = "/etc/mailrecv.conf"
DEBUG_FLAGS = "acfFhlrsw+"
ALL_DEBUG = "a"  # the one of them that stands for all
