# SPDX-License-Identifier: Apache-2.0
"""What the README shows is copied from programs that are tested, and what it names exists; the tour it shows runs."""
import os
import re
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BLOCK = re.compile(r"(?:<!-- from (\S+) -->\n)?```(\w+)\n(.*?)```", re.S)


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def lines(text):
    """The lines of a snippet or a program, without indentation and blank lines."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def source_lines(path):
    """The lines of a program; of demo.sh, the commands of its tour."""
    if not path.endswith(".sh"):
        return lines(read(path))
    text = read(path).replace('"$input"', "/usr/include").replace('"$tmp/copy"', "./copy")
    return [line[len("say "):] for line in lines(text) if line.startswith("say ")]


def contains(source, snippet):
    return any(source[at:at + len(snippet)] == snippet for at in range(len(source)))


class Readme(unittest.TestCase):
    def test_snippets_are_copies(self):
        languages = set()
        for path, language, text in BLOCK.findall(read("README.md")):
            if not path:
                continue
            languages.add(language)
            with self.subTest(source=path):
                self.assertTrue(contains(source_lines(path), lines(text)), f"the README's {language} snippet is not in {path}")
        self.assertEqual(languages, {"sh", "c", "go", "python"})

    def test_snippets_of_devices_are_copies(self):
        for path, language, text in BLOCK.findall(read("docs/devices.md")):
            if language != "sh":  # those are run by the command line's own tests
                with self.subTest(source=path):
                    self.assertTrue(path and contains(source_lines(path), lines(text)), f"the {language} snippet is not in {path}")

    def test_code_has_a_source(self):
        for path, language, text in BLOCK.findall(read("README.md")):
            if language in ("c", "go", "python"):
                self.assertTrue(path, f"a {language} snippet of the README says not where it is from:\n{text}")

    def test_links_lead_somewhere(self):
        for page in ("README.md", "c/ARCHITECTURE.md", "SECURITY.md", "docs/devices.md", "docs/gateway.md"):
            for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", read(page)):
                there = os.path.join(TOP, os.path.dirname(page), target)
                self.assertTrue(os.path.exists(there), f"{page} links to {target}")

    def test_durability_contract(self):
        contract = ("A write that has been acknowledged survives a crash of the process, of the machine and of its power, if the "
                    "device honours flushes. Unacknowledged writes may or may not survive, whole, never in part.")
        for page in ("README.md", "c/ARCHITECTURE.md"):
            self.assertIn(contract, " ".join(read(page).replace("\n>", "\n").split()), page)

    def test_make_targets_are_documented(self):
        out = subprocess.run(["make", "-s", "-C", TOP, "help"], check=True, stdout=subprocess.PIPE, text=True).stdout
        targets = set(re.findall(r"^make (\S+)", out, re.M))
        self.assertEqual(targets, set("help deps deps-browser all lib proto proto-accept run demo test test-c test-go test-asan test-tsan test-preempt test-race test-crash test-clients"
                                      " test-nvme fuzz soak prove-memory prove-tests fmt check bench bench-dev bench-go bench-cgo bench-overload test-bench-go install clean".split()))


class Demo(unittest.TestCase):
    def test_tour(self):
        with tempfile.TemporaryDirectory() as tree:
            for n, size in enumerate((0, 1, 4096, 70000, 1500000)):
                os.makedirs(os.path.join(tree, f"d{n}"))
                with open(os.path.join(tree, f"d{n}", "file"), "wb") as file:
                    file.write(os.urandom(size))
            done = subprocess.run([os.path.join(TOP, ".ci/demo.sh"), tree], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("Camp Nou", done.stdout)
        self.assertIn("The copy is equal: 5 files.", done.stdout)


if __name__ == "__main__":
    unittest.main()
