"""The command line of a study that is a module: errors are one line with the remedy, as those of `jaxloc`."""

import sys
from collections.abc import Callable

from jaxloc.runs.quiet import INTERRUPTED, error_line, libraries_quiet


def run_as_command(main: Callable[[], None]) -> None:
    """Run a study and end the program: exit code 0, 1 where it could not (the reason on stderr), 130 where stopped."""
    libraries_quiet()
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted; what was written before stays", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (ValueError, FloatingPointError, OSError) as error:
        print(error_line(error), file=sys.stderr)
        sys.exit(1)
