# SPDX-License-Identifier: Apache-2.0
"""Reads Tarn's public headers: what they declare, with the comments.

It knows the C that c/include/tarn is written in and no more: what it does not understand is a HeaderError with file and line, never
left out. Types are tuples: ("name", N), ("pointer", T, const), ("array", T, expression), ("function", result, parameters).
"""
import dataclasses
import pathlib
import re

TOKEN = re.compile(r'\x01(?P<comment>\d+)\x01|(?P<word>[A-Za-z_]\w*)|(?P<number>\d\w*)|(?P<text>"[^"]*")|(?P<sign>\.\.\.|<<|>>|\S)')
LEFT_OUT = {"TARN_API", "TARN_FOREACH_ERROR", "TARN_ERRNO_ENUM"}  # macros that say nothing to Python, or are read on their own
WORDS_OF_TYPES = {"unsigned", "signed", "long", "short", "int", "char"}


class HeaderError(Exception):
    """A header has something that is not understood."""


@dataclasses.dataclass
class Token:
    kind: str
    text: str
    line: int


@dataclasses.dataclass
class Comment:
    text: str
    first: int  # line
    last: int


@dataclasses.dataclass
class Constant:
    name: str
    expression: str
    doc: str


@dataclasses.dataclass
class Enum:
    name: str
    values: list  # of Constant
    doc: str


@dataclasses.dataclass
class Field:
    name: str
    type: tuple
    doc: str = ""


@dataclasses.dataclass
class Struct:
    """A struct or a union; fields is None when the header hides them."""
    name: str
    kind: str
    fields: list
    doc: str


@dataclasses.dataclass
class Callback:
    name: str
    type: tuple
    doc: str


@dataclasses.dataclass
class Function:
    name: str
    type: tuple
    doc: str
    prototype: str


@dataclasses.dataclass
class Header:
    name: str
    includes: list
    constants: list = dataclasses.field(default_factory=list)
    enums: list = dataclasses.field(default_factory=list)
    structs: list = dataclasses.field(default_factory=list)
    callbacks: list = dataclasses.field(default_factory=list)
    functions: list = dataclasses.field(default_factory=list)
    errors: list = dataclasses.field(default_factory=list)  # (name, number, text)


# ---- text -> lines and tokens ----

def plain(comment):
    """The sentences of a comment, without its frame, one line."""
    lines = [re.sub(r"^\s*\*? ?", "", line).strip() for line in comment[2:-2].splitlines()]
    return " ".join(line for line in lines if line)


def take_comments(text):
    """The text with each comment replaced by its number, and the comments. Lines keep their numbers."""
    comments = []

    def replace(found):
        first = text.count("\n", 0, found.start()) + 1
        newlines = found[0].count("\n")
        comments.append(Comment(plain(found[0]), first, first + newlines))
        return f"\x01{len(comments) - 1}\x01" + "\x02" * newlines  # \x02: a line that the comment took

    return re.sub(r"/\*.*?\*/", replace, text, flags=re.S), comments


def take_directives(text):
    """(text without preprocessor lines, the directives that hold for C as (line, text))."""
    kept, directives, skipping, depth = [], [], 0, 0
    line = 1
    for piece in re.split(r"(?<!\\)\n", text):
        here, line = line, line + 1 + piece.count("\n") + piece.count("\x02")
        words = piece.replace("\\\n", " ").replace("\x02", "").strip()
        directive = re.match(r"#\s*(\w+)", words)
        if directive and directive[1] in ("if", "ifdef", "ifndef"):
            depth += 1
            skipping = skipping or (depth if "__cplusplus" in words else 0)
        if directive and directive[1] == "endif":
            skipping, depth = (0 if skipping == depth else skipping), depth - 1
        if directive and not skipping:
            directives.append((here, words))
        hidden = directive or skipping
        kept.append("\n" * (piece.count("\n") + piece.count("\x02")) if hidden else piece.replace("\x02", "\n"))
    return "\n".join(kept), directives


def tokens_of(text):
    found = []
    for match in TOKEN.finditer(text):
        found.append(Token(match.lastgroup, match[match.lastgroup], text.count("\n", 0, match.start()) + 1))
    return found


# ---- declarations ----

