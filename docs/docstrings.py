"""How the reference reads docstrings: an ``Example:`` section holds doctests."""

import griffe


class DoctestSections(griffe.Extension):
    """Call the section ``Examples:``, the only name under which doctests are code."""

    def on_object(self, *, obj, **_):
        """Rename the section in an object's docstring."""
        if obj.docstring is not None:
            text = obj.docstring.value
            obj.docstring.value = text.replace('\nExample:\n', '\nExamples:\n')
