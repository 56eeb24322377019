"""`plugins`: what is installed, and what it does."""

from __future__ import annotations

from ..plugins import list_plugins
from .options import JsonOption
from .screen import Cell, Screen, styled


def plugins(as_json: JsonOption = False) -> None:
    """List the installed plugins.

    Their hooks, and why one is not in use.

    \b
    bursar plugins
    """
    screen, found = Screen(), list_plugins()
    if as_json:
        screen.json({
            "plugins": [
                {"name": p.name, "version": p.version, "hooks": p.hooks, "inactive": p.inactive}
                for p in found
            ]
        })  # fmt: skip
        return
    if not found:
        screen.line("no plugin is installed; pip install 'bursar[openai,anthropic]' covers those SDKs")
        return
    rows: list[tuple[Cell, ...]] = [
        (
            styled(plugin.name, "bold"),
            plugin.version or "",
            ", ".join(hook.removeprefix("bursar_") for hook in plugin.hooks),
            styled(f"not in use: {plugin.inactive}", "red") if plugin.inactive else styled("in use", "green"),
        )
        for plugin in found
    ]
    screen.table(("plugin", "version", "hooks", ""), rows)
