#!/usr/bin/env python3
"""Fails on the first import that runs up, and on files that import each other.

The rooms of src/ stand in an order. A file may import from its own room and from the rooms below. Inside a
room, and between rooms, no chain of imports may lead back to where it began.

The order is read from docs/architecture.md: the table under "Rooms", from the top of the house to its ground.
`ci/rooms.py --list FILE…` prints what a file imports.
"""

import os
import re
import sys

SRC = "src"
PAGE = "docs/architecture.md"


def rooms_of_the_page():
    """{room: level}; rooms on one row share a level and must not import each other."""
    text = open(PAGE, encoding="utf-8").read()
    table = re.search(r"<!-- rooms: begin -->\n(.*?)<!-- rooms: end -->", text, re.S)
    if not table:
        sys.exit(f"rooms: {PAGE} has no table between the two marks `rooms: begin` and `rooms: end`")
    levels = {}
    rows = [row for row in table[1].splitlines() if row.startswith("| `")]
    for level, row in enumerate(reversed(rows)):
        for room in re.findall(r"`(\w+)/`", row.split("|")[1]):
            levels[room] = level
    return levels


def code_of(path):
    """The source without comments, strings' contents, and unit tests."""
    text = open(path, encoding="utf-8").read()
    token = r"""//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\])'|(?<!path = )"(?:\\.|[^"\\])*\""""
    text = re.sub(token, lambda found: "" if found[0].startswith("/") else '""', text, flags=re.S)
    return re.sub(r"\n#\[cfg\((?:test|all\(test[^\n]*)\)\]\nmod tests \{.*", "\n", text, flags=re.S)


def leaves(tree):
    """`a::{b::C, d::{E, F}}` as the list of its paths."""
    tree = tree.strip()
    brace = tree.find("{")
    if brace < 0:
        return [re.sub(r"\s+as\s+\w+$", "", tree)]
    head, body, depth, part, parts = tree[:brace], tree[brace + 1 : tree.rindex("}")], 0, "", []
    for char in body + ",":
        if char == "," and depth == 0:
            parts.append(part)
            part = ""
            continue
        depth += (char == "{") - (char == "}")
        part += char
    return [head + leaf for part in parts if part.strip() for leaf in leaves(part)]


