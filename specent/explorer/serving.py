"""The explorer on this machine, for this machine only, and in a notebook."""

from __future__ import annotations

import os
import socket
import webbrowser
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import dask
import panel as pn
import xarray as xr
from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError

from specent import arguments
from specent.axes import AXES
from specent.errors import SpecentError
from specent.explorer.app import Explorer
from specent.explorer.computing import Computing
from specent.explorer.layout import TEMPLATE, custom_properties
from specent.explorer.source import Explored, open_source
from specent.explorer.state import THEMES, State

ADDRESS = "127.0.0.1"
"""The only address on which anything is served: other machines cannot reach it."""

PAUSE = 3.0
"""Seconds between two looks at a run that is still going."""

_SECTIONS = {
    "profile": "Entropy, rate and window of the partition",
    "moment": "At the noise level",
    "pairs": "Pairs of classes",
    "keep": "Take it away",
}


def explore(dataset: xr.Dataset | str | os.PathLike[str], **state: Any) -> Any:
    """Explore a dataset in a notebook: choose partitions and see what follows from them.

    Parameters
    ----------
    dataset : Dataset or path
        Kind ``trajectories``, ``statistics`` or ``profiles``; an archive, or a run folder.
    **state
        What is shown at first: ``partition``, ``axis``, ``level`` (a log-SNR), ``guidance``, ``estimator``, ``run``,
        ``class_label``, ``sample``, ``theme``.

    Returns
    -------
    panel.Column
        Displayed where it is the last line of a cell.

    Raises
    ------
    SpecentError
        If the dataset cannot be explored, or a field of the state is unknown.

    Examples
    --------
    >>> import specent as sp
    >>> type(sp.explore(sp.archive.example(), partition="cat | dog")).__name__
    'Column'
    """
    fields = list(State.__dataclass_fields__)
    unknown = [name for name in state if name not in fields]
    if unknown:
        raise SpecentError(f"{unknown[0]}={state[unknown[0]]!r} is no part of a view; choose from {', '.join(fields)}")
    source = open_source(dataset)
    first = _first_state(source, state)
    # a notebook that is read without a network shows it, too
    pn.extension(inline=True)
    explorer = Explorer(Computing(source), first, _later())
    parts = explorer.parts()
    explorer.start(at_once=True)
    rows = [pn.FlexBox(*part, sizing_mode="stretch_width", margin=0) for part in parts.values()]
    column = pn.Column(*rows, sizing_mode="stretch_width")

    def colour(dark: bool) -> None:
        properties = custom_properties("dark" if dark else "light")
        column.styles = {**properties, "background": "var(--ground)", "color": "var(--ink)"}

    explorer.colours.param.watch(lambda event: colour(bool(event.new)), "dark")
    colour(explorer.dark)
    return column


def _first_state(source: Explored, fields: dict[str, Any]) -> State:
    """The state that a caller chose: what an address may leave out or get wrong is refused here."""
    values = dict(fields)
    choices = {"guidance": source.names("guidance"), "run": source.names("run"), "estimator": source.estimators}
    for name in choices.keys() & values.keys():
        given = (values[name],) if isinstance(values[name], str) else arguments.names(values[name], name)
        values[name] = tuple(arguments.choice(one, name, choices[name]) for one in given)
    one_of: dict[str, Sequence[str]] = {"axis": AXES, "theme": ("", *THEMES), "class_label": ["", *source.labels]}
    for name in one_of.keys() & values.keys():
        arguments.choice(values[name], name, one_of[name])
    if values.get("level") is not None:
        values["level"] = arguments.number(values["level"], "level")
    if "sample" in values:
        values["sample"] = arguments.whole(values["sample"], "sample")
    arguments.flag(values.get("pinned", False), "pinned")
    source.partition(arguments.instance(values.get("partition", ""), str, "partition", "give text, as 'cat | dog'"))
    return State(**values)