class Declaration:
    """Reads one declaration from its tokens, without comments."""

    def __init__(self, where, tokens):
        self.where, self.tokens, self.at = where, tokens, 0

    def fail(self, what):
        line = self.tokens[min(self.at, len(self.tokens) - 1)].line if self.tokens else 0
        said = " ".join(token.text for token in self.tokens)
        raise HeaderError(f"{self.where}:{line}: {what}: {said}")

    def peek(self, ahead=0):
        return self.tokens[self.at + ahead].text if self.at + ahead < len(self.tokens) else ""

    def take(self, *expected):
        text = self.peek()
        if not text or (expected and text not in expected):
            self.fail(f"expected {' or '.join(expected) or 'more'}, not '{text}'")
        self.at += 1
        return text

    def accept(self, text):
        if self.peek() != text:
            return False
        self.at += 1
        return True

    def base(self):
        """(type, const) of the words before the declarator."""
        const, words = False, []
        while True:
            if self.accept("const"):
                const = True
            elif self.accept("struct") or self.accept("enum") or self.accept("union"):
                words.append(self.take())
            elif self.peek() in WORDS_OF_TYPES or (not words and re.match(r"[A-Za-z_]", self.peek())):
                words.append(self.take())
            else:
                break
        if not words:
            self.fail("a type is missing")
        return ("name", " ".join(words)), const

    def declarator(self, base, const):
        """(name, type) of `*name[3]` or `(*name)(int a)`; the name may be missing."""
        kind = base
        while self.accept("*"):
            kind, const = ("pointer", kind, const), self.accept("const")
        if self.accept("("):
            self.take("*")
            name = self.take()
            self.take(")")
            return name, ("pointer", ("function", kind, self.parameters()), False)
        name = self.take() if re.match(r"[A-Za-z_]", self.peek()) else ""
        if self.peek() == "(":
            return name, ("function", kind, self.parameters())
        sizes = []
        while self.accept("["):
            sizes.append(self.until("]"))
        for size in reversed(sizes):
            kind = ("array", kind, size)
        return name, kind

    def until(self, end):
        begin = self.at
        while self.peek() != end:
            self.take()
        self.at += 1
        return " ".join(token.text for token in self.tokens[begin:self.at - 1])

    def parameters(self):
        """The (name, type) of each, after a '('."""
        self.take("(")
        found = []
        if self.peek() == "void" and self.peek(1) == ")":
            self.at += 1
        while not self.accept(")"):
            name, kind = self.declarator(*self.base())
            found.append((name, ("pointer", kind[1], False) if kind[0] == "array" else kind))
            if self.peek() != ")":
                self.take(",")
        return found

    def end(self):
        if self.at != len(self.tokens):
            self.fail(f"'{self.peek()}' is not understood here")


class Reader:
    """Turns the tokens of a header into what it declares."""

    def __init__(self, header, tokens, comments, directives):
        self.header, self.comments, self.tokens = header, comments, tokens
        self.directives = directives  # their lines
        self.block = (0, None, None)  # last line, comment and first function of the group of declarations without a blank line

    def statements(self):
        """Lists of tokens, comments included, each up to its ';'; a comment behind it on the same line is the statement's."""
        pending, depth = [], 0
        for i, token in enumerate(self.tokens):
            if token.kind == "comment" and not depth and self.trails(i):
                continue
            pending.append(token)
            depth += {"{": 1, "}": -1}.get(token.text, 0)
            if token.text == ";" and depth == 0:
                yield pending, self.trailing(i)
                pending = []
        if any(token.kind != "comment" for token in pending):
            raise HeaderError(f"{self.header.name}:{pending[0].line}: a declaration without an end")

    def trails(self, i):
        return i > 0 and self.tokens[i - 1].text == ";" and self.tokens[i - 1].line == self.tokens[i].line

    def trailing(self, i):
        following = self.tokens[i + 1:i + 2]
        return self.comment(following[0]) if following and following[0].kind == "comment" and self.trails(i + 1) else None

    def comment(self, token):
        return self.comments[int(token.text)]

    def read(self):
        for tokens, trailing in self.statements():
            code = [token for token in tokens if token.kind != "comment"]
            before = [self.comment(token) for token in tokens if token.kind == "comment" and token.line < code[0].line]
            near = next((c for c in before if self.touches(c.last, code[0].line)), None)
            self.statement(tokens, code, near, trailing)

    def touches(self, last, first):
        """No blank line is between the two; a #define may be."""
        return all(line in self.directives for line in range(last + 1, first))

    def statement(self, tokens, code, near, trailing):
        words = [token.text for token in code[:-1]]
        doc = " ".join(c.text for c in (near, trailing) if c)
        inner = [token.text for token in code].index("{") if "{" in words else None
        if words[0] == "TARN_API":
            self.function(code, near, trailing)
        elif inner is not None and "enum" in words[:inner]:
            self.enum(tokens, words, doc)
        elif inner is not None:
            self.struct(tokens, words, doc)
        elif words[:2] in (["typedef", "struct"], ["typedef", "union"]) and len(words) == 4:
            self.header.structs.append(Struct(words[3], words[1], None, doc))
        elif words[0] == "typedef" and "(" in words:
            reading = Declaration(self.header.name, code[1:-1])
            name, kind = reading.declarator(*reading.base())
            reading.end()
            self.header.callbacks.append(Callback(name, kind, doc))
        else:
            Declaration(self.header.name, code).fail("not understood")

    def function(self, code, near, trailing):
        reading = Declaration(self.header.name, code[1:-1])
        name, kind = reading.declarator(*reading.base())
        reading.end()
        if kind[0] != "function":
            reading.fail("TARN_API is for functions")
        doc = self.function_doc(name, code, near, trailing)
        prototype = re.sub(r" ([,)\]])", r"\1", re.sub(r"([(*\[]) ", r"\1", " ".join(token.text for token in code[1:-1])))
        self.header.functions.append(Function(name, kind, doc, prototype.replace(" (", "(", 1).replace(" [", "[")))

    def function_doc(self, name, code, near, trailing):
        """Its own comments, after the one that the group of functions that it stands in begins with."""
        last, shared, first = self.block
        if not self.touches(last, near.first if near else code[0].line):
            shared, first = near, name
        paragraphs = [] if shared in (None, near) else [f"As for {first}: {shared.text}"]
        paragraphs += [c.text for c in (near, trailing) if c]
        self.block = (trailing.last if trailing else code[-1].line, shared, first)
        return "\n\n".join(paragraphs)

    def body(self, tokens):
        """The tokens between the outer braces."""
        first = next(i for i, token in enumerate(tokens) if token.text == "{" and token.kind == "sign")
        last = max(i for i, token in enumerate(tokens) if token.text == "}" and token.kind == "sign")
        return tokens[first + 1:last]

    def pieces(self, tokens, separator):
        """([code], comment) of each piece; a comment before the separator, or behind it on its line, is the piece's."""
        piece, doc, depth, found = [], [], 0, []
        for token in tokens:
            depth += {"(": 1, ")": -1, "{": 1, "}": -1}.get(token.text, 0) if token.kind == "sign" else 0
            if token.kind == "comment":
                behind = not piece and found and self.comment(token).first == found[-1][2]
                (found[-1][1] if behind else doc).append(self.comment(token).text)
            elif token.text == separator and not depth:
                found.append((piece, doc, token.line))
                piece, doc = [], []
            else:
                piece.append(token)
        if piece:
            found.append((piece, doc, piece[-1].line))
        return [(code, " ".join(text)) for code, text, _ in found]

    def enum(self, tokens, words, doc):
        values, following = [], "0"
        for code, said in self.pieces(self.body(tokens), ","):
            if code[0].text == "TARN_FOREACH_ERROR":
                values += [Constant("TARN_E_" + name, str(number), text) for name, number, text in self.header.errors]
                continue
            if len(code) > 1 and code[1].text != "=":
                Declaration(self.header.name, code).fail("not an enumerator")
            following = " ".join(token.text for token in code[2:]) if len(code) > 1 else following
            values.append(Constant(code[0].text, following, said))
            following = f"{code[0].text} + 1"
        self.header.enums.append(Enum(words[-1] if words[0] == "typedef" else words[1], values, doc))

    def struct(self, tokens, words, doc):
        at = 1 if words[0] == "typedef" else 0
        if words[at] not in ("struct", "union") or "__attribute__" in words or ":" in words or words.count("{") != 1:
            Declaration(self.header.name, tokens).fail("such a struct is not understood")
        fields = []
        for code, said in self.pieces(self.body(tokens), ";"):
            reading = Declaration(self.header.name, code)
            base, const = reading.base()
            while True:
                name, kind = reading.declarator(base, const)
                fields.append(Field(name, kind, said))
                if not reading.accept(","):
                    break
            reading.end()
        self.header.structs.append(Struct(words[-1] if at else words[1], words[at], fields, doc))


