"""The compiled module, which is optional: without a compiler winsock installs all the same and runs in Python."""

import sys

from setuptools import Extension, setup

LINUX_ONLY = [Extension("winsock._hot", ["src/winsock/_hot.c"], optional=True)]

setup(ext_modules=LINUX_ONLY if sys.platform.startswith("linux") else [])
