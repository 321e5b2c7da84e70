"""Files in and out: what ``tributary import`` and ``tributary export`` do (importing.py, exporting.py).

Import goes reading (row_files, text_files, formats, hftbacktest) -> canonical columns (presets) -> rules (columns,
judging, trades, books, markets) -> store and answer (importing, summary).
"""

from tributary_pipelines.storage.files.exporting import export_table
from tributary_pipelines.storage.files.importing import import_files
from tributary_pipelines.storage.files.summary import ImportOptions, ImportSummary, QuarantineReason

__all__ = ["ImportOptions", "ImportSummary", "QuarantineReason", "export_table", "import_files"]