# ---- preprocessor lines ----

def read_define(header, line, words, comments):
    found = re.match(r"#\s*define\s+(\w+)(\([^)]*\))?\s*(.*)", words)
    name, parameters, rest = found[1], found[2], found[3]
    doc = " ".join(comments[int(n)].text for n in re.findall(r"\x01(\d+)\x01", rest))
    value = re.sub(r"\x01\d+\x01", "", rest).strip()
    if name == "TARN_FOREACH_ERROR":
        rows = re.findall(r'X\((\w+), (\d+), \w+, "([^"]*)"\)', value)
        if len(rows) != value.count("X("):
            raise HeaderError(f"{header.name}:{line}: an error of the table is not understood")
        header.errors = [(row, int(number), text) for row, number, text in rows]
    elif not value or name in LEFT_OUT:
        return
    elif parameters:
        raise HeaderError(f"{header.name}:{line}: {name} is a macro with parameters: Python would not have it")
    else:
        header.constants.append(Constant(name, value, doc))


def read_header(path):
    text, comments = take_comments(path.read_text(encoding="utf-8"))
    header = Header(path.name, [])
    text, directives = take_directives(text)
    for line, words in directives:
        included = re.match(r"#\s*include <tarn/(\w+\.h)>", words)
        if included:
            header.includes.append(included[1])
        if re.match(r"#\s*define\b", words):
            read_define(header, line, words, comments)
    Reader(header, tokens_of(text), comments, {line for line, _ in directives}).read()
    return header


def read_headers(folder):
    """All headers of a folder, each after those that it includes, otherwise in the order of their names."""
    headers = {path.name: read_header(path) for path in sorted(pathlib.Path(folder).glob("*.h"))}
    ordered = []

    def add(name):
        header = headers.pop(name, None)
        if header:
            for included in sorted(header.includes):
                add(included)
            ordered.append(header)

    for name in sorted(headers):
        add(name)
    return ordered
