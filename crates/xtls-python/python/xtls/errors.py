"""What calls refuse: a class for each code, all of them of `Error`. The table of codes is that of all languages."""

from ._native import ERRORS as _ERRORS

__all__ = list(_ERRORS)
globals().update(_ERRORS)