class House:
    def __init__(self):
        self.files = {}  # module path as a tuple -> file
        self.code = {}
        for folder, _, names in os.walk(SRC):
            for name in sorted(names):
                if not name.endswith(".rs") or (folder == SRC and name == "lib.rs"):
                    continue
                path = os.path.join(folder, name)
                module = tuple(path[len(SRC) + 1 : -3].split(os.sep))
                self.files[module[:-1] if module[-1] == "mod" else module] = path
                self.code[path] = code_of(path)
        # A module may lie in another file than its name says.
        for module, path in list(self.files.items()):
            if os.path.basename(path) != "mod.rs":
                continue
            for file, name in re.findall(r'#\[path = "([^"]+)"\]\s*(?:pub(?:\([^)]*\))? )?mod (\w+);', self.code[path]):
                self.files.setdefault(module + (name,), os.path.join(os.path.dirname(path), file))

    def module_of(self, path):
        module = tuple(path[len(SRC) + 1 : -3].split(os.sep))
        return module[:-1] if module[-1] == "mod" else module

    def exports(self, module):
        """The items that a mod.rs hands on: {name: the path that it stands for}, and what it hands on whole."""
        found, whole = {}, []
        path = self.files.get(module)
        if path is None or os.path.basename(path) != "mod.rs":
            return found, whole
        for tree in re.findall(r"pub(?:\([^)]*\))?\s+use\s+([^;]+);", self.code[path]):
            for leaf in leaves(tree):
                target = self.absolute(module, leaf)
                if target is None:
                    continue
                if target[-1] == "*":
                    whole.append(target[:-1])
                else:
                    alias = re.search(r"\s+as\s+(\w+)$", tree)
                    found[alias[1] if alias else target[-1]] = target
        return found, whole

    def absolute(self, module, path):
        """A path as the parts below the crate's root, if it is one of ours."""
        parts = [part.strip() for part in path.split("::")]
        if parts[0] == "crate":
            return tuple(parts[1:])
        if parts[0] == "self":
            return module + tuple(parts[1:])
        if parts[0] == "super":
            base = module
            while parts and parts[0] == "super":
                base, parts = base[:-1], parts[1:]
            return base + tuple(parts)
        if module + (parts[0],) in self.files:
            return module + tuple(parts)
        return None

    def file_of(self, target, seen=()):
        """The file in which the item of this path is written, through every `pub use`."""
        if target in seen:
            return None
        for length in range(len(target), 0, -1):
            module = target[:length]
            if module not in self.files:
                continue
            rest = target[length:]
            if rest and rest[0] not in ("self", "*"):
                exports, whole = self.exports(module)
                if rest[0] in exports:
                    return self.file_of(exports[rest[0]] + rest[1:], seen + (target,)) or self.files[module]
                for source in whole:
                    written = self.files.get(source)
                    if written and re.search(rf"\b{re.escape(rest[0])}\b", self.code[written]):
                        return written
            return self.files[module]
        return "src/lib.rs" if target and target[0][:1].isupper() else None

    def imports(self, path):
        """The files that a file imports, with the path that it wrote. What a mod.rs hands on does not count."""
        module, code = self.module_of(path), self.code[path]
        handed_on = os.path.basename(path) == "mod.rs"
        found = {}

        def note(written):
            target = self.absolute(module, written)
            file = self.file_of(target) if target else None
            if file and file != path:
                found.setdefault(file, written)

        for public, tree in re.findall(r"\b(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);", code):
            if public and handed_on:
                continue
            for leaf in leaves(tree):
                note(leaf)
        rest = re.sub(r"\buse\s+[^;]+;", "", code)
        for written in re.findall(r"(?<![\w:])((?:crate|super)(?:::\w+)+)", re.sub(r"pub\(in [^)]*\)", "", rest)):
            note(written)
        return found


def circle(graph):
    state, trail = {}, []

    def visit(node):
        state[node] = 1
        trail.append(node)
        for other in sorted(graph.get(node, ())):
            if state.get(other) == 1:
                return trail[trail.index(other) :] + [other]
            if other not in state and (found := visit(other)):
                return found
        state[node] = 2
        trail.pop()
        return None

    for node in sorted(graph):
        if node not in state and (found := visit(node)):
            return found
    return None


def main():
    os.chdir(os.path.join(os.path.dirname(__file__), ".."))
    house, levels = House(), rooms_of_the_page()
    graph = {path: house.imports(path) for path in house.code}
    if sys.argv[1:2] == ["--list"]:
        for path in sys.argv[2:]:
            print(path)
            for file, written in sorted(graph[path].items()):
                print(f"  {file}  ({written})")
        return

    room = lambda path: path.split(os.sep)[1]
    failed = []
    for name in sorted({room(path) for path in graph} - set(levels)):
        failed.append(f"src/{name}/ is not in the table of {PAGE}")
    for name in sorted(set(levels) - {room(path) for path in graph}):
        failed.append(f"the table of {PAGE} names src/{name}/, which is not there")
    for path, imports in sorted(graph.items()):
        for file, written in sorted(imports.items()):
            if file == "src/lib.rs":
                failed.append(f"{path} imports `{written}` through src/lib.rs: import it from its room")
                continue
            here, there = room(path), room(file)
            if here != there and levels.get(here, 99) <= levels.get(there, -1):
                failed.append(f"{path} imports `{written}`, which runs up from {here}/ to {there}/")
    if not failed and (found := circle(graph)):
        failed.append("these files import each other:\n    " + "\n    ".join(found))
    if failed:
        sys.exit("rooms: " + "\nrooms: ".join(failed))
    arrows = sum(len(imports) for imports in graph.values())
    print(f"rooms: {len(graph)} files in {len(levels)} rooms, {arrows} imports: none runs up, none leads back")


if __name__ == "__main__":
    main()
