#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants bugs into the engine, one at a time, and shows which test catches each: tests/planted/run.py [BUG...], all of them without arguments.

A bug is a file of c/test/planted: what it does, the source it is in, the tests that should catch it, and a text with what stands in its
place. White space does not count, but the text must be in the source exactly once. The source in the tree is not touched: the changed one is
compiled alone, and linked before the library into the tests; preempt/test_x is one of `make test-preempt`. They run in the order in which the
bug names them, until one fails, hangs or dies; when none does, all others follow. The last line is "N caught, N not caught", and the exit
status is 1 when one was not caught, or could not be planted.

--plant only looks whether each could be planted. --full goes on after the first test that caught it. CC, CFLAGS, LIBS and WRAP (link flags of
test_sweep) come from make; SEED=1 and EVERY=30000 are given to the tests unless the environment has others.
"""
import argparse
import collections
import functools
import glob
import os
import re
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUGS = os.path.join(TOP, "c", "test", "planted")
WORK = os.path.join(TOP, "build", "planted")
BUILD = os.path.join(TOP, "build")
PREEMPT = "preempt/"  # before a test's name: threads stop anywhere in it
SECONDS = 240  # of one test; a sound one takes less than a minute
WRAP = " ".join(f"-Wl,--wrap={name}" for name in ("malloc", "calloc", "realloc", "aligned_alloc", "mmap", "mremap", "free"))
FORM = re.compile(r"(?P<what>.+?)\nfile: (?P<file>\S+)\nby: (?P<by>[^\n]+)\n--- instead of\n(?P<old>.+?)\n\+\+\+ this\n?(?P<new>.*)", re.S)

Bug = collections.namedtuple("Bug", "name what file by old new")

# Of the engine alone, the quick ones first. `crash` is the simulator: a seed and a number of power cuts.
ALL = ["test_log", "test_record", "test_space", "test_node", "test_node_bad", "test_value", "test_store", "test_store_check", "test_store_rot", "test_media",
       "test_async", "test_defer", "test_defer_damage", "test_spill", "test_relaxed", "test_watch", "test_store_threads", "test_seek_threads", "test_log_crash", "crash 1 4000", "test_sweep",
       "crash 5000 20000"]


class CannotPlant(Exception):
    pass


def read_bug(path):
    with open(path, encoding="utf-8") as file:
        found = FORM.fullmatch(file.read().rstrip("\n"))
    name = os.path.basename(path)[:-len(".bug")]
    if not found:
        raise CannotPlant(f"{name}: it is not of the form that tests/planted/run.py says")
    by = tuple(test.strip() for test in found["by"].split(","))
    return Bug(name, " ".join(found["what"].split()), found["file"], by, found["old"], found["new"])


def plant(bug):
    """The text of the source with the bug in it."""
    with open(os.path.join(TOP, bug.file), encoding="utf-8") as file:
        source = file.read()
    old = re.compile(r"\s+".join(re.escape(word) for word in bug.old.split()))
    places = list(old.finditer(source))
    if len(places) != 1:
        raise CannotPlant(f"{bug.name}: its text is in {bug.file} {len(places)} times, not once")
    return source[:places[0].start()] + bug.new + source[places[0].end():]


def flags(name, otherwise=""):
    return os.environ.get(name, otherwise).split()


def compiler_flags(variant):
    return flags("CFLAGS", "-O2 -g") + ["-fsanitize-coverage=trace-pc"] * (variant == "preempt")


@functools.cache
def compile_bug(bug, variant):
    """The object of the changed source."""
    folder = os.path.join(WORK, bug.name)
    os.makedirs(folder, exist_ok=True)
    source, made = os.path.join(folder, os.path.basename(bug.file)), os.path.join(folder, f"bug-{variant}.o")
    with open(source, "w", encoding="utf-8") as file:
        file.write(plant(bug))
    command = [os.environ.get("CC", "gcc"), "-std=c11", "-D_GNU_SOURCE", "-w", *compiler_flags(variant), "-iquote",
               os.path.join(TOP, os.path.dirname(bug.file)), "-I", os.path.join(TOP, "c/include"), "-I", os.path.join(TOP, "build/gen"),
               "-c", source, "-o", made]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise CannotPlant(f"{bug.name}: it does not compile:\n{done.stdout}")
    return made


def link(bug, test):
    """A test with the bug (None: without one): what its object defines is not taken from the library. None: the test has a model of its own in
    place of the engine's other parts, and does not use that one."""
    variant, program = ("preempt", test[len(PREEMPT):]) if test.startswith(PREEMPT) else ("release", test)
    name = bug.name if bug else "none"
    tests = os.path.join(BUILD, variant, "test")
    objects = sorted(glob.glob(os.path.join(tests, "crash*.o"))) if program == "crash" else [os.path.join(tests, program + ".o")]
    if variant == "preempt":
        objects.append(os.path.join(tests, "preempt.o"))
    if bug:
        objects.append(compile_bug(bug, variant))
    out = os.path.join(WORK, name, f"{variant}-{program}")
    os.makedirs(os.path.dirname(out), exist_ok=True)
    wrap = flags("WRAP", WRAP) if program == "test_sweep" else []
    command = [os.environ.get("CC", "gcc"), *flags("CFLAGS", "-O2 -g"), *wrap, "-o", out, *objects,
               os.path.join(BUILD, variant, "libtarn.a"), "-lcmocka",
               *flags("LIBS", "-luring -luuid -lprotobuf-c -lxxhash -lpthread")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if "multiple definition" in done.stdout:
        return None
    if done.returncode:
        raise CannotPlant(f"{name}: {program} cannot be linked:\n{done.stdout}")
    return out


def complaint(text):
    """The line of a test's output that says most."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for pattern in (r"FAILED seed", r"\[  ERROR   \] --- (?!\[|Test failed)", r"^(?!\[|#).*", r"\[  FAILED  \]"):
        for line in lines:
            if re.search(pattern, line):
                return line[:150]
    return "nothing was said"


def run_test(program, args):
    """Why it failed; None: it passed."""
    try:
        done = subprocess.run([program, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=False,
                              env={"SEED": "1", "EVERY": "30000", **os.environ}, cwd=os.path.dirname(program), start_new_session=True)
    except subprocess.TimeoutExpired:
        return f"still running after {SECONDS} s"
    if done.returncode in (0, 77):
        return None
    died = f"died of signal {-done.returncode}: " if done.returncode < 0 else ""
    return died + complaint(done.stdout.decode(errors="replace"))


@functools.cache
def is_sound(test):
    """It passes without a bug; else its failure says nothing."""
    program, *args = test.split()
    why = run_test(link(None, program), args)
    if why:
        print(f"{test} fails without a bug: {why}", flush=True)
    return not why


def hunt(bug, full):
    """Runs tests until one catches it; True: one did."""
    caught = False
    for test in [*bug.by, *(test for test in ALL if test not in bug.by)]:
        program, *args = test.split()
        began = time.monotonic()
        path = link(bug, program)
        why = run_test(path, args) if path else None
        if why and is_sound(test):
            print(f"{bug.name}: {test} ({time.monotonic() - began:.0f} s): {why}", flush=True)
            caught = True
        if caught and not full:
            break
    if not caught:
        print(f"{bug.name}: NOT CAUGHT: {bug.what}", flush=True)
    return caught


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plant", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("bugs", nargs="*")
    args = parser.parse_args()
    names = args.bugs or sorted(os.path.basename(path)[:-len(".bug")] for path in glob.glob(os.path.join(BUGS, "*.bug")))
    results = collections.Counter()
    for name in names:
        try:
            bug = read_bug(os.path.join(BUGS, name + ".bug"))
            if args.plant:
                plant(bug)
                continue
            results[hunt(bug, args.full)] += 1
        except CannotPlant as why:
            print(f"CANNOT PLANT {why}", flush=True)
            results["unplanted"] += 1
    if args.plant:
        print(f"{len(names) - results['unplanted']} of {len(names)} bugs can be planted")
    else:
        print(f"{results[True]} caught, {results[False]} not caught" +
              (f", {results['unplanted']} could not be planted" if results["unplanted"] else ""))
    return 1 if results[False] or results["unplanted"] or not names else 0


if __name__ == "__main__":
    sys.exit(main())