def serve(
    path: str | os.PathLike[str],
    *,
    port: int = 0,
    show: bool = False,
    started: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve an explorer to browsers on this machine, until it is interrupted.

    Parameters
    ----------
    path : path
        The archive or run folder.
    port : int
        Port of the address; 0 for one that is free.
    show : bool
        Whether to open a browser.
    started : callable
        Called with the address once the page can be opened.

    Raises
    ------
    SpecentError
        If nothing can be explored there, or the port is taken.
    """
    server, address = explorer_server(open_source(path), port)
    loop: Any = IOLoop.current()
    loop.asyncio_loop.set_exception_handler(_without_closed_pages)
    # unless it is told how to work, Dask imports all that it needs for a cluster, to ask whether there is one
    working = dask.config.set(scheduler=dask.config.get("scheduler", "threads"))
    try:
        server.start()
        started(address)
        if show:
            webbrowser.open(address)
        with working:
            loop.start()
    except KeyboardInterrupt:
        # the usual way to end a server
        pass
    finally:
        server.stop()


def _without_closed_pages(loop: Any, context: dict[str, Any]) -> None:
    """Report what went wrong in the server, but not that a page was closed while it was written to."""
    if not isinstance(context.get("exception"), (WebSocketClosedError, StreamClosedError)):
        loop.default_exception_handler(context)


def explorer_server(source: Explored, port: int = 0) -> tuple[Any, str]:
    """A server of an explorer that is not started yet, and its address.

    Raises
    ------
    SpecentError
        If the port is taken, or none of this machine.
    """
    port = arguments.whole(port, "port", least=0, most=65535)
    port = _free(port)
    computing = Computing(source)
    origins = [f"{ADDRESS}:{port}", f"localhost:{port}"]
    server = pn.io.server.get_server(
        {"/": lambda: _session(computing)}, port=port, address=ADDRESS, websocket_origin=origins, show=False,
        start=False, title="specent explorer", session_token_expiration=3600,
        # Bokeh forgets a page whose ping fails while messages of it wait, and fails on those
        keep_alive_milliseconds=0,
    )  # fmt: skip
    return server, f"http://{ADDRESS}:{port}/"


def _free(port: int) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((ADDRESS, port))
        except OSError as error:
            raise SpecentError(
                f"port={port} cannot be used ({error.strerror}); choose another, or 0 for one that is free"
            ) from error
        return int(trial.getsockname()[1])


def _session(computing: Computing) -> Any:
    """The page of one reader."""
    location = pn.state.location
    explorer = Explorer(
        computing,
        State.of_query(location.search if location is not None else ""),
        _later(),
        lambda state: _write(location, state),
    )
    parts = explorer.parts()
    template = pn.Template(TEMPLATE, location=True)
    # each is laid out by itself: the browser need not measure all figures again when one is drawn
    roots = {name: [f"{name}_{i}" for i in range(len(part))] for name, part in parts.items()}
    for name, part in parts.items():
        for root, one in zip(roots[name], part, strict=True):
            template.add_panel(root, one)
    template.add_variable("heading", explorer.source.title)
    template.add_variable("sections", {text: roots[name] for name, text in _SECTIONS.items() if name in roots})
    pn.state.on_session_destroyed(lambda _: explorer.close())
    # the numbers are worked out while the browser loads the page
    explorer.start()
    if explorer.source.grows:
        pn.state.add_periodic_callback(partial(_later(), explorer.follow), period=int(1000 * PAUSE))
    return template


def _write(location: Any, state: State) -> None:
    if location is not None:
        location.search = state.to_query()


def _later() -> Callable[[Callable[[], None]], None]:
    """What calls a function in the thread of the page that is being made."""
    document = pn.state.curdoc

    def later(function: Callable[[], None]) -> None:
        if document is None or document.session_context is None:
            function()
        elif not document.session_context.destroyed:
            document.add_next_tick_callback(partial(_in_one_message, document, function))

    return later


def _in_one_message(document: Any, function: Callable[[], None]) -> None:
    """Call a function, and send to the page what it changed when it has ended.

    Panel would write every change to the socket by a task of its own, and two such tasks that meet leave the last
    change unwritten until there is another.
    """
    document.hold("combine")
    try:
        function()
    finally:
        document.unhold()
