"""The audited program's source as trees: parents, scopes, loops, and what the names mean."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Final

from placeaudit.model import Frame

__all__ = ["COMPREHENSIONS", "FUNCTIONS", "LOOPS", "ParsedFile", "Sources", "end", "start"]

#: (line, byte column), comparable.
Position = tuple[int, int]

FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
LOOPS: Final = (ast.For, ast.AsyncFor, ast.While)
COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES: Final = (*FUNCTIONS, ast.Module, ast.ClassDef)

#: Longest expression a message quotes.
_QUOTE: Final = 60


def start(node: ast.AST) -> Position:
    """Where ``node`` begins."""
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def end(node: ast.AST) -> Position:
    """Where ``node`` ends."""
    return getattr(node, "end_lineno", 0) or 0, getattr(node, "end_col_offset", 0) or 0


def _extent(node: ast.AST) -> Position:
    """How much text ``node`` covers: smaller for what lies inside."""
    return end(node)[0] - start(node)[0], end(node)[1] - start(node)[1]


class ParsedFile:
    """One source file; raises ``SyntaxError`` or ``ValueError`` where it is no Python."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self.parents: dict[ast.AST, ast.AST] = {}
        self._at: dict[tuple[Position, Position], list[ast.AST]] = defaultdict(list)
        for node in ast.walk(self.tree):
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
            if hasattr(node, "lineno"):
                self._at[start(node), end(node)].append(node)

    # --- lookup --------------------------------------------------------------------------------

    def find(self, frame: Frame) -> ast.AST | None:
        """The node that ``frame`` was executing; None where its columns are not known."""
        if frame.line < 0 or frame.col < 0 or frame.end_line < 0 or frame.end_col < 0:
            return None
        key = (frame.line, frame.col), (frame.end_line, frame.end_col)
        exact = self._at.get(key)
        if exact:
            # A statement `f(x)` and the call in it stand at the same place; the call is meant.
            return next((n for n in exact if isinstance(n, ast.Call)), exact[-1])
        around = [
            node
            for (first, last), nodes in self._at.items()
            if first <= key[0] and key[1] <= last
            for node in nodes
            if isinstance(node, ast.expr)
        ]
        return min(around, key=_extent, default=None)

    def quote(self, node: ast.AST) -> str:
        """The node's own text on one line, shortened for a message; of a block its head."""
        match node:
            case ast.If(test=head) | ast.While(test=head):
                text = self._segment(head)
            case ast.For(target=target, iter=head) | ast.AsyncFor(target=target, iter=head):
                text = f"for {self._segment(target)} in {self._segment(head)}"
            case ast.With(items=items) | ast.AsyncWith(items=items):
                text = "with " + ", ".join(self._segment(item.context_expr) for item in items)
            case _:
                text = self._segment(node)
        return text if len(text) <= _QUOTE else f"{text[: _QUOTE - 1]}…"

    def _segment(self, node: ast.AST) -> str:
        return " ".join((ast.get_source_segment(self.text, node) or "").split())

    # --- around a node -------------------------------------------------------------------------

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """The node's ancestors, nearest first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def statement(self, node: ast.AST) -> ast.stmt | None:
        """The statement that ``node`` is or is part of."""
        if isinstance(node, ast.stmt):
            return node
        return next((n for n in self.above(node) if isinstance(n, ast.stmt)), None)

    def scope(self, node: ast.AST) -> ast.AST:
        """The function, class or module whose names ``node`` uses."""
        return next((n for n in self.above(node) if isinstance(n, _SCOPES)), self.tree)

    def loop(self, node: ast.AST) -> ast.AST | None:
        """The innermost loop statement of the same scope that runs ``node`` repeatedly."""
        return next((n for n in self.repeats(node) if isinstance(n, LOOPS)), None)

    def repeats(self, node: ast.AST) -> Iterator[ast.AST]:
        """Loops and comprehensions of the same scope that repeat ``node``, nearest first."""
        below, once = node, False
        for parent in self.above(node):
            if isinstance(parent, _SCOPES):
                return
            if isinstance(parent, LOOPS):
                iterated = not isinstance(parent, ast.While) and below is parent.iter
                if not iterated and below not in parent.orelse:
                    yield parent
            elif isinstance(parent, ast.comprehension):
                once = below is parent.iter
            elif isinstance(parent, COMPREHENSIONS):
                if not (once and below is parent.generators[0]):
                    yield parent
                once = False
            below = parent

    def in_comprehension(self, node: ast.AST) -> bool:
        """Whether ``node`` runs once per element of a comprehension in its statement."""
        for parent in self.above(node):
            if isinstance(parent, COMPREHENSIONS):
                return True
            if isinstance(parent, ast.stmt):
                break
        return False

    # --- names ---------------------------------------------------------------------------------

    @cached_property
    def _names(self) -> Mapping[tuple[ast.AST, str], list[ast.Name]]:
        found: dict[tuple[ast.AST, str], list[ast.Name]] = defaultdict(list)
        for node in self.parents:
            if isinstance(node, ast.Name):
                found[self.scope(node), node.id].append(node)
        for names in found.values():
            names.sort(key=self.order)
        return found

    def order(self, name: ast.Name) -> Position:
        """When a name takes effect: a load where it stands, a store at its statement's end."""
        if isinstance(name.ctx, ast.Load):
            return start(name)
        holder = self.parents[name]
        while isinstance(holder, ast.Tuple | ast.List | ast.Starred):
            holder = self.parents[holder]
        if isinstance(holder, ast.For | ast.AsyncFor):
            return end(holder.iter)
        return end(holder)

    def occurrences(self, scope: ast.AST, name: str) -> list[ast.Name]:
        """Every load, store and delete of ``name`` in ``scope`` itself, in order of effect."""
        return self._names.get((scope, name), [])

    def escapes(self, scope: ast.AST, name: str) -> bool:
        """Whether a function inside ``scope`` reads ``name``."""
        return any(
            holder is not scope and scope in self.above(holder)
            for (holder, known) in self._names
            if known == name
        )

    def parameter(self, scope: ast.AST, name: str) -> bool:
        """Whether ``name`` is a parameter of the function ``scope``."""
        if not isinstance(scope, FUNCTIONS):
            return False
        args = scope.args
        named = [*args.posonlyargs, *args.args, *args.kwonlyargs]
        named += [a for a in (args.vararg, args.kwarg) if a is not None]
        return any(arg.arg == name for arg in named)

    @cached_property
    def functions(self) -> Mapping[str, list[ast.FunctionDef]]:
        """Functions and methods of the file by their plain name."""
        found: dict[str, list[ast.FunctionDef]] = defaultdict(list)
        for node in self.parents:
            if isinstance(node, ast.FunctionDef):
                found[node.name].append(node)
        return found

    @cached_property
    def imports(self) -> Mapping[str, str]:
        """What imported names stand for: ``{"F": "torch.nn.functional"}``."""
        found: dict[str, str] = {}
        for node in self.parents:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    found[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return found

    def dotted(self, node: ast.AST) -> str:
        """``torch.zeros`` for a call of it under whatever name; "" for what is no dotted name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        parts.append(self.imports.get(node.id, node.id))
        return ".".join(reversed(parts))

    def is_imported(self, node: ast.AST) -> bool:
        """Whether a dotted name begins with an imported one."""
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.imports


class Sources:
    """Parsed files by path, each parsed once; a file without text or not Python is None."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._parsed: dict[str, ParsedFile | None] = {}

    def files(self) -> Iterator[ParsedFile]:
        """Every file whose source is known and is Python."""
        for path in self._texts:
            found = self.file(path)
            if found is not None:
                yield found

    def file(self, path: str) -> ParsedFile | None:
        """The parsed file, None where its source is not known."""
        if path not in self._parsed:
            self._parsed[path] = self._parse(path)
        return self._parsed[path]

    def _parse(self, path: str) -> ParsedFile | None:
        text = self._texts.get(path)
        if text is None:
            return None
        try:
            return ParsedFile(text)
        except (SyntaxError, ValueError, RecursionError):
            return None
