#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes clients/python/tarn/raw/_api.py, Tarn's C API for ctypes, from c/include/tarn/*.h.

    generate.py             write it
    generate.py --check     say how it differs from what the headers give; exit status 1 when it does
    generate.py --stdout    print it

The same headers give the same bytes, on every machine.
"""
import difflib
import keyword
import pathlib
import re
import sys
import textwrap

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from headers import HeaderError, read_headers  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[3]
HEADERS = TOP / "c" / "include" / "tarn"
OUTPUT = TOP / "clients" / "python" / "tarn" / "raw" / "_api.py"
WIDTH = 120

NAMES = {
    "void": "None", "char": "c_char", "bool": "c_bool", "int": "c_int", "unsigned": "c_uint", "unsigned int": "c_uint",
    "size_t": "c_size_t", "int8_t": "c_int8", "uint8_t": "c_uint8", "int16_t": "c_int16", "uint16_t": "c_uint16",
    "int32_t": "c_int32", "uint32_t": "c_uint32", "int64_t": "c_int64", "uint64_t": "c_uint64",
}

BEGIN = '''# SPDX-License-Identifier: Apache-2.0
"""Tarn's C API as ctypes has it: the constants, structs, callbacks and functions of c/include/tarn, with their names there.

Made by clients/python/gen/generate.py from the headers: do not edit. Nothing here loads the library: tarn.raw.lib does, and has the
functions.
"""
# pylint: disable=all
import enum
'''

CTYPES = sorted({*NAMES.values(), "CFUNCTYPE", "POINTER", "Structure", "Union", "c_char_p", "c_void_p"} - {"None"})


class Generator:
    """Renders headers. Types that a header hides are known by their names only."""

    def __init__(self, headers):
        self.headers = headers
        self.values = {}  # of constants
        self.enums = {}  # name -> ctypes' name of the integer
        self.known = {}  # structs: the fullest declaration
        self.callbacks = {callback.name for header in headers for callback in header.callbacks}
        for header in headers:
            for struct in header.structs:
                if struct.name not in self.known or struct.fields is not None:
                    self.known[struct.name] = struct

    # ---- types and values ----

    def evaluate(self, where, expression):
        """The value of a C constant expression of integers, or of one string."""
        text = re.sub(r"\bU?INT(?:8|16|32|64|MAX)_C\s*\(([^()]*)\)", r"(\1)", expression)
        if re.fullmatch(r'"[^"\\]*"', text.strip()):
            return text.strip()[1:-1]
        text = re.sub(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]*\b", r"\1", text)
        if not re.fullmatch(r"[\w\s()+\-*/<>|&~]*", text):
            raise HeaderError(f"{where}: the value {expression} is not understood")
        try:
            return int(eval(text.replace("/", "//"), {"__builtins__": {}}, self.values))
        except (SyntaxError, NameError, TypeError) as error:
            raise HeaderError(f"{where}: the value {expression} is not understood: {error}") from error

    def type(self, kind, where):
        """The ctypes expression of a type."""
        if kind[0] == "name":
            return self.name(kind[1], where)
        if kind[0] == "array":
            return f"{self.type(kind[1], where)} * {self.evaluate(where, kind[2])}"
        if kind[0] == "function":
            types = [self.type(kind[1], where)] + [self.type(parameter, where) for _, parameter in kind[2]]
            return f"CFUNCTYPE({', '.join(types)})"
        return self.pointer(kind, where)

    def pointer(self, kind, where):
        target, const = kind[1], kind[2]
        if target[0] == "function":
            return self.type(target, where)
        if target == ("name", "void"):
            return "c_void_p"
        if target == ("name", "char") and const:
            return "c_char_p"
        return f"POINTER({self.type(target, where)})"

    def name(self, name, where):
        if name in NAMES:
            return NAMES[name]
        if name in self.enums:
            return self.enums[name]
        if name in self.known or name in self.callbacks:
            return name
        raise HeaderError(f"{where}: the type {name} is not known")

    # ---- what is in a header ----

    def constant(self, where, constant):
        self.values[constant.name] = value = self.evaluate(f"{where}: {constant.name}", constant.expression)
        return comment(constant.doc) + [f"{constant.name} = {value!r}"]

    def enum(self, where, item):
        for value in item.values:
            self.values[value.name] = self.evaluate(f"{where}: {value.name}", value.expression)
        negative = any(self.values[value.name] < 0 for value in item.values)
        self.enums[item.name] = "c_int" if negative else "c_uint"
        lines = ["", "", f"class {item.name}(enum.IntEnum):"] + docstring(item.doc or f"enum {item.name} of tarn/{where}.", 4)
        for value in item.values:
            lines += comment(value.doc, 4) + [f"    {value.name} = {self.values[value.name]}"]
        lines += ["", ""] + [f"{value.name} = {item.name}.{value.name}" for value in item.values]
        return lines

    def struct_class(self, struct):
        base = "Union" if struct.kind == "union" else "Structure"
        hidden = "Its fields are the library's own." if struct.fields is None else ""
        return ["", "", f"class {struct.name}({base}):"] + docstring(struct.doc or hidden or f"{struct.kind} {struct.name}.", 4)

    def struct_fields(self, where, struct):
        lines = ["", f"{struct.name}._fields_ = ["]
        for field in struct.fields:
            kind = self.type(field.type, f"{where}: {struct.name}.{field.name}")
            lines += comment(field.doc, 4) + [f'    ("{field.name}", {kind}),']
        return lines + ["]"]

    def callback(self, where, item):
        return [""] + comment(item.doc) + [f"{item.name} = {self.type(item.type, where + ': ' + item.name)}"]

    def function(self, where, item):
        where = f"{where}: {item.name}"
        result = self.type(item.type[1], where)
        types = [self.type(kind, where) for _, kind in item.type[2]]
        names = [name + "_" if keyword.iskeyword(name) else name for name, _ in item.type[2]]
        tuples = [f"({', '.join(items)}{',' if len(items) == 1 else ''})" for items in (types, [f'"{name}"' for name in names])]
        lines = [f'    "{item.name}": ({result}, {tuples[0]}, {tuples[1]}, """']
        lines += textwrap.wrap(item.prototype + ";", WIDTH, subsequent_indent="    ")
        for paragraph in item.doc.split("\n\n") if item.doc else []:
            lines += [""] + textwrap.wrap(escaped(paragraph), WIDTH)
        lines[-1] += '"""),'
        return [lines[0] + lines[1]] + lines[2:]

    # ---- all of it ----

    def declarations(self, header):
        where = f"{header.name}"
        lines = []
        for constant in header.constants:
            lines += self.constant(where, constant)
        for item in header.enums:
            lines += self.enum(where, item)
        for item in header.callbacks:
            lines += self.callback(where, item)
        for struct in header.structs:
            if struct.fields is not None:
                lines += self.struct_fields(where, struct)
        return ["", "", f"# ---- tarn/{header.name} ----", ""] + lines if lines else []

    def errors(self):
        rows = [row for header in self.headers for row in header.errors]
        lines = ["", "", "# The error table: number -> (name, what it means).", "ERRORS: dict[int, tuple[str, str]] = {"]
        return lines + [f'    {number}: ("DER_{name}", "{text}"),' for name, number, text in sorted(rows, key=lambda row: row[1])] + ["}"]

    def render(self):
        lines = ["", "# ---- structs; their fields are below ----"]
        for name in sorted(self.known):
            lines += self.struct_class(self.known[name])
        for header in self.headers:
            lines += self.declarations(header)
        lines += self.errors()
        full = sorted(name for name, struct in self.known.items() if struct.fields is not None)
        lines += ["", "# The structs whose fields are known.", "STRUCTS: dict[str, Any] = {"]
        lines += [f'    "{name}": {name},' for name in full] + ["}"]
        lines += ["", "# Every constant.", "CONSTANTS: dict[str, int] = {"]
        lines += [f'    "{name}": {name},' for name in sorted(self.values)] + ["}"]
        lines += ["", "# Every function: its result, its parameters, their names, its prototype and what it does.",
                  "FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...], tuple[str, ...], str]] = {"]
        functions = sorted(((item.name, header, item) for header in self.headers for item in header.functions), key=lambda row: row[0])
        for _, header, item in functions:
            lines += self.function(header.name, item)
        body = "\n".join(line.rstrip() for line in lines + ["}"]) + "\n"
        return BEGIN + imports(body) + body


