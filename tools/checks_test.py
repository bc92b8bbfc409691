#!/usr/bin/env python3
"""Tests of the checks themselves: each must find what it is there for, and nothing else."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import check_coverage  # noqa: E402
import check_deps  # noqa: E402
import check_docs  # noqa: E402
import check_sizes  # noqa: E402
import check_words  # noqa: E402
import lint  # noqa: E402


class Deps(unittest.TestCase):
    def problems(self, graph):
        return list(check_deps.forbidden(graph))

    def test_allowed_edges_pass(self):
        self.assertEqual([], self.problems({"task/a.cc": ["task/a.h", "base/file.h", "proc/maps.h"],
                                            "resource/pipe/pipe.cc": ["resource/common/facts.h", "resource/pipe/pipe.h"]}))

    def test_upward_edge_is_found(self):
        self.assertIn("base may not include", self.problems({"base/file.cc": ["proc/maps.h"]})[0])

    def test_kind_may_not_see_another_kind(self):
        self.assertEqual(1, len(self.problems({"resource/pipe/pipe.cc": ["resource/eventfd/eventfd.h"]})))

    def test_unknown_folder_and_bare_name_are_found(self):
        self.assertEqual(1, len(self.problems({"newfolder/a.cc": []})))
        self.assertEqual(1, len(self.problems({"base/a.cc": ["a.h"]})))

    def test_cycle_between_pairs(self):
        graph = {"base/a.cc": ["base/b.h"], "base/a.h": [], "base/b.h": [], "base/b.cc": ["base/a.h"]}
        self.assertIsNotNone(check_deps.find_cycle(check_deps.merged(graph)))
        graph["base/b.cc"] = ["base/b.h"]
        self.assertIsNone(check_deps.find_cycle(check_deps.merged(graph)))


    def test_decisions_have_no_clock_and_no_file(self):
        with tempfile.TemporaryDirectory() as src:
            folder = os.path.join(src, "pool", "decide")
            os.makedirs(folder)
            for name, text in (("a.cc", "#include <map>\n#include <fcntl.h>\nauto t = std::chrono::steady_clock::now();\n"),
                               ("a_test.cc", "#include <gtest/gtest.h>\n")):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            found = list(check_deps.impure(src))
        self.assertEqual(2, len(found))
        self.assertIn("fcntl.h", found[0])
        self.assertIn("steady_clock", found[1])


class Sizes(unittest.TestCase):
    def test_functions_are_found_inside_namespaces_and_classes(self):
        text = "namespace x {\nclass A {\n  int f() const {\n    return '{';\n  }\n};\nint a[] = {\n1};\nint g() { return 1; }\n}\n"
        self.assertEqual([(3, 3), (9, 1)], list(check_sizes.functions(text)))

    def test_caps(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "a.cc")
            with open(path, "w", encoding="utf-8") as file:
                file.write("void f() {\n" + "  // {\n" * 79 + "}\n")
            self.assertIn("a function of 81 lines", list(check_sizes.check_file(path, "a.cc"))[0])
            with open(path, "w", encoding="utf-8") as file:
                file.write("int a;\n" * 601)
            self.assertIn("601 lines", list(check_sizes.check_file(path, "a.cc"))[0])


class Words(unittest.TestCase):
    def test_found(self):
        for text in (b"cd /wor" b"k/main", b"see /roo" b"t/x", b"http://deb.debia" b"n.org/debian", b"/home/ann" b"/x"):
            self.assertEqual(1, len(list(check_words.problems_in(text, "a"))), text)

    def test_others_pass(self):
        for text in (b"/workspace", b"/home/user/x", b"/proc/1/root/x", b"overlay /root"):
            self.assertEqual([], list(check_words.problems_in(text, "a")), text)


class Coverage(unittest.TestCase):
    TESTS = {"live.pipe": False, "live.fifo": False, "base.Off": True}

    def check(self, cell, bullet="pipes"):
        text = f"# x\n\n| bullet | tests |\n|---|---|\n| {bullet} | {cell} |\n"
        return check_coverage.check(text, "c.md", self.TESTS, {"live.fifo"})[0]

    def test_good_rows(self):
        self.assertEqual([], self.check("`live.p*`"))
        self.assertEqual([], self.check("`live.*`"), "one of several was skipped")
        self.assertEqual([], self.check("open: not built yet"))

    def test_bad_rows(self):
        self.assertIn("no test `live.sock*`", self.check("`live.pipe` `live.sock*`")[0])
        self.assertIn("disabled", self.check("`base.Off`")[0])
        self.assertIn("was skipped", self.check("`live.fifo`")[0])
        self.assertIn("names no test", self.check("")[0])
        self.assertIn("names no test", self.check("open:")[0])
        self.assertEqual(1, len(self.check("`live.pipe`", bullet="")))

    def test_empty_file_is_a_problem(self):
        self.assertEqual(1, len(check_coverage.check("# nothing\n", "c.md", self.TESTS, set())[0]))

    def test_skipped_tests_are_read_from_output(self):
        log = ("1/3 Test #1: live.pipe ....   Passed    0.10 sec\n 2/3 Test  #2: live.fifo ...***Skipped   0.00 sec\n"
               "3/3 Test #3: base.Off ....***Not Run (Disabled)   0.00 sec\n")
        self.assertEqual({"live.fifo", "base.Off"}, check_coverage.skipped_tests(log))


class Lint(unittest.TestCase):
    @staticmethod
    def source(path, options=("-Ix",)):
        return lint.Source(path, "/usr/bin/c++", options, "/build", path + ".o")

    def test_options_without_input_and_output(self):
        words = ["-Ix", "-MD", "-MT", "a.o", "-MF", "a.d", "-o", "a.o", "-c", "a.cc"]
        self.assertEqual(("-Ix",), lint.options_only(words, "a.cc"))

    def test_own_files(self):
        self.assertEqual(["a.cc", "a.h"], lint.own_files(["a.h", "/usr/include/stdio.h", "a.cc"]))

    def test_deps_without_what_is_out_of_date(self):
        log = ("a.o: #deps 2, deps mtime 1 (VALID)\n    a.cc\n    a.h\n\nb.o: #deps 1, deps mtime 1 (STALE)\n    b.cc\n\n"
               "c.o: #deps 1, deps mtime 1 (VALID)\n    c.cc\n")
        self.assertEqual({"a.o": ["a.cc", "a.h"], "c.o": ["c.cc"]}, lint.deps_of_objects(log))

    def test_batches_of_the_same_options_and_c_alone(self):
        sources = [self.source("a.cc"), self.source("b.cc", ("-Iy",)), self.source("c.cc"), self.source("d.c"), self.source("e.c")]
        self.assertEqual([["a.cc", "c.cc"], ["b.cc"], ["d.c"], ["e.c"]],
                         [[source.path for source in batch] for batch in lint.batches(sources)])
        many = [self.source(f"{i}.cc") for i in range(lint.BATCH + 1)]
        self.assertEqual([lint.BATCH, 1], [len(batch) for batch in lint.batches(many)])

    def unit_of(self, folder, texts):
        for name, text in texts.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        return lint.Unit([self.source(os.path.join(folder, name)) for name in texts], folder)

    def test_places_in_a_unit(self):
        with tempfile.TemporaryDirectory() as folder:
            unit = self.unit_of(folder, {"a.cc": "1\n2\n", "b.cc": "3"})
            self.assertEqual(f"{folder}/a.cc:2:1: x\n{folder}/b.cc:1:1: y",
                             unit.in_sources(f"{unit.path}:2:1: x\n{unit.path}:3:1: y"))

    def test_files_that_cannot_be_compiled_together(self):
        with tempfile.TemporaryDirectory() as folder:
            unit = self.unit_of(folder, {"a.cc": "1\n2\n", "b.cc": "3"})
            text = f"{unit.path}:3:5: error: redefinition of 'F'\n{unit.path}:1:1: note: here\n"
            self.assertEqual(unit.sources[1:], unit.with_errors(text))
            self.assertEqual(unit.sources, unit.with_errors("/x/c.h:3:5: error: what\n"))

    def test_a_single_source_stays_where_it_is(self):
        with tempfile.TemporaryDirectory() as folder:
            unit = self.unit_of(folder, {"a.cc": "1\n"})
            self.assertEqual((f"{folder}/a.cc", f"{folder}/a.cc:1: x"), (unit.path, unit.in_sources(f"{unit.path}:1: x")))


class Docs(unittest.TestCase):
    HELP = {(): "--state-dir DIR", ("run",): "--name NAME  -o,--format F", ("image", "show"): "--json"}

    def problems(self, text):
        return list(check_docs.problems_of(os.path.join(check_docs.ROOT, "X.md"), text, "  test   all\n", self.HELP.get))

    def test_true_ones_pass(self):
        self.assertEqual([], self.problems("`./dev test` `./dev help` [x](README.md#top) [y](https://a.b/c) `tools/check_docs.py`\n"
                                           "```\nbaton run --name=a -o json -- ls --color  # --none\n"
                                           "baton --state-dir /d image show --json d | jq --raw\n```\n"))

    def test_what_does_not_exist_is_found(self):
        for text in ("`./dev prove`", "`baton walk`", "`baton run --nam x`", "`baton image sho`", "[a](no.md)", "`docs/no.md`",
                     "```\nbaton run -x\n```"):
            self.assertEqual(1, len(self.problems(text + "\n")), text)


if __name__ == "__main__":
    unittest.main()
