"""Hand over environments with secrets: printed for a shell, or written to a file with mode 600."""

import os
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

import click

from taskapp.operations.database.provision import Environment


def write_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command write what it would print."""
    command = click.option("--force", is_flag=True, help="Let --write replace a file that exists.")(command)
    return click.option(
        "--write",
        "file",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write the environment to a new file that you alone may read, and print nothing.",
    )(command)


@contextmanager
def handing_over(file: Path | None, *, force: bool) -> Iterator[Callable[[Environment], object]]:
    """Yield what hands an environment over, having made sure first that it can.

    :raises click.ClickException: when the file exists or cannot be written; nothing has been done yet.
    """
    if file is None:
        yield lambda environment: click.echo(as_shell(environment), nl=False)
        return
    if file.exists() and not force:
        raise click.ClickException(f"{file} exists: name another file, or give --force to replace it")
    with ExitStack() as stack:
        try:
            text = stack.enter_context(private_file(file))
        except OSError as error:
            raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
        yield lambda environment: text.write(as_shell(environment))
    click.echo(f"{file}: the environment, for you alone to read", err=True)


def as_shell(environment: Environment) -> str:
    """Write variables as a shell reads them."""
    quoted = {name: value.replace("'", "'\\''") for name, value in environment.items()}
    return "".join(f"{name}='{value}'\n" for name, value in quoted.items())


def for_terminal(environment: Environment, folders: Iterable[Path]) -> str:
    """Write what a terminal takes along by `. FILE`: variables for programs, and folders of programs in front of PATH."""
    path = "".join(f"{shlex.quote(str(folder))}:" for folder in folders)
    lines = (
        f'PATH={path}"$PATH"',
        # The psql that pip installs looks for terminals where Debian has none, and would not wrap a long line.
        'TERMINFO_DIRS="${TERMINFO_DIRS:-/etc/terminfo:/lib/terminfo:/usr/share/terminfo}"',
        f"export {' '.join(environment)} PATH TERMINFO_DIRS",
    )
    return as_shell(environment) + "".join(f"{line}\n" for line in lines)


@contextmanager
def private_file(path: Path) -> Iterator[TextIO]:
    """Write a file that its owner alone may read. It appears, or replaces the one before, when all of it is written."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with open(handle, "w") as file:
            yield file
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
