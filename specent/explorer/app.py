"""The application: a state, the numbers that follow from it, and the page that shows them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import panel as pn

from specent.errors import SpecentError
from specent.explorer.cards import Card, paragraph, text_pane
from specent.explorer.choices import Choices
from specent.explorer.components import PageColours
from specent.explorer.computing import Answer, Computing, Request, StoppedError
from specent.explorer.downloads import Downloads
from specent.explorer.sentences import half_level, progress_text, result_text
from specent.explorer.source import Explored
from specent.explorer.state import State
from specent.explorer.views import (
    MOMENT_VIEWS,
    PAIR_VIEWS,
    PROFILE_VIEWS,
    FigureView,
    Scene,
    level_at,
    nearest,
    trajectory_near,
)
from specent.explorer.work import Job, Worker
from specent.partitions import Partition

Later = Callable[[Callable[[], None]], None]
Stale = Callable[[], bool]

# seconds between two looks whether work is still needed, and after how many it goes on beside the drawing
_PAUSE, _PAUSES = 0.02, 250


class Explorer:
    """One reader's view of a source.

    Parameters
    ----------
    computing : Computing
        The numbers; several readers may share them.
    state : State
        What is shown at first.
    later : callable
        Calls a function soon, in the thread of the page.
    moved : callable
        Called with every new state, for the address.
    """

    def __init__(
        self,
        computing: Computing,
        state: State,
        later: Later,
        moved: Callable[[State], None] = lambda _: None,
    ) -> None:
        self.computing, self._later, self._moved = computing, later, moved
        self.quick, self.slow = Worker("preview"), Worker("all trajectories", patient=True)
        self.answer: Answer | None = None
        self.pairs: Answer | None = None
        self.runs: Any = None
        self._draws = 0
        self._gone = False
        self.dark = state.theme == "dark"
        self.colours = PageColours(theme=state.theme, dark=self.dark)
        self.status = text_pane(kind="status")
        self.result = text_pane(kind="status")
        self.choices = Choices(self.source, self.choose)
        self._sections: dict[str, tuple[FigureView, ...]] = {"profile": PROFILE_VIEWS}
        if self.source.kind == "trajectories":
            self._sections["moment"] = MOMENT_VIEWS
        self._sections["pairs"] = PAIR_VIEWS
        self.cards = {view.name: Card(view) for views in self._sections.values() for view in views}
        self.downloads = Downloads(self.scene)
        self.colours.param.watch(lambda event: self._recoloured(bool(event.new)), "dark")
        # until one is chosen, the noise level is where half of the entropy is left
        self._undecided = state.level is None
        self.state, problem = self._complete(state)
        self._show_state()
        if problem:
            self.choices.complain(problem)

    @property
    def source(self) -> Explored:
        """What is explored, as it is now."""
        return self.computing.source

    @property
    def partition(self) -> Partition | str:
        """The partition that is shown."""
        return self.source.partition(self.state.partition)

    @property
    def request(self) -> Request:
        """What the profiles of the state are."""
        return Request((self.partition,), self.state.guidance, self.state.estimator, self.state.run)

    def scene(self) -> Scene | None:
        """All that is shown; None before the first numbers are there."""
        if self.answer is None:
            return None
        return Scene(self.source, self.state, self.answer, self.pairs, self.runs)

    def start(self, *, at_once: bool = False) -> None:
        """Begin to work out what is shown; `at_once` to wait for the preview."""
        self._work(self.quick.do if at_once else self.quick.submit)

    def close(self) -> None:
        """End the work."""
        self.quick.close()
        self.slow.close()

    def change(self, **fields: Any) -> None:
        """Change some fields of the state, and what follows from them; a partition that cannot be is complained of."""
        before = self.state
        self._undecided = self._undecided and "level" not in fields
        state, problem = self._complete(replace(before, **fields))
        if problem or state == before:
            self.choices.complain(problem)
            self._draw()
            return
        self.state = state
        self._show_state()
        if any(getattr(before, name) != getattr(state, name) for name in ("partition", "guidance", "run", "estimator")):
            self._work()
        else:
            self._move()
            self._draw()

    def choose(self, **fields: Any) -> None:
        """Change some fields of the state soon, in one piece with all that follows from them on the page."""
        # figures that wait to be drawn are those of what was chosen before
        self._draws += 1
        self._later(partial(self.change, **fields))

    def follow(self) -> None:
        """Look whether a run has gone on, and take in what is new; say so where it is no longer there."""
        if self.quick.busy or self.slow.busy:
            # of a run that grows faster than it is read the numbers would never be ready
            return
        try:
            now = self.source.followed()
        except SpecentError as error:
            self._gone = True
            self._say(str(error), busy=False, kind="alert")
            return
        if now is not None:
            self.computing = Computing(now)
            self.choices.grown(now)
        if now is not None or self._gone:
            self._gone = False
            self._work()

    def _complete(self, state: State) -> tuple[State, str]:
        """A state without empty fields or names that the source has not, and what is wrong with its partition."""
        source, problem, text = self.source, "", state.partition
        try:
            partition = source.partition(text)
        except SpecentError as error:
            problem, partition = str(error), source.partition("")
        if problem or not text:
            text = partition if isinstance(partition, str) else partition.name
        state = replace(state, partition=text, level=nearest(source, state.level))
        for dim in ("guidance", "run"):
            names = tuple(name for name in getattr(state, dim) if name in source.names(dim))
            # runs are there to be compared
            names = names or tuple(source.names(dim)[: None if dim == "run" else 1])
            state = replace(state, guidance=names) if dim == "guidance" else replace(state, run=names)
        estimator = tuple(name for name in source.estimators if name in state.estimator)
        state = replace(state, estimator=estimator or _best(source.estimators))
        if source.kind == "trajectories":
            state = replace(
                state,
                class_label=state.class_label if state.class_label in source.labels else source.labels[0],
                sample=min(max(state.sample, 0), self.computing.preview_samples - 1),
            )
        return state, problem

    def _show_state(self) -> None:
        self.choices.show(self.state, self.partition)
        self.colours.theme = self.state.theme
        self._moved(self.state)

    def _work(self, do: Callable[[Job], None] | None = None) -> None:
        """Work out the profiles, at first of some trajectories, then of all."""
        computing, request = self.computing, self.request
        pairs = replace(request, partitions=computing.paired(self.partition), guidance=request.guidance[:1])
        previewed = threading.Event()
        self._say(progress_text(self.source, None, busy=True), busy=True)

        def parts(stale: Stale) -> None:
            answer = self._answered(request, False, None)
            if stale() or answer is None:
                return
            self._show(lambda: self._arrived(request, answer), stale)
            if computing.samples:
                runs = computing.trajectories(replace(request, guidance=request.guidance[:1]))
                self._show(lambda: self._loaded(request, runs), stale)
            if pairs.partitions and not stale():
                paired = self._answered(pairs, False, None)
                self._show(lambda: self._paired(request, paired), stale)

        def preview(stale: Stale) -> None:
            try:
                parts(stale)
            finally:
                previewed.set()

        def whole(stale: Stale) -> None:
            # the preview comes first: two threads that compute at once would both be late
            while not previewed.wait(_PAUSE):
                if stale():
                    return
            answer = self._answered(request, True, stale)
            if answer is not None:
                self._later(lambda: self._arrived(request, answer))

        (do or self.quick.submit)(preview)
        if computing.preview_samples < computing.samples:
            self.slow.submit(whole)

    def _show(self, arrived: Callable[[], None], stale: Stale) -> None:
        """Take in what was worked out, and go on when its figures are drawn, so that nothing delays them."""
        drawn = threading.Event()

        def show() -> None:
            arrived()
            self._later(drawn.set)

        self._later(show)
        for _ in range(_PAUSES):
            if drawn.wait(_PAUSE) or stale():
                return

    def _answered(self, request: Request, whole: bool, stop: Stale | None) -> Answer | None:
        """The numbers, or None where there are none, which is said on the page."""
        try:
            return self.computing.answer(request, whole=whole, stop=stop)
        except StoppedError:
            return None
        except Exception as error:
            # a thread that ends without a word would leave the page busy for ever
            words = str(error) if isinstance(error, SpecentError) else f"{type(error).__name__}: {error}"
            self._later(lambda: self._failed(request, words))
            return None

    def _arrived(self, request: Request, answer: Answer) -> None:
        if request != self.request or (self.answer and self.answer.request == request and not answer.whole):
            return
        if self.answer is None or self.answer.request != request:
            self.runs = None
        self.answer = answer
        if self._undecided:
            self._undecided = False
            self.state = replace(self.state, level=nearest(self.source, half_level(answer)))
            self.choices.show_level(self.state.level)
            self._moved(self.state)
        self._say(progress_text(self.source, answer, busy=not answer.whole), busy=not answer.whole)
        self.result.object = paragraph(result_text(answer), "status", **{"aria-live": "polite"})
        self._draw()

    def _loaded(self, request: Request, runs: Any) -> None:
        if request == self.request:
            self.runs = runs
            self._draw()

    def _paired(self, request: Request, answer: Answer | None) -> None:
        if request == self.request and answer is not None:
            self.pairs = answer
            self._draw()

    def _failed(self, request: Request, words: str) -> None:
        if request == self.request:
            self._say(words, busy=False, kind="alert")
            self._draw()

    def _say(self, words: str, *, busy: bool, kind: str = "status") -> None:
        self.status.object = paragraph(words, f"{kind} busy" if busy else kind, role="status")

    def _recoloured(self, dark: bool) -> None:
        self.dark = dark
        self._draw()

    def _draw(self) -> None:
        """Draw what has changed, one figure after the other: the page shows the first while the next is drawn."""
        self._draws += 1
        for card in self.cards.values():
            self._later(partial(self._draw_one, card.view, self._draws))
        self._later(self.downloads.show_lines)

    def _draw_one(self, view: FigureView, number: int) -> None:
        scene = self.scene()
        # what is to be drawn again soon is not drawn now, nor are numbers of another choice with the names of this one
        if scene is None or number != self._draws or scene.answer.request != self.request:
            return
        if any(one is None for one in scene.read(view.reads)):
            return
        self.cards[view.name].draw(scene, self.dark, hovered=self._hovered, tapped=self._tapped(view))

    def _hovered(self, position: float, drawing: Any) -> None:
        self._later(partial(self._moved_to, position, drawing))

    def _moved_to(self, position: float, drawing: Any) -> None:
        level = level_at(self.source, self.state.axis, position)
        if level != self.state.level:
            self._undecided = False
            self.state = replace(self.state, level=level)
            self._moved(self.state)
            self.choices.show_level(level)
            self._move(drawing)
            self._draw()

    def _tapped(self, view: Any) -> Callable[[float, float], None] | None:
        if view.name == "trajectory_posteriors":
            return self._chosen
        if not view.noisy:
            return None

        def tapped(x: float, _y: float) -> None:
            self.choose(level=level_at(self.source, self.state.axis, x), pinned=not self.state.pinned)

        return tapped

    def _chosen(self, x: float, y: float) -> None:
        """Choose the trajectory that passes nearest to a point of the figure of single ones."""
        scene = self.scene()
        if scene is not None and scene.runs is not None:
            label, sample = trajectory_near(scene, level_at(self.source, self.state.axis, x), y)
            self.choose(class_label=label, sample=sample)

    def _move(self, moving: Any = None) -> None:
        """Put the marks of all figures to the noise level, but those of the one that the pointer moves."""
        scene = self.scene()
        if scene is None:
            return
        for card in self.cards.values():
            if card.drawing is not None and card.drawing is not moving:
                card.drawing.move(scene.position, self.state.pinned)

    def parts(self) -> dict[str, list[Any]]:
        """The parts of the page, by the names of its sections."""
        parts = {
            "status": [pn.Column(self.colours, self.status, self.result, sizing_mode="stretch_width", margin=0)],
            "choices": [self.choices.panel()],
        }
        for name, views in self._sections.items():
            parts[name] = [self.cards[view.name].panel for view in views]
        return parts | {"keep": [self.downloads.panel()]}


def _best(estimators: list[str]) -> tuple[str, ...]:
    """The estimator that is shown at first, with the exact one where there is one."""
    measured = [name for name in estimators if name != "exact"]
    first = "path" if "path" in measured else measured[0] if measured else ""
    return tuple(name for name in estimators if name in (first, "exact"))
