"""The collector is tuned for a command's start only, and only in processes of ours."""

import gc
import subprocess
import sys

from pacsferry.core import startup

SCRIPT = """
import gc
from pacsferry.core import startup
usual = gc.get_threshold()
startup.begin(); startup.begin()
assert gc.get_threshold()[0] > usual[0]
startup.over()
assert gc.get_threshold() == usual and gc.isenabled() and gc.get_freeze_count() > 0
startup.over()
"""


def test_a_command_goes_back_to_the_usual_once_work_begins():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)


def test_a_library_leaves_its_user_alone():
    before = gc.get_threshold(), gc.get_freeze_count()
    startup.over()
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_help_loads_no_heavy_library():
    code = (
        "import sys; from typer.testing import CliRunner; from pacsferry.cli.main import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "heavy = {'pydicom', 'pynetdicom', 'numpy', 'sqlalchemy', 'requests'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_load_loads_no_database_driver_it_does_not_use():
    code = (
        "import sys, pacsferry.app\n"
        "odd = {'sqlalchemy.dialects.postgresql', 'packaging', 'pydicom', 'pynetdicom', 'numpy'} & set(sys.modules)\n"
        "assert not odd, odd"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
