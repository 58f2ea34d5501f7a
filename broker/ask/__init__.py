"""The page on which an agency builds a request: checked in the browser and here, signed at home by a command it prints.

It keeps nothing, sets nothing, and sees no key. The signing is the agency's, on its own machine.
"""

from .server import routes

__all__ = ["routes"]
