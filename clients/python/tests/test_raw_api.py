# SPDX-License-Identifier: Apache-2.0
"""tarn/raw/_api.py is what the headers say: it is generated anew, and compared with what the C compiler makes of them, all of it."""
import ctypes
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from raw_case import PACKAGE, TOP, raw  # noqa: E402

sys.path.insert(0, str(PACKAGE / "gen"))
import generate  # noqa: E402
import headers  # noqa: E402

api = raw.api
HEADERS = sorted((TOP / "c" / "include" / "tarn").glob("*.h"))


def source(name):
    """A header without its comments."""
    return re.sub(r"/\*.*?\*/", " ", (TOP / "c" / "include" / "tarn" / name).read_text(encoding="utf-8"), flags=re.S)


def all_sources():
    return "\n".join(source(path.name) for path in HEADERS)


def compiled(body, folder, *flags):
    """What a C program prints that includes every header."""
    program = pathlib.Path(folder) / "program"
    includes = "".join(f"#include <tarn/{path.name}>\n" for path in HEADERS)
    text = f"#include <stdio.h>\n{includes}\nint main(void)\n{{\n{body}\nreturn 0;\n}}\n"
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Werror", "-I", TOP / "c" / "include", *flags, "-x", "c", "-", "-o", program], input=text,
                   text=True, check=True)
    return subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout


class Fresh(unittest.TestCase):
    def test_the_committed_file_is_what_the_headers_give(self):
        self.assertEqual(generate.main(["--check"]), 0, "run clients/python/gen/generate.py")

    def test_the_same_headers_give_the_same_bytes(self):
        """In processes whose sets and dictionaries are ordered by other hashes."""
        texts = {subprocess.run([sys.executable, PACKAGE / "gen" / "generate.py", "--stdout"], check=True, stdout=subprocess.PIPE,
                                env={"PYTHONHASHSEED": seed}).stdout for seed in ("1", "2", "3")}
        self.assertEqual(len(texts), 1)


class Layout(unittest.TestCase):
    """C says how large each struct is, and where and how large each field of it."""

    def test_every_struct_and_field(self):
        lines = []
        for name, struct in api.STRUCTS.items():
            word = "struct " if name == "tarn_event" else ""
            lines.append(f'printf("{name} %zu\\n", sizeof({word}{name}));')
            for field, *_ in struct._fields_:
                lines.append(f'printf("{name}.{field} %zu %zu\\n", offsetof({name}, {field}), sizeof((({name} *)0)->{field}));')
        with tempfile.TemporaryDirectory() as folder:
            said = compiled("\n".join(lines), folder).splitlines()
        ours = []
        for name, struct in api.STRUCTS.items():
            ours.append(f"{name} {ctypes.sizeof(struct)}")
            for field, *_ in struct._fields_:
                placed = getattr(struct, field)
                ours.append(f"{name}.{field} {placed.offset} {placed.size}")
        self.assertEqual(ours, said)
        self.assertGreater(len(said), 150)

    def test_no_struct_is_left_out(self):
        declared = set(re.findall(r"(?:struct|union)\s+(tarn_\w+)\s*\{", all_sources()))
        self.assertEqual(set(api.STRUCTS), declared)

    def test_no_field_is_left_out(self):
        """The compiler counts: an initialiser that has fewer values than the struct has fields is a warning."""
        lines = []
        for name, struct in api.STRUCTS.items():
            zeros = ", ".join("{0}" if issubclass(kind, (ctypes.Structure, ctypes.Array)) else "0" for _, kind in struct._fields_)
            lines.append(f"{{ {name} all = {{{zeros}}}; (void)all; }}")
        with tempfile.TemporaryDirectory() as folder:
            compiled("\n".join(lines), folder, "-Wmissing-field-initializers", "-Wno-missing-braces")


class Values(unittest.TestCase):
    def test_every_constant(self):
        lines = [f'printf("{name} %lld\\n", (long long)({name}));' for name in api.CONSTANTS]
        with tempfile.TemporaryDirectory() as folder:
            said = dict(line.split() for line in compiled("\n".join(lines), folder).splitlines())
        self.assertEqual({name: int(value) for name, value in said.items()}, {name: int(value) for name, value in api.CONSTANTS.items()})
        for name, value in api.CONSTANTS.items():
            self.assertEqual(getattr(api, name), value)

    def test_none_is_left_out(self):
        defined = set(re.findall(r"^[ \t]*#[ \t]*define[ \t]+(TARN_\w+)[ \t]+\S", all_sources(), re.M))
        defined -= {"TARN_API", "TARN_FOREACH_ERROR"}
        self.assertLessEqual(defined, set(api.CONSTANTS))
        for body in re.findall(r"enum\s+\w+\s*\{([^}]*)\}", all_sources()):
            for line in body.split(","):
                found = re.match(r"\s*(TARN_\w+)\s*(=|$)", line)
                self.assertTrue(not found or found[1] in api.CONSTANTS, line)

    def test_errors(self):
        for number, (name, text) in api.ERRORS.items():
            self.assertEqual(raw.lib.tarn_errname(-number).decode(), name)
            self.assertEqual(raw.lib.tarn_strerror(number).decode(), text)
            self.assertEqual(getattr(api, "TARN_E_" + name.removeprefix("DER_")), number)
        self.assertGreater(len(api.ERRORS), 50)


