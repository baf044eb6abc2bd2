"""Links between the pages of the site, which are also read in the repository.

READMEs of the configs are pages too; other files of the repository are no pages, so a
link to one becomes its path.
"""

import posixpath
import re

METHODS = ('cam', 'seam', 'affinitynet', 'seenet', 'puzzle_cam', 'clip_es', 'weclip')
PAGES = {
    **{f'configs/{name}/README.md': f'methods/{name}.md' for name in METHODS},
    'CONTRIBUTING.md': 'contributing.md',
}
# Pages that quote a file of the repository, whose links are relative to that.
QUOTED = {page: file for file, page in PAGES.items()}
LINK = re.compile(r'(?<!\!)\[([^\]]*)\]\(([^)\s]+)\)')


def with_site_links(text: str, page: str) -> str:
    """Rewrite the relative links of a page.

    Args:
        text: Markdown of the page.
        page: Its path in docs.
    """
    source = QUOTED.get(page, f'docs/{page}')

    def rewrite(match: re.Match[str]) -> str:
        words, target = match.groups()
        path, _, anchor = target.partition('#')
        if '://' in target or not path:
            return match.group()
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        found = PAGES.get(file)
        if found is None and file.startswith('docs/'):
            found = file[len('docs/') :]
        if found is None:
            return f'{words} (`{file}`)' if words != f'`{file}`' else words
        place = posixpath.relpath(found, posixpath.dirname(page) or '.')
        return f'[{words}]({place}{"#" * bool(anchor)}{anchor})'

    return LINK.sub(rewrite, text)


def on_page_markdown(markdown, page, **_):
    """Quote the file that a page stands for, and rewrite the links."""
    path = page.file.src_uri
    if path in QUOTED:
        with open(QUOTED[path], encoding='utf-8') as file:
            markdown = file.read()
    return with_site_links(markdown, path)
