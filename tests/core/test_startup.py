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
        "import sys; from pacsferry.core import startup; startup.begin()\n"
        "from pacsferry.app import load\n"
        "odd = {'sqlalchemy.dialects.postgresql', 'packaging', 'pydicom', 'pynetdicom', 'numpy.linalg', 'asyncio.events',"
        " 'statistics', 'pacsferry.app.plans', 'pacsferry.app.finding', 'pacsferry.app.reporting'} & set(sys.modules)\n"
        "assert not odd, odd"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


LATER = """
import sys, threading
from pacsferry.core import startup
startup.begin()
sys.modules["pylibjpeg"] = None  # where it is installed, it looks at numpy as soon as pydicom finds it
import numpy as np
import pydicom
from pydicom.data import get_testdata_file
assert not any(name.startswith(("numpy.", "requests.")) for name in sys.modules)
pictures = []
def look():
    pictures.append(pydicom.dcmread(get_testdata_file("CT_small.dcm")).pixel_array)
threads = [threading.Thread(target=look) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert [one.shape for one in pictures] == [(128, 128)] * 4
assert isinstance(pictures[0], np.ndarray) and np.__version__ == sys.modules["numpy"].__version__ and "array" in dir(np)
import numpy.linalg
from numpy import array
assert numpy.linalg.norm(array([3, 4])) == 5
"""


def test_what_only_pixels_need_is_loaded_when_pixels_are_looked_at():
    subprocess.run([sys.executable, "-W", "error", "-c", LATER], check=True)


def test_a_function_that_is_only_kept_loads_nothing_until_it_is_called():
    code = (
        "import sys; from pacsferry.core import startup; startup.begin()\n"
        "import asyncio; kept = asyncio.iscoroutine; assert 'asyncio.events' not in sys.modules\n"
        "assert kept(1) is False and 'asyncio.events' in sys.modules\n"
        "assert asyncio.iscoroutine is sys.modules['asyncio'].iscoroutine and asyncio.run(asyncio.sleep(0, 7)) == 7"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_dicomweb_loads_nothing_for_pixels_or_files_until_they_are_asked_for():
    code = (
        "import sys; from pacsferry.core import startup; startup.begin(); sys.modules['pylibjpeg'] = None\n"
        "import pacsferry.plugins.dicomweb.query, pacsferry.plugins.dicomweb.retrieve, dicomweb_client\n"
        "assert not {'numpy.linalg', 'dicomweb_client.file'} & set(sys.modules)\n"
        "from dicomweb_client.api import DICOMfileClient\n"
        "assert dicomweb_client.DICOMfileClient is DICOMfileClient is sys.modules['dicomweb_client.file'].DICOMfileClient"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_submodule_can_come_first():
    code = "from pacsferry.core import startup; startup.begin(); import numpy.linalg; assert numpy.linalg.norm([3, 4]) == 5"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_not_installed_stays_so():
    code = (
        "from pacsferry.core import startup; startup.later('no_such_module_at_all')\n"
        "try:\n    import no_such_module_at_all\nexcept ImportError:\n    pass\nelse:\n    raise SystemExit(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
