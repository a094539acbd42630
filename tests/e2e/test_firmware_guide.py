"""docs/firmware.md works word for word, after the part of the engineer's guide that it names."""
import os
import re
import unittest

from test_guide import BUILD, SOURCE, GuideTest, blocks_of


class FirmwareGuide(GuideTest):
    def setUp(self):
        super().setUp()
        for name in ("lib", "tools"):
            (self.home / "source" / name).symlink_to(SOURCE / name)
        os.environ["CACHE"] = str(BUILD / "tools/firmware")  # where Mbed TLS is already

    def test_the_guide_of_the_firmware_author(self):
        text = (SOURCE / "docs/engineers.md").read_text()
        end = text.count("\n", 0, text.index("\n## Run\n"))
        before = [b for b in blocks_of("docs/engineers.md") if int(b.place.split(":")[1]) < end]
        self.check_blocks(before + blocks_of("docs/firmware.md"))

    def test_its_program_is_the_one_that_the_other_tests_run(self):
        guide = (SOURCE / "docs/firmware.md").read_text()
        programs = re.findall(r"(?ms)main\.c <<'END'\n(.*?)^END$", guide)
        self.assertEqual(programs[-1], (SOURCE / "tools/firmware/main.c").read_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
