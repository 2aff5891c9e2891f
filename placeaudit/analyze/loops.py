"""The loop or comprehension that repeats a call, and what one turn of it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from placeaudit.analyze.callsite import call_site
from placeaudit.analyze.source import COMPREHENSIONS, ParsedFile, Sources, end, start
from placeaudit.model import Frame

__all__ = ["Loop", "loop_of", "turns_are_steps"]

#: Calls that end a step, or one of an environment or schedule: what repeats them counts steps.
_STEPS: Final = frozenset({"step", "backward", "mark_step", "training_step", "train_step"})
_DEEPEST: Final = 4


@dataclass(frozen=True)
class Loop:
    """``node`` (a loop or comprehension) of ``file``, in the function that ``frame`` ran."""

    file: ParsedFile
    node: ast.AST
    frame: Frame

    @property
    def is_comprehension(self) -> bool:
        """Whether its turns cannot depend on one another."""
        return isinstance(self.node, COMPREHENSIONS)

    @property
    def line(self) -> int:
        """Where it begins."""
        return start(self.node)[0]

    @property
    def words(self) -> str:
        """For a message."""
        kind = "comprehension" if self.is_comprehension else "loop"
        return f"the {kind} at line {self.line}"

    def left(self, frames: Sequence[Frame]) -> bool:
        """Whether the stack ``frames`` was taken outside of it.

        A stack in which its function does not appear says so too: the function was left.
        """
        first, last = start(self.node), end(self.node)
        return not any(
            frame.file == self.frame.file
            and first <= (frame.line, max(frame.col, 0))
            and (frame.end_line, frame.end_col) <= last
            for frame in frames
        )


def loop_of(sources: Sources, frames: Sequence[Frame]) -> Loop | None:
    """The innermost loop or comprehension around any call of the stack (innermost frame first).

    None where there is none, or where a frame's source or columns are not known before one is met.
    """
    for frame in frames:
        if frame.package and sources.file(frame.file) is None:
            continue
        site = call_site(sources, frame)
        if site is None:
            return None
        found = next(site.file.repeats(site.node), None)
        if found is not None:
            return Loop(site.file, found, frame)
    return None


def turns_are_steps(sources: Sources, loop: Loop) -> bool:
    """Whether a turn trains or steps an environment, itself or in a function that it calls."""
    seen: set[str] = set()
    return any(_steps(sources, loop.file, node, seen, 0) for node in _repeated(loop.node))


def _repeated(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a loop that run once a turn."""
    if isinstance(node, ast.For | ast.AsyncFor):
        yield from node.body
    elif isinstance(node, ast.While):
        yield node.test
        yield from node.body
    else:
        yield node


def _steps(sources: Sources, file: ParsedFile, node: ast.AST, seen: set[str], depth: int) -> bool:
    for call in ast.walk(node):
        if not isinstance(call, ast.Call):
            continue
        func = call.func
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        if isinstance(func, ast.Attribute) and name in _STEPS:
            return True
        if name in seen or depth > _DEEPEST or file.dotted(func).startswith("torch."):
            continue
        seen.add(name)
        for other in _defining(sources, file, name):
            for function in other.functions[name]:
                if any(_steps(sources, other, s, seen, depth + 1) for s in function.body):
                    return True
    return False


def _defining(sources: Sources, file: ParsedFile, name: str) -> list[ParsedFile]:
    """The file itself if it defines such a function, else the user's other files that do."""
    if name in file.functions:
        return [file]
    return [other for other in sources.files() if name in other.functions]
