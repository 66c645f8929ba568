"""The command line: parse, call, print. stdout is data, stderr is progress."""

import sys
from typing import Annotated

import typer
from click.exceptions import ClickException

from edgesmith import __version__
from edgesmith.cli.catalog import methods, reproduce, targets
from edgesmith.cli.check import EXTRA_OF, doctor, verify
from edgesmith.cli.compression import compare, compress
from edgesmith.cli.export import export
from edgesmith.cli.make import compile_, demo, fit, report
from edgesmith.cli.output import say, stderr
from edgesmith.cli.serve import offload, serve
from edgesmith.cli.split import split
from edgesmith.cli.use import flash, profile, run
from edgesmith.cli.zoo import zoo
from edgesmith.core.errors import EdgesmithError, Missing

EXIT_CODES = """\
Exit codes: 0 done; 2 wrong usage; 3 bad input; 4 unsupported; 5 nothing fits; 6 verification failed;
7 something is missing (the message says how to get it); 8 the folder is in use; 130 interrupted.
"""

INTERRUPTED = 130

app = typer.Typer(
    name="edgesmith",
    help="Fit a trained model to a small device, and prove that it runs there.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    fit,
    profile,
    run,
    verify,
    report,
    doctor,
    demo,
    compile_,
    compress,
    compare,
    export,
    flash,
    split,
    serve,
    offload,
    targets,
    methods,
)
for command in (*COMMANDS, reproduce):
    app.command(command.__name__.rstrip("_"))(command)
app.add_typer(zoo, name="zoo")


def print_version(wanted: bool) -> None:
    """Print the version and end, if that is wanted."""
    if wanted:
        say(__version__)
        raise typer.Exit


@app.callback()
def edgesmith(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=print_version)] = False,
) -> None:
    """Fit a trained model to a small device, and prove that it runs there."""


def explained(error: ModuleNotFoundError) -> str:
    """Which optional package an import asked for, and the command that adds it; our own faults are raised again."""
    name = (error.name or "").split(".")[0]
    if name not in EXTRA_OF:
        raise error
    return f'this command needs {name}, which is not installed. Run: pip install "edgesmith[{EXTRA_OF[name]}]".'


def main() -> None:
    """Entry point: errors become one message on stderr and an exit code."""
    console = stderr()
    try:
        result = app(standalone_mode=False)
    except EdgesmithError as error:
        console.print(f"{type(error).__name__}: {error}", style="red")
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        console.print(f"Missing: {explained(error)}", style="red")
        sys.exit(Missing.exit_code)
    except ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except BrokenPipeError:
        sys.exit(0)
    if result == INTERRUPTED:  # typer, too, turns the keyboard's interrupt into this code
        console.print("interrupted; run the same command again to go on")
    sys.exit(result if isinstance(result, int) else 0)
