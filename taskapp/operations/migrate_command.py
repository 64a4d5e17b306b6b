"""`flask db`: Flask-Migrate's commands, with help that needs no application."""

import click
from flask_migrate.cli import db as commands


class HelpFirst(click.Group):
    """A group whose commands read their own options, `--help` among them, before the group loads the application."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and let it end here for `--help` or options that it does not have."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            command.make_context(name, list(rest), parent=ctx).close()
        return name, command, rest


db = HelpFirst(name="db", params=commands.params, callback=commands.callback, help=commands.help, commands=commands.commands)