def imports(body):
    """The lines that import what the body uses of ctypes."""
    used = [name for name in CTYPES if re.search(rf"\b{name}\b", body)]
    lines = textwrap.wrap(f"from ctypes import ({', '.join(used)})", WIDTH, subsequent_indent=" " * 20)
    return "\n".join(lines + ["from typing import Any", ""])


def escaped(text):
    return text.replace("\\", "\\\\").replace('"""', "'''")


def comment(text, indent=0):
    prefix = " " * indent + "# "
    return textwrap.wrap(text, WIDTH + 10, initial_indent=prefix, subsequent_indent=prefix) if text else []


def docstring(text, indent):
    wrapped = textwrap.wrap(escaped(text), WIDTH)
    wrapped[0] = '"""' + wrapped[0]
    if len(wrapped) == 1:
        wrapped[0] += '"""'
    else:
        wrapped.append('"""')
    return [" " * indent + line for line in wrapped]


def generate(folder=HEADERS):
    """The text of _api.py for the headers of a folder."""
    return Generator(read_headers(folder)).render()


def main(args):
    if args not in ([], ["--check"], ["--stdout"]):
        print(__doc__, file=sys.stderr)
        return 2
    text = generate()
    if args == ["--stdout"]:
        sys.stdout.write(text)
    elif args == ["--check"]:
        old = OUTPUT.read_text(encoding="utf-8") if OUTPUT.exists() else ""
        difference = list(difflib.unified_diff(old.splitlines(), text.splitlines(), str(OUTPUT), "what the headers give", lineterm=""))
        print("\n".join(difference), end="\n" if difference else "")
        return 1 if difference else 0
    else:
        OUTPUT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except HeaderError as error:
        sys.exit(f"generate.py: {error}")
