"""`flask config`: what this process would run with, and what there is to set.

A plugin of flask's (setup.cfg) and not of the application, which does not start with a wrong value.
"""

import json

import click
from flask.cli import AppGroup

from taskapp.config.render_docs import page
from taskapp.config.setting import ConfigError, Setting
from taskapp.config.settings import Config, settings, strangers


@click.command(short_help="Show the settings in effect, without secrets.")
@click.option("--json", "as_json", is_flag=True, help="One object, for programs.")
def show(as_json: bool) -> None:
    """Show each setting, and whether it comes from the environment, from a file, or is the default.

    Secrets are masked, passwords within URLs too. Ends with status 1 when the application would not start, and says why.
    """
    rows = [(found.variable, _shown(found), found.source()) for found in settings()]
    if as_json:
        shown = {variable: {"value": value, "source": source} for variable, value, source in rows}
        click.echo(json.dumps(shown, indent=2))
    else:
        width = max(len(variable) for variable, _, _ in rows)
        for variable, value, source in rows:
            click.echo(f"{variable:{width}}  {source:11}  {value}")
    for name in strangers():
        click.echo(f"{name} is no setting", err=True)
    try:
        Config.from_environment()
    except ConfigError as error:
        raise click.ClickException(f"taskapp would not start: {error}") from error


@click.command(short_help="Write the page about all settings.")
def describe() -> None:
    """Write docs/configuration.md to standard output."""
    click.echo(page(), nl=False)


def _shown(setting: Setting) -> str:
    try:
        return setting.shown(setting.read())
    except ConfigError:
        return "?"


config = AppGroup("config", help="Show the settings in effect, and describe all there are.")
for command in (show, describe):
    config.add_command(command)
