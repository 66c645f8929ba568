"""The command line: parse, call, print. stdout is data, stderr is progress."""

import sys

import typer
from click.exceptions import ClickException
from rich.console import Console

from edgesmith.cli.catalog import methods, reproduce, targets
from edgesmith.cli.check import doctor, verify
from edgesmith.cli.make import compile_, demo, fit, report
from edgesmith.cli.use import profile, run
from edgesmith.cli.zoo import zoo
from edgesmith.core.errors import EdgesmithError

EXIT_CODES = """\
Exit codes: 0 done; 2 wrong usage; 3 bad input; 4 unsupported; 5 nothing fits; 6 verification failed;
7 something is missing (the message says how to get it); 8 the folder is in use; 130 interrupted.
"""

app = typer.Typer(
    name="edgesmith",
    help="Fit a trained model to a small device, and prove that it runs there.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (fit, profile, run, verify, report, doctor, reproduce, targets, methods, demo):
    app.command()(command)
app.command("compile")(compile_)
app.add_typer(zoo, name="zoo")


def main() -> None:
    """Entry point: errors become one message on stderr and an exit code."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        result = app(standalone_mode=False)
    except EdgesmithError as error:
        console.print(f"{type(error).__name__}: {error}", markup=False, style="red")
        sys.exit(error.exit_code)
    except ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        console.print("interrupted; run the same command again to go on", markup=False)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    sys.exit(result if isinstance(result, int) else 0)
