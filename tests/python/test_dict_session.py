# SPDX-License-Identifier: Apache-2.0
"""The session of PyDAOS's manual, as it stands in the README of the Python package; and the example."""
import doctest
import gc
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import PACKAGE, GatewayTest, environment  # noqa: E402

README = PACKAGE / "README.md"
# What the manual does, in its order: none of it may be dropped from the README.
STEPS = ('DCont("tank", "neo")', "print(dcont)", 'dcont.dict("stadium", {', "print(dd)", "print(len(dd))", 'dcont.dict("stadium")',
         'dcont.get("stadium")', 'dd["Milano"] =', 'dd["Rio"] =', 'print(dd["Milano"])', "dd.bput(", "dd.bget(", 'del dd["Madrid"]',
         'dd.pop("Rio")', "for key in dd", "dd.dump()", "d == dd", 'dd["Rio"] =', "d == dd", '"Rio" in dd', '"Paris" in dd')


class Session(GatewayTest):
    def setUp(self):
        super().setUp()
        if "stadium" in self.cont:
            self.cont.destroy("stadium")

    def test_readme(self):
        text = "\n".join(re.findall(r"```pycon\n(.*?)```", README.read_text(encoding="utf-8"), re.S))
        session = doctest.DocTestParser().get_doctest(text, {}, "README", str(README), 0)
        at = 0
        for step in STEPS:
            at = text.find(step, at) + 1
            self.assertGreater(at, 0, f"{step} is not in the session, or not in its place")
        said = []
        with environment(TARN_ROOT=self.gateway.root):
            self.addCleanup(gc.collect)  # the session does not close its container: the gateway would wait for it, some seconds
            result = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF).run(session, out=said.append)
        self.assertEqual(result.failed, 0, "".join(said))
        self.assertGreater(result.attempted, 25)

    def test_example(self):
        env = {**os.environ, "PYTHONPATH": str(PACKAGE), "TARN_ENDPOINT": self.gateway.tcp}
        done = subprocess.run([sys.executable, PACKAGE / "examples" / "stadium.py"], env=env, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.stdout, "Barcelona plays at Camp Nou\nBarcelona = Camp Nou\nLondon = Wembley\n"
                         "Madrid = Santiago Bernabéu\nManchester = Old Trafford\nMilano = San Siro\n")
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
