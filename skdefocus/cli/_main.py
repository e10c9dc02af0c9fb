"""The command line. A command needs a function that adds its parser, and one that runs it.

Heavy modules are imported where they are used, so that help and errors of usage come at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from skdefocus.cli._app import add_app
from skdefocus.cli._arguments import UsageError, complain
from skdefocus.cli._depth import add_depth
from skdefocus.cli._effects import add_effects
from skdefocus.cli._fuse import add_fuse
from skdefocus.cli._info import add_info
from skdefocus.cli._map import add_demo, add_map
from skdefocus.cli._process import (
    TerminatedError,
    forget_output,
    orderly_end,
    prepare_streams,
    quiet_decoders,
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str or None, default=None
        Arguments without the program's name; None takes those of the process.

    Returns
    -------
    int
        0 if all went well, 1 if a photograph failed, 2 for wrong usage, 130 after Ctrl-C, 143 after
        a SIGTERM.
    """
    prepare_streams()
    try:
        with orderly_end(), quiet_decoders():
            try:
                args = _parser().parse_args(argv)
                code = int(args.run(args))
            except SystemExit as stop:  # --help and --version
                code = int(stop.code or 0)
            sys.stdout.flush()
            return code
    except TerminatedError:
        complain("terminated; all files written so far are complete")
        return 143
    except UsageError as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:
        complain("interrupted; all files written so far are complete")
        return 130
    except BrokenPipeError:  # the reader has gone, as in `skdefocus info | head -1`
        forget_output()
        return 1
    except (MemoryError, OSError) as error:  # such as a standard output on a full disk
        from skdefocus.cli._batch import describe_error

        complain(describe_error(error))
        forget_output()
        return 1


def _parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    from skdefocus._version import __version__

    parser = _Parser(
        prog="skdefocus",
        description="Measure how blurred each pixel of a photograph is, and use it: maps of the "
        "blur, focus stacking, a shallower depth of field, sharpening. Try `skdefocus demo` first.",
        epilog="`skdefocus COMMAND --help` lists the options of a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"skdefocus {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (add_demo, add_map, add_depth, add_fuse, add_effects, add_app, add_info):
        add(commands)
    return parser
