"""The command line: parse, call the library, print. `otprior --help` lists the commands."""

import argparse
import sys
import warnings

from . import book, generation, inspection, sampling


def main(arguments: list[str] | None = None) -> int:
    """Run `otprior`; returns the exit status. A refused input prints its reason and returns 2; warnings come without source."""
    parser = argparse.ArgumentParser(prog="otprior", description="The prior gap of diffusion models.")
    commands = parser.add_subparsers(dest="command", required=True)
    for group in (inspection, generation, sampling, book):
        group.add(commands)
    options = parser.parse_args(arguments)
    say = lambda message, *_, **__: print(f"otprior {options.command}: {message}", file=sys.stderr)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = say
            options.run(options)
    except (ValueError, OSError, ModuleNotFoundError, RuntimeError) as error:
        say(error)
        return 2
    return 0
