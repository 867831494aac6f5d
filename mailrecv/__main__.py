"""`python -m mailrecv`, and the `mailrecv` command."""

import sys

from mailrecv.cli import run


def main() -> None:
    """Run the program with the arguments of the command line, and exit."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
