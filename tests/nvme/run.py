#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the device tests on emulated NVMe in a virtual machine: tests/nvme/run.py [SUITE...], all suites without arguments.

The machine is QEMU's, in emulation, with Debian's cloud kernel and a root file system of busybox, the test programs and their shared
libraries. It has NVMe namespaces with blocks of 512 bytes and of 4 KiB, a zoned one, one with metadata, a controller that takes small
commands only, and null_blk devices, two of them zoned. What is missing gets installed; the kernel is only unpacked, into build/nvme. Each
suite of suites.txt runs in turn. The console goes to build/log/nvme.log, and failing suites are shown. The last line printed is
"N passed, N failed", and the exit status is 1 when anything failed, or the machine did not come to its end.

NVME_SECONDS=1800 limits the whole run; VARIANT=asan takes the test programs of that build.
"""
import glob
import importlib.machinery
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
WORK = os.path.join(TOP, "build", "nvme")
LOG = os.path.join(TOP, "build", "log", "nvme.log")
VARIANT = os.environ.get("VARIANT", "release")
SECONDS = int(os.environ.get("NVME_SECONDS", "1800"))
SHOWN_LINES = 80

PACKAGES = {"qemu-system-x86": "qemu-system-x86_64", "cpio": "cpio", "busybox-static": "busybox"}
MODULES = ["null_blk", "loop"]  # and what they depend on; NVMe and ext4 are part of the kernel

ZONED = "zoned=on,zoned.zone_size=2M,zoned.zone_capacity=1536K,zoned.max_open=4,zoned.max_active=6"
# Each: controller, namespace, size, further properties. nvme0 takes 512 KiB in one command, nvme1 takes 32 KiB.
CONTROLLERS = {"a": "serial=TARN-A,mdts=7", "b": "serial=TARN-B,mdts=3"}
NAMESPACES = [
    ("a", 1, "64M", "logical_block_size=512,physical_block_size=512"),
    ("a", 2, "64M", "logical_block_size=4096,physical_block_size=4096"),
    ("a", 3, "64M", f"logical_block_size=4096,physical_block_size=4096,{ZONED}"),
    ("a", 4, "16M", "logical_block_size=512,physical_block_size=512,ms=8"),
    ("b", 1, "16M", "logical_block_size=512,physical_block_size=4096"),
]


def say(text):
    print(f"nvme: {text}", flush=True)


# ---- what the machine is made of ----

def install_packages():
    missing = [package for package, program in PACKAGES.items() if not shutil.which(program)]
    if not missing:
        return
    if not shutil.which("apt-get"):
        sys.exit(f"nvme: this is not Debian: install what these packages hold: {' '.join(missing)}")
    say(f"installing {' '.join(missing)}")
    as_root = [] if os.getuid() == 0 else ["sudo"]
    subprocess.run(as_root + ["apt-get", "update", "-qq"], check=True)
    subprocess.run(as_root + ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=True,
                   stdout=subprocess.DEVNULL)


def kernel_package():
    """The package with the kernel itself: linux-image-cloud-amd64 only depends on it."""
    text = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"Depends: (linux-image-\S+)", text)
    if not found:
        sys.exit("nvme: apt knows no linux-image-cloud-amd64: run apt-get update")
    return found[1]


def fetch_kernel():
    """The unpacked kernel package. It is fetched once."""
    root = os.path.join(WORK, "kernel")
    if glob.glob(os.path.join(root, "boot", "vmlinuz-*")):
        return root
    package = kernel_package()
    say(f"fetching {package}")
    fetched = os.path.join(WORK, "fetched")
    os.makedirs(fetched, exist_ok=True)
    subprocess.run(["apt-get", "download", "-qq", package], cwd=fetched, check=True, stderr=subprocess.DEVNULL)
    unpacked = root + ".new"
    shutil.rmtree(unpacked, ignore_errors=True)
    subprocess.run(["dpkg", "-x", glob.glob(os.path.join(fetched, package + "_*.deb"))[0], unpacked], check=True)
    os.rename(unpacked, root)
    return root


def module_files(kernel):
    """The wanted modules behind those that they depend on."""
    there = {os.path.basename(path).split(".ko")[0].replace("-", "_"): path
             for path in glob.glob(os.path.join(kernel, "lib/modules/*/kernel/**/*.ko"), recursive=True)}
    order = []

    def add(name):
        path = there.get(name)
        if not path or path in order:
            return
        with open(path, "rb") as file:
            found = re.search(rb"\0depends=([^\0]*)\0", file.read())
        for needed in (found[1].decode().split(",") if found else []):
            add(needed.replace("-", "_"))
        order.append(path)

    for module in MODULES:
        add(module)
    return order


def shared_libraries(programs):
    text = subprocess.run(["ldd", *programs], check=True, capture_output=True, text=True).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x", text)))


def put(root, path, inside):
    target = os.path.join(root, inside.lstrip("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(path, target)  # follows links: a library's name is what its users ask for
    return target


def read_suites(names):
    """suites.txt: a name, a program, and NAME=VALUE for its environment, which goes on in lines that begin with a blank."""
    with open(os.path.join(HERE, "suites.txt"), encoding="utf-8") as file:
        lines = [line.strip() for line in file.read().replace("\n\t", " ").splitlines()]
    suites = [line.split(None, 2) for line in lines if line and not line.startswith("#")]
    unknown = set(names) - {suite[0] for suite in suites}
    if unknown:
        sys.exit(f"nvme: no suite {' '.join(sorted(unknown))}; there is {' '.join(suite[0] for suite in suites)}")
    return [suite for suite in suites if not names or suite[0] in names]


def test_programs(suites):
    programs = sorted({os.path.join(TOP, "build", VARIANT, "test", suite[1]) for suite in suites})
    missing = [program for program in programs if not os.path.exists(program)]
    if missing:
        sys.exit(f"nvme: not built: {' '.join(missing)}: run make test-nvme")
    return programs


def build_image(kernel, suites):
    """The initial root file system: init.sh does the rest."""
    root, image = os.path.join(WORK, "root"), os.path.join(WORK, "image.gz")
    programs = test_programs(suites)
    shutil.rmtree(root, ignore_errors=True)
    for directory in ("bin", "dev", "proc", "sys", "tmp", "var/tmp", "modules", "tests"):
        os.makedirs(os.path.join(root, directory))
    os.chmod(put(root, os.path.join(HERE, "init.sh"), "/init"), 0o755)
    put(root, shutil.which("busybox"), "/bin/busybox")
    for number, path in enumerate(module_files(kernel)):
        put(root, path, f"/modules/{number:02}-{os.path.basename(path)}")
    for path in programs:
        put(root, path, "/tests/" + os.path.basename(path))
    for path in shared_libraries(programs):
        put(root, path, path)
    nodes = [f"ng{list(CONTROLLERS).index(controller)}n{nsid}" for controller, nsid, *_ in NAMESPACES]
    with open(os.path.join(root, "tests", "suites"), "w", encoding="utf-8") as file:
        file.write(f"wait_for {' '.join(nodes)}\n")
        file.writelines(f"suite {name} {program} {''.join(rest)}\n" for name, program, *rest in suites)
    subprocess.run("find . | cpio -o -H newc --quiet | gzip -1 >" + image, shell=True, cwd=root, check=True)
    return image


# ---- the machine ----

def command(kernel, image):
    args = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1G", "-nographic",
            "-no-reboot", "-nodefaults", "-serial", "stdio", "-kernel", glob.glob(os.path.join(kernel, "boot", "vmlinuz-*"))[0],
            "-initrd", image, "-append", "console=ttyS0 quiet panic=-1 nvme.poll_queues=1"]
    for name, properties in CONTROLLERS.items():
        args += ["-device", f"nvme,id={name},{properties}"]
    for controller, nsid, size, properties in NAMESPACES:
        drive = f"{controller}{nsid}"
        path = os.path.join(WORK, drive + ".raw")
        subprocess.run(["truncate", "-s", "0", path], check=True)
        subprocess.run(["truncate", "-s", size, path], check=True)
        args += ["-drive", f"id={drive},file={path},format=raw,if=none,discard=unmap",
                 "-device", f"nvme-ns,drive={drive},bus={controller},nsid={nsid},{properties}"]
    return args


def boot(kernel, image):
    """Everything that the machine said. Killed when the time is up."""
    os.makedirs(os.path.dirname(LOG), exist_ok=True)
    with open(LOG, "wb") as log:
        try:
            subprocess.run(command(kernel, image), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=SECONDS,
                           check=False)
        except subprocess.TimeoutExpired:
            log.write(f"\nkilled after {SECONDS} s\n".encode())
    with open(LOG, encoding="utf-8", errors="replace") as log:
        return log.read().replace("\r", "")


# ---- the answer ----

def load_reader():
    """The reader of test output that `make test` uses."""
    path = os.path.join(TOP, "tests", "run")
    return importlib.machinery.SourceFileLoader("tests_run", path).load_module()


def show(name, text):
    print(f"---- {name}")
    print("\n".join(text.strip().splitlines()[-SHOWN_LINES:]))


def judge(suites, console):
    """(passed, failed, skipped). A suite without an end has failed."""
    reader, total = load_reader(), [0, 0, 0]
    for name, *_ in suites:
        found = re.search(rf"^==== begin {name}\n(.*?)^==== end {name} (\d+)$", console, re.M | re.S)
        text, status = (found[1], int(found[2])) if found else (console, 1)
        result = reader.read_tap(text, status)
        failed = result.failed or (1 if status not in (0, 77) or not found or not result.passed + result.skipped else 0)
        say(f"{name}: {result.passed} passed, {failed} failed, {result.skipped} skipped")
        if failed:
            show(name, text)
        total = [total[0] + result.passed, total[1] + failed, total[2] + result.skipped]
    return total


def main():
    suites = read_suites(sys.argv[1:])
    os.makedirs(WORK, exist_ok=True)
    install_packages()
    kernel = fetch_kernel()
    image = build_image(kernel, suites)
    say(f"booting {os.path.basename(glob.glob(os.path.join(kernel, 'boot', 'vmlinuz-*'))[0])}; the console goes to {LOG}")
    console = boot(kernel, image)
    passed, failed, skipped = judge(suites, console)
    if "==== the end" not in console:
        say("the machine did not come to its end")
        failed += 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
