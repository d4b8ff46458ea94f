"""errors.py - what can go wrong, as exceptions.

Every status of libgdr other than GDR_OK has its own class; the message is
libgdr's. What goes wrong before libgdr is asked uses the same classes, so that
one ``except gdr.Error`` catches all of it.
"""


class Error(Exception):
    """Anything that libgdr or this package refuses. ``status`` is the
    gdr_status, 0 where libgdr was not asked."""

    status = 0


class LibraryError(Error, ImportError):
    """libgdr was not found, does not load, or is of another version."""


class UnsupportedError(Error, NotImplementedError):
    """An argument that another library serves and libgdr does not."""


class ArgumentError(Error, ValueError):
    """An argument is wrong; the message names it."""


class ParseError(Error, ValueError):
    """A problem's text does not parse."""


class OutOfMemoryError(Error, MemoryError):
    """An allocation failed."""


class FileError(Error):
    """A file could not be read or written."""


class NotFoundError(Error):
    """A file, row or name does not exist."""


class FormatError(Error):
    """Not a gdr database, or a damaged one."""


class NewerError(Error):
    """The database was written by a newer gdr-tune."""


class ReadOnlyError(Error):
    """The database cannot be written."""


class FullError(Error):
    """The disk is full."""


class BusyError(Error):
    """Another process holds the database."""


class UnsafeError(Error):
    """A file that others can write holds code."""


class NoDeviceError(Error):
    """No such device, or its driver is missing."""


class NoPlanError(Error):
    """Nothing is tuned that the caller accepts; the message has the command
    that mends it."""


class CompileError(Error):
    """A compiler is missing or refused the source."""


class LoadError(Error):
    """An image cannot run on this device."""


class LaunchError(Error):
    """The device refused or failed a launch."""


class TemplateError(Error):
    """A template, spec or shape list is wrong."""


class InternalError(Error):
    """A bug in libgdr: please report it."""


# gdr_status in the order of gdr.h, from GDR_ERR_ARG = 1.
STATUSES = (
    ("GDR_ERR_ARG", ArgumentError),
    ("GDR_ERR_PARSE", ParseError),
    ("GDR_ERR_NO_MEMORY", OutOfMemoryError),
    ("GDR_ERR_IO", FileError),
    ("GDR_ERR_NOT_FOUND", NotFoundError),
    ("GDR_ERR_FORMAT", FormatError),
    ("GDR_ERR_NEWER", NewerError),
    ("GDR_ERR_READONLY", ReadOnlyError),
    ("GDR_ERR_FULL", FullError),
    ("GDR_ERR_BUSY", BusyError),
    ("GDR_ERR_UNSAFE", UnsafeError),
    ("GDR_ERR_NO_DEVICE", NoDeviceError),
    ("GDR_ERR_NO_PLAN", NoPlanError),
    ("GDR_ERR_COMPILE", CompileError),
    ("GDR_ERR_LOAD", LoadError),
    ("GDR_ERR_LAUNCH", LaunchError),
    ("GDR_ERR_TEMPLATE", TemplateError),
    ("GDR_ERR_INTERNAL", InternalError),
)

for _i, (_name, _class) in enumerate(STATUSES):
    _class.status = _i + 1


def error(status, message):
    """The exception for a gdr_status that is not GDR_OK, to be raised."""
    if 1 <= status <= len(STATUSES):
        return STATUSES[status - 1][1](message)
    return Error(f"status {status}, which this package does not know: "
                 f"{message}")