class Functions(unittest.TestCase):
    def test_none_is_left_out(self):
        declared = set(re.findall(r"TARN_API [^;(]*?\b(tarn_\w+)\(", all_sources()))
        self.assertEqual(set(api.FUNCTIONS), declared)

    def test_prototypes_are_those_of_the_headers(self):
        """C refuses a second declaration that differs from the first."""
        with tempfile.TemporaryDirectory() as folder:
            compiled("\n".join("extern " + entry[3].split(";")[0] + ";" for entry in api.FUNCTIONS.values()), folder)

    def test_ctypes_are_as_wide_as_the_parameters(self):
        """As C sees them: the size of each parameter's and result's type, and whether it is a pointer."""
        lines, ours = [], []
        for name, (result, parameters, names, doc) in api.FUNCTIONS.items():
            self.assertEqual(len(parameters), len(names))
            prototype = " ".join(doc.split(";")[0].split())
            types = headers.Declaration(name, headers.tokens_of(prototype + " "))
            read, kind = types.declarator(*types.base())
            self.assertEqual((read, len(kind[2])), (name, len(parameters)))
            for said, ctype in [(kind[1], result), *zip((k for _, k in kind[2]), parameters)]:
                pointer = said[0] == "pointer"
                if ctype is not None:
                    size = "sizeof(void *)" if pointer else f"sizeof({said[1]})"
                    lines.append(f'printf("{name} %zu\\n", {size});')
                    ours.append(f"{name} {ctypes.sizeof(ctype)}")
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(compiled("\n".join(lines), folder).splitlines(), ours)

    def test_each_says_what_it_does(self):
        silent = [name for name, entry in api.FUNCTIONS.items() if len(entry[3].split("\n\n")) < 2]
        self.assertLessEqual(set(silent), {"tarn_event_user", "tarn_cont_query", "tarn_dev_queue_get_info"}, "no comment in the header")
        self.assertIn("Errors of all", api.FUNCTIONS["tarn_dev_write"][3])
        self.assertIn("TRUNC", raw.lib.tarn_dev_list.__doc__)

    def test_the_library_has_them(self):
        for name in api.FUNCTIONS:
            self.assertTrue(callable(getattr(raw.lib, name)), name)

    def test_a_wrong_handle_is_refused(self):
        with self.assertRaises(ctypes.ArgumentError):
            raw.lib.tarn_dev_close(ctypes.pointer(api.tarn_pool()))


class NotUnderstood(unittest.TestCase):
    """What the generator does not know it refuses, with file and line."""

    def refused(self, text, says):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "x.h").write_text(text, encoding="utf-8")
            with self.assertRaisesRegex(headers.HeaderError, says):
                generate.generate(pathlib.Path(folder))

    def test_refusals(self):
        self.refused("\n\nint x;\n", r"x\.h:3: not understood")
        self.refused("TARN_API int tarn_x(float y);\n", "type float is not known")
        self.refused("#define TARN_X(a) (a)\n", "x.h:1: TARN_X is a macro with parameters")
        self.refused("#define TARN_X sizeof(int)\n", "TARN_X: the value sizeof")
        self.refused("typedef struct tarn_x { int a : 3; } tarn_x;\n", "such a struct")
        self.refused("typedef struct tarn_x { struct { int a; } b; } tarn_x;\n", "such a struct")
        self.refused("TARN_API int tarn_x(int a", "without an end")
        self.refused("TARN_API int tarn_x(int a[);\n", "expected more")

    def test_understood(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "x.h").write_text(
                "#define TARN_X_A (1u << 4)\n#define TARN_X_B (TARN_X_A | 3) /* both */\n"
                "typedef enum tarn_x { TARN_X_C, TARN_X_D = 7, TARN_X_E } tarn_x;\n"
                "typedef union tarn_u { uint8_t b[2][3]; uint64_t w; } tarn_u;\n"
                "/* Does it. */\nTARN_API const char *tarn_x_do(tarn_u *const *list, tarn_x how, void (*done)(void *));\n",
                encoding="utf-8")
            made = {}
            exec(generate.generate(pathlib.Path(folder)), made)
        self.assertEqual((made["TARN_X_B"], made["TARN_X_C"], made["TARN_X_E"]), (19, 0, 8))
        self.assertEqual((ctypes.sizeof(made["tarn_u"]), made["tarn_u"]().b[1][2], len(made["tarn_u"]().b)), (8, 0, 2))
        result, parameters, names, doc = made["FUNCTIONS"]["tarn_x_do"]
        self.assertEqual((result, parameters[1], names), (ctypes.c_char_p, ctypes.c_uint, ("list", "how", "done")))
        self.assertEqual(doc.split("\n\n")[1], "Does it.")


if __name__ == "__main__":
    unittest.main()
